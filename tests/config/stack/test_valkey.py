"""The embedded broker: a real server, behind a password, that keeps nothing on disk."""

import signal
import stat

import pytest
import redis

from config.stack.data_dir import broker_url_in
from config.stack.valkey import Valkey, ValkeyError
from tests.waiting import wait_until


def test_valkey_has_its_url_written_down_only_while_it_runs(tmp_path):
    broker = Valkey(tmp_path / 'with a "quoted" name')
    assert broker_url_in(broker.directory) == broker.url
    assert stat.S_IMODE((broker.directory / "broker_url").stat().st_mode) == 0o600
    broker.stop()
    assert broker_url_in(broker.directory) == ""


def test_valkey_keeps_nothing_on_disk_and_removes_what_an_older_release_kept(tmp_path):
    (tmp_path / "valkey" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.1.incr.aof").write_bytes(b"x" * 1000)
    broker = Valkey(tmp_path)
    with redis.Redis.from_url(broker.url) as client:
        client.set("x", "y" * 100_000)
    broker.stop()
    assert list((tmp_path / "valkey").iterdir()) == []


def test_valkey_that_was_killed_comes_back_at_the_same_address(tmp_path):
    broker = Valkey(tmp_path)
    url = broker.url
    broker.child.signal(signal.SIGKILL)
    wait_until(broker.child.has_ended, 10)
    broker.child.stop(0)
    broker.start_again()
    with redis.Redis.from_url(url) as client:
        wait_until(lambda: is_there(client), 10)
    assert broker_url_in(tmp_path) == broker.url == url
    broker.stop()


def is_there(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_valkey_answers_nobody_without_its_password(tmp_path):
    broker = Valkey(tmp_path)
    host = broker.url.rsplit("@", 1)[1]
    with redis.Redis.from_url(f"redis://{host}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    broker.stop()


def test_valkey_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(Valkey, "_configured", lambda *_: b"port nonsense\n")
    with pytest.raises(ValkeyError, match=r"The embedded Valkey did not start: .*see"):
        Valkey(tmp_path)

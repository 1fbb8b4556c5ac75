"""The embedded broker: a real server, behind a password, that keeps what it was given."""

import stat

import pytest
import redis

from config.stack.data_dir import broker_url_in
from config.stack.valkey import Valkey, ValkeyError


def test_valkey_keeps_its_data_over_a_restart_and_its_url_only_while_it_runs(tmp_path):
    broker = Valkey(tmp_path / 'with a "quoted" name')
    with redis.Redis.from_url(broker.url) as client:
        client.set("kept", "yes")
    assert broker_url_in(broker.directory) == broker.url
    assert stat.S_IMODE((broker.directory / "broker_url").stat().st_mode) == 0o600
    broker.stop()
    assert broker_url_in(broker.directory) == ""

    again = Valkey(broker.directory)
    with redis.Redis.from_url(again.url) as client:
        assert client.get("kept") == b"yes"
    again.stop()


def test_valkey_answers_nobody_without_its_password(tmp_path):
    broker = Valkey(tmp_path)
    host = broker.url.rsplit("@", 1)[1]
    with redis.Redis.from_url(f"redis://{host}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    broker.stop()


def test_valkey_that_cannot_start_says_why(tmp_path):
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "appendonlydir").write_text("this is no directory")
    with pytest.raises(ValkeyError, match=r"The embedded Valkey did not start: .*directory"):
        Valkey(tmp_path)

"""What an installation keeps in its data directory."""

import stat
from concurrent.futures import ThreadPoolExecutor

from config.stack.data_dir import broker_url_in, secret_key_in, write_private


def test_secret_key_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    directory = tmp_path / "new" / "data"
    key = secret_key_in(directory)
    assert len(key) >= 50
    assert secret_key_in(directory) == key
    assert stat.S_IMODE((directory / "secret_key").stat().st_mode) == 0o600
    assert [entry.name for entry in directory.iterdir()] == ["secret_key"]


def test_secret_key_made_by_many_at_once_is_one(tmp_path):
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(secret_key_in, [tmp_path / str(number)] * 8))
        assert len(keys) == 1


def test_private_file_replaces_what_was_there(tmp_path):
    assert broker_url_in(tmp_path) == ""
    for text in ("first", "second"):
        write_private(tmp_path / "broker_url", text)
        assert broker_url_in(tmp_path) == text
    assert stat.S_IMODE((tmp_path / "broker_url").stat().st_mode) == 0o600

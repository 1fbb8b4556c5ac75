"""The other side, for the tests that send."""

from collections.abc import Iterator

import pytest

from tests.receiver import Authority, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Issues the certificates; its `bundle` is what a client trusts."""
    return Authority(str(tmp_path_factory.mktemp("authority")))


@pytest.fixture
def tls_receiver(authority: Authority) -> Iterator[Receiver]:
    with Receiver(tls=authority.context("127.0.0.1", "localhost")) as running:
        yield running

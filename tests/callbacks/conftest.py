"""The other side, for the tests that send."""

import socket
from collections.abc import Iterator

import pytest

from tests.authority import Authority
from tests.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Issues the certificates; its `bundle` is what a client trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_receiver(authority: Authority) -> Iterator[Receiver]:
    with Receiver(tls=authority.context("127.0.0.1", "localhost")) as running:
        yield running


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: another connection is neither taken nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        try:
            for _ in range(3):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for connection in waiting:
                connection.close()

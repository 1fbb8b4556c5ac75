"""An affiliate, a callback of theirs, and the other side for the tests that send."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.authority import Authority
from tests.receiver import Receiver

if TYPE_CHECKING:
    from affiliates.models import Affiliate
    from callbacks.models import CallbackSetting


@pytest.fixture
def joe() -> "Affiliate":
    from tests.factories import AffiliateFactory  # Django is set up only now

    return AffiliateFactory(name="Joe", code="joe")


@pytest.fixture
def setting(joe: "Affiliate") -> "CallbackSetting":
    from tests.factories import CallbackSettingFactory  # Django is set up only now

    return CallbackSettingFactory(affiliate=joe)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def loopback(settings: Any, receiver: Receiver) -> Iterator[None]:
    """Open this test's receiver for the dispatcher, and nothing else."""
    from callbacks.delivery import dispatcher  # Django is set up only now

    settings.CALLBACKS_ALLOWED_NETWORKS = (ipaddress.ip_network("127.0.0.1/32"),)
    settings.CALLBACKS_ALLOWED_PORTS = frozenset({receiver.port})
    dispatcher.of_process.cache_clear()
    yield
    dispatcher.of_process().close()
    dispatcher.of_process.cache_clear()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Issues the certificates; its `bundle` is what a client trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls_receiver(authority: Authority) -> Iterator[Receiver]:
    with Receiver(tls=authority.context("127.0.0.1", "localhost")) as running:
        yield running


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A listener whose queue of connections is full: one more is neither taken nor refused, until someone accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        listener.settimeout(5)
        for _ in range(3):
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(listener.getsockname())
        yield listener


@pytest.fixture
def deaf_port(deaf: socket.socket) -> int:
    return int(deaf.getsockname()[1])

"""Dispatchers beside that of the process."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from callbacks.delivery.dispatcher import Dispatcher


@pytest.fixture
def new_dispatcher(loopback: None, settings: Any) -> Iterator[Callable[..., "Dispatcher"]]:
    """Makes a dispatcher with another lease or other intervals than usual."""
    from callbacks.delivery import concurrency  # Django is set up only now
    from callbacks.delivery.dispatcher import Dispatcher
    from callbacks.egress.transport import transport_from

    def new(**given: Any) -> Dispatcher:
        transport = transport_from(settings, max_in_flight=concurrency.SLOTS)
        return stack.enter_context(contextlib.closing(Dispatcher(transport, **given)))

    with contextlib.ExitStack() as stack:
        yield new

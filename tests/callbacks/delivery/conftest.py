"""An affiliate with callbacks, and dispatchers beside that of the process."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from affiliates.models import Affiliate
    from callbacks.delivery.dispatcher import Dispatcher


@pytest.fixture
def affiliate() -> "Affiliate":
    """One with both callbacks."""
    from tests.factories import AffiliateFactory, callbacks_for  # Django is set up only now

    affiliate = AffiliateFactory()
    callbacks_for(affiliate, "https://tracker.example/postback?order={{order.number}}")
    return affiliate


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

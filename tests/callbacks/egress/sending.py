"""How the tests of the transport send: short limits, loopback opened, and every request ends in time."""

import contextlib
import ipaddress
import time
from collections.abc import Iterator

from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import KINDS, Outcome, Request
from callbacks.egress.response import Limits
from callbacks.egress.transport import Transport
from tests.receiver import Answer, Receiver

LIMITS = Limits(connect_s=0.5, total_s=0.8)
# For many requests that wait for their deadlines together, so that quick ones have enough time on a busy machine.
AMPLE_LIMITS = Limits(connect_s=1.5, total_s=2.0)
GRACE_S = 0.3
HEADERS = (("User-Agent", "AffiliatePostbacks/0"),)
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def policy(*ports: int) -> Policy:
    return Policy(LOOPBACK, frozenset(ports))


def outcomes_of(transport: Transport, *requests: Request, within_s: float = 5.0) -> dict[int, Outcome]:
    """Send these requests; the outcome of each by its key."""
    for request in requests:
        transport.submit(request)
    outcomes: dict[int, Outcome] = {}
    deadline = time.monotonic() + within_s
    while transport.in_flight and time.monotonic() < deadline:
        for outcome in transport.poll(0.1):
            assert outcome.key not in outcomes
            outcomes[outcome.key] = outcome
    assert len(outcomes) == len(requests)
    return outcomes


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer than that."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def get(url: str, key: int = 1, headers: tuple[tuple[str, str], ...] = HEADERS) -> Request:
    return Request(key, "GET", url, headers, None)


def send(request: Request, port: int = 80, *, limits: Limits = LIMITS, ca_bundle: str | None = None) -> Outcome:
    """The outcome of a request by a transport of its own, which must end in time."""
    with (
        within(limits.total_s + GRACE_S),
        Transport(policy(port), limits=limits, ca_bundle=ca_bundle) as transport,
    ):
        outcome = outcomes_of(transport, request)[request.key]
    assert outcome.error_kind in KINDS
    assert outcome.detail.endswith(".")
    return outcome


def outcome_of(receiver: Receiver, answer: Answer, path: str = "/", limits: Limits = LIMITS) -> Outcome:
    receiver.answer(path, answer)
    return send(get(receiver.url(path)), receiver.port, limits=limits)

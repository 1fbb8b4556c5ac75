"""Name lookups: a silent name server delays only requests to that name, and cached names need no waiting."""

import threading
import time

import pytest

from callbacks.egress import dns
from callbacks.egress.dns import Resolver, system_lookup
from callbacks.egress.transport import Transport
from tests.callbacks.egress.sending import AMPLE_LIMITS, GRACE_S, LIMITS, get, outcomes_of, policy, within
from tests.name_server import NameServer
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

NAME = "tracker.example"


def results_in_time(resolver: Resolver) -> dict[str, tuple[str, ...]]:
    resolver.wait(5)
    return dict(resolver.results())


# --- in the transport --------------------------------------------------------
def test_name_is_looked_up_once_and_called_at_its_address(receiver: Receiver) -> None:
    urls = [f"http://{host}:{receiver.port}/" for host in (NAME, NAME.upper(), f"{NAME}.", "a_b.example")]
    with (
        NameServer({NAME: ["127.0.0.1"], "a_b.example": ["127.0.0.1"]}) as name_server,
        Transport(policy(receiver.port), limits=LIMITS, look_up=name_server.look_up, max_in_flight=5) as transport,
    ):
        outcomes = outcomes_of(transport, *(get(urls[key % 4], key) for key in range(20)))
    assert [outcome.remote_address for outcome in outcomes.values()] == ["127.0.0.1"] * 20
    assert name_server.asked == {NAME: 2, "a_b.example": 1}  # with and without the dot that ends it


def test_name_that_leads_nowhere_is_kind_dns(receiver: Receiver) -> None:
    with (
        NameServer({}) as name_server,
        Transport(policy(receiver.port), limits=LIMITS, look_up=name_server.look_up) as transport,
    ):
        outcome = outcomes_of(transport, get(f"http://{NAME}:{receiver.port}/"))[1]
    assert (outcome.error_kind, outcome.detail) == ("dns", f"The host name {NAME} was not found.")


def test_name_that_takes_30_s_is_a_timeout_and_keeps_nobody_else_waiting(receiver: Receiver) -> None:
    silent = {f"silent{n}.example": None for n in range(60)}
    urls = [f"http://{name}:{receiver.port}/" for name in [*silent, NAME]]
    with (
        NameServer({**silent, NAME: ["127.0.0.1"]}) as name_server,
        within(AMPLE_LIMITS.connect_s + GRACE_S),
        Transport(policy(receiver.port), limits=AMPLE_LIMITS, look_up=name_server.look_up) as transport,
    ):
        outcomes = outcomes_of(transport, *(get(url, key) for key, url in enumerate(urls)))
    assert outcomes[60].is_success
    assert (outcomes[60].total_ms or 1e9) < 1000
    for key in range(60):
        assert outcomes[key].error_kind == "timeout"
        assert outcomes[key].detail == (f"The DNS lookup of silent{key}.example took longer than 1.5 seconds.")
        assert 1500 <= (outcomes[key].total_ms or 0) < 1800


def test_slow_name_spends_the_time_of_its_request(receiver: Receiver) -> None:
    receiver.answer("/silent", Answer(delay_s=30))
    late = threading.Event()

    def look_up(_: str) -> tuple[str, ...]:
        late.wait(0.3)
        return ("127.0.0.1",)

    url = f"http://{NAME}:{receiver.port}"
    with Transport(policy(receiver.port), limits=AMPLE_LIMITS, look_up=look_up, max_in_flight=1) as transport:
        with within(AMPLE_LIMITS.total_s + GRACE_S):
            first = outcomes_of(transport, get(f"{url}/silent"))[1]
        second = outcomes_of(transport, get(f"{url}/silent", 2))[2]
    assert (first.error_kind, first.detail) == ("timeout", "No answer within 2 seconds.")
    assert 290 <= (first.dns_ms or 0)
    assert 1990 <= (first.total_ms or 0) < 2300
    assert (second.dns_ms or 0) < 300  # and the whole of its time is its own
    assert 1990 <= (second.total_ms or 0) < 2300


def test_close_does_not_wait_for_silent_names(receiver: Receiver) -> None:
    with NameServer({NAME: None}) as name_server, within(1):
        with Transport(policy(receiver.port), look_up=name_server.look_up) as transport:
            transport.submit(get(f"http://{NAME}:{receiver.port}/"))
            assert transport.poll(0.05) == []
            assert transport.in_flight == 1
        assert transport.in_flight == 0


# --- the cache ---------------------------------------------------------------
class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_cached_name_is_looked_up_again_after_a_minute_and_used_meanwhile() -> None:
    clock = Clock()
    with NameServer({NAME: [["127.0.0.1"], ["127.0.0.2"]]}) as name_server:
        resolver = Resolver(name_server.look_up, clock=clock)
        assert resolver.cached(NAME) == ()
        assert results_in_time(resolver) == {NAME: ("127.0.0.1",)}
        clock.now += dns.FRESH_S
        assert resolver.cached(NAME) == ("127.0.0.1",)
        assert not resolver.is_busy
        clock.now += 1
        assert resolver.cached(NAME) == ("127.0.0.1",)  # at once, while the next lookup runs
        assert results_in_time(resolver) == {NAME: ("127.0.0.2",)}
        assert resolver.cached(NAME) == ("127.0.0.2",)
    assert name_server.asked == {NAME: 2}


def test_cached_name_is_used_for_ten_minutes_while_its_dns_fails() -> None:
    clock = Clock()
    with NameServer({NAME: [["127.0.0.1"], []]}) as name_server:
        resolver = Resolver(name_server.look_up, clock=clock)
        resolver.cached(NAME)
        results_in_time(resolver)
        clock.now += dns.USABLE_S
        assert resolver.cached(NAME) == ("127.0.0.1",)
        assert results_in_time(resolver) == {NAME: ()}
        assert resolver.cached(NAME) == ("127.0.0.1",)
        clock.now += 1
        assert resolver.cached(NAME) == ()


def test_names_beyond_the_limit_wait_for_a_thread() -> None:
    running, may_end = [], threading.Event()

    def look_up(name: str) -> tuple[str, ...]:
        running.append(name)
        may_end.wait(5)
        return (f"127.0.0.{name}",)

    resolver = Resolver(look_up, max_threads=2)
    for name in "12345":
        assert resolver.cached(name) == ()
    wait_until(lambda: len(running) == 2, 5)
    may_end.set()
    found: dict[str, tuple[str, ...]] = {}
    deadline = time.monotonic() + 5
    while len(found) < 5 and time.monotonic() < deadline:
        found |= results_in_time(resolver)
    assert found == {name: (f"127.0.0.{name}",) for name in "12345"}
    assert not resolver.is_busy


def test_cache_of_names_is_bounded() -> None:
    resolver = Resolver(lambda name: (name,), max_cached=3)
    for number in range(10):
        resolver.cached(f"127.0.0.{number}")
        results_in_time(resolver)
        assert len(resolver._cache) <= 3


@pytest.mark.parametrize(
    ("name", "found"), [("localhost", True), ("127.1", True), ("a" * 64 + ".example", False), ("", False)]
)
def test_system_lookup_never_raises(name: str, found: bool) -> None:
    addresses = system_lookup(name)
    assert bool(addresses) == found
    assert set(addresses) <= {"127.0.0.1", "::1"}
    assert len(set(addresses)) == len(addresses)

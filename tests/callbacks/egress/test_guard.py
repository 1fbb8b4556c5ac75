"""The guard at the socket: an address is judged when it is about to be connected to, and one refusal ends it all."""

import ipaddress
import socket
import time
from typing import Any

import pycurl
import pytest

from callbacks.editor import check
from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import Outcome, Request
from callbacks.egress.response import Limits
from callbacks.egress.transfer import Transfer
from callbacks.egress.transport import Transport
from tests.callbacks.egress.sending import GRACE_S, LIMITS, get, outcomes_of, policy, within
from tests.callbacks.templates import ADDRESSES
from tests.name_server import NameServer
from tests.receiver import Answer, Receiver

NAME = "tracker.example"
ONLY_ONE = (ipaddress.ip_network("127.0.0.1/32"),)


def called(addresses: list[str], port: int = 80, allowed: Policy | None = None, limits: Limits = LIMITS) -> Outcome:
    """The outcome of calling a name that leads to `addresses`, in this order."""
    with (
        within(limits.total_s + GRACE_S),
        NameServer({NAME: addresses}) as name_server,
        Transport(allowed or Policy(), limits=limits, look_up=name_server.look_up) as transport,
    ):
        outcome = outcomes_of(transport, get(f"http://{NAME}:{port}/"))[1]
    assert name_server.asked == {NAME: 1}
    return outcome


@pytest.mark.parametrize("address", ADDRESSES["must_block"])
def test_blocked_address_behind_a_name_is_not_connected_to(address: str) -> None:
    outcome = called([address])
    assert outcome.error_kind == "blocked_address"
    assert outcome.detail == f"{NAME} resolves to an address that postbacks may not be sent to."
    assert outcome.remote_address == ""


@pytest.mark.parametrize("address", ADDRESSES["must_block"])
def test_blocked_address_in_the_url_is_not_connected_to(address: str) -> None:
    with Transport(Policy(), limits=LIMITS) as transport:
        outcome = outcomes_of(transport, get(f"http://{f'[{address}]' if ':' in address else address}/"))[1]
    assert outcome.error_kind == "blocked_address"


@pytest.mark.parametrize("url", ADDRESSES["urls_never_called"])
def test_url_never_called_is_refused_before_any_connection(url: str) -> None:
    with Transport(Policy(), limits=LIMITS) as transport:
        outcome = outcomes_of(transport, get(url))[1]
    assert outcome.error_kind in {"bad_url", "blocked_address", "blocked_port", "dns"}
    assert outcome.remote_address == ""


@pytest.mark.parametrize("address", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "a.localhost"])
def test_loopback_in_other_notations_is_blocked(receiver: Receiver, address: str) -> None:
    with Transport(Policy(ports=frozenset({receiver.port})), limits=LIMITS) as transport:
        outcome = outcomes_of(transport, get(f"http://{address}:{receiver.port}/"))[1]
    assert outcome.error_kind in {"blocked_address", "dns"}
    assert receiver.connections == 0


@pytest.mark.parametrize("first", ["127.0.0.2", "::1"])
def test_blocked_address_beside_a_good_one_fails_the_attempt_without_fallback(receiver: Receiver, first: str) -> None:
    outcome = called([first, "127.0.0.1"], receiver.port, Policy(ONLY_ONE, frozenset({receiver.port})))
    assert outcome.error_kind == "blocked_address"
    assert receiver.connections == 0


@pytest.mark.parametrize("second", ["127.0.0.2", "::1"])
def test_blocked_address_met_while_a_good_one_is_slow_ends_the_attempt(deaf_port: int, second: str) -> None:
    allowed = Policy(ONLY_ONE, frozenset({deaf_port}))
    limits = Limits(connect_s=3, total_s=3)
    started = time.monotonic()
    outcome = called(["127.0.0.1", second], deaf_port, allowed, limits)
    assert outcome.error_kind == "blocked_address"
    assert time.monotonic() - started < 2  # not only when the good one has failed


class OvertakenTransport(Transport):
    """The connection to the good address comes about at the very moment when the blocked one is refused."""

    deaf: socket.socket
    taken: list[socket.socket]
    ports: frozenset[int]

    def _new_transfer(self) -> Transfer:
        transfer = super()._new_transfer()

        def open_socket(purpose: int, address: Any) -> Any:
            if address.addr[0] != "127.0.0.1":
                self.deaf.listen(16)  # room for all who knock: with one place others could take it time and again
                while not self.taken or self.taken[-1].getpeername()[1] not in self.ports:
                    self.taken.append(self.deaf.accept()[0])
                return transfer._open_socket(purpose, address)
            opened = transfer._open_socket(purpose, address)
            opened.bind(("127.0.0.1", 0))
            self.ports = frozenset({opened.getsockname()[1]})
            return opened

        transfer.curl.setopt(pycurl.OPENSOCKETFUNCTION, open_socket)
        return transfer


def test_blocked_address_met_while_a_good_one_connects_sends_nothing(deaf: socket.socket) -> None:
    port = deaf.getsockname()[1]
    allowed, limits = Policy(ONLY_ONE, frozenset({port})), Limits(connect_s=9, total_s=9)
    with (
        NameServer({NAME: ["127.0.0.1", "127.0.0.2"]}) as name_server,
        OvertakenTransport(allowed, limits=limits, look_up=name_server.look_up) as transport,
    ):
        transport.deaf, transport.taken = deaf, []
        outcome = outcomes_of(transport, get(f"http://{NAME}:{port}/"))[1]
    assert outcome.error_kind == "blocked_address"
    received = transport.taken[-1].recv(1000)
    for connection in transport.taken:
        connection.close()
    assert received == b""


def test_good_address_that_refuses_is_followed_by_the_next_good_one(receiver: Receiver) -> None:
    allowed = Policy((ipaddress.ip_network("127.0.0.0/8"),), frozenset({receiver.port}))
    outcome = called(["127.0.0.3", "127.0.0.1"], receiver.port, allowed)  # nothing listens on 127.0.0.3
    assert outcome.is_success
    assert outcome.remote_address == "127.0.0.1"


def test_good_address_that_refuses_is_not_followed_by_a_blocked_one() -> None:
    with Receiver(host="127.0.0.2") as receiver:
        outcome = called(["127.0.0.1", "127.0.0.2"], receiver.port, Policy(ONLY_ONE, frozenset({receiver.port})))
        assert outcome.error_kind == "blocked_address"
        assert receiver.connections == 0


@pytest.mark.parametrize("bad", ["127.0.0.2", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254"])
def test_name_that_changes_its_answer_between_check_and_connect_is_refused_at_the_socket(
    receiver: Receiver, bad: str
) -> None:
    url, allowed = f"http://{NAME}:{receiver.port}/", Policy(ONLY_ONE, frozenset({receiver.port}))
    assert not check.check(url, allowed).problems  # what is checked when it is saved
    with NameServer({NAME: [["127.0.0.1"], [bad]]}) as name_server:
        kinds = []
        for _ in range(2):  # each with nothing remembered, as after a minute
            with Transport(allowed, limits=LIMITS, look_up=name_server.look_up) as transport:
                kinds.append(outcomes_of(transport, get(url))[1].error_kind)
    assert kinds == ["", "blocked_address"]
    assert name_server.asked == {NAME: 2}  # once for each attempt: what was judged is what is connected to
    assert receiver.connections == 1


def test_port_that_is_not_allowed_is_not_connected_to(receiver: Receiver) -> None:
    with Transport(Policy(ONLY_ONE), limits=LIMITS) as transport:
        outcome = outcomes_of(transport, get(receiver.url()))[1]
    assert (outcome.error_kind, outcome.detail) == (
        "blocked_port",
        f"Postbacks may not be sent to port {receiver.port}.",
    )
    assert receiver.connections == 0


def test_redirect_to_a_blocked_address_is_not_followed(receiver: Receiver) -> None:
    receiver.answer("/", Answer(status=302, headers=(("Location", "http://169.254.169.254/"),)))
    with Transport(policy(receiver.port), limits=LIMITS) as transport:
        outcome = outcomes_of(transport, get(receiver.url()))[1]
    assert (outcome.error_kind, len(receiver.requests)) == ("redirect", 1)


def test_metadata_address_stays_closed_in_an_opened_network() -> None:
    everything = Policy((ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))
    assert called(["169.254.169.254"], allowed=everything).error_kind == "blocked_address"


def test_blocked_attempt_does_not_spoil_the_next_one(receiver: Receiver) -> None:
    allowed = Policy(ONLY_ONE, frozenset({receiver.port}))
    with (
        NameServer({NAME: ["127.0.0.2"]}) as name_server,
        Transport(allowed, limits=LIMITS, look_up=name_server.look_up, max_in_flight=1) as transport,
    ):
        blocked = get(f"http://{NAME}:{receiver.port}/")
        outcomes = outcomes_of(transport, blocked, get(receiver.url(), 2), Request(3, "GET", blocked.url, (), None))
    assert [outcomes[key].error_kind for key in (1, 2, 3)] == ["blocked_address", "", "blocked_address"]


def test_no_socket_stays_open_after_close(receiver: Receiver) -> None:
    with Transport(policy(receiver.port), limits=LIMITS) as transport:
        outcomes_of(transport, *(get(receiver.url(), key) for key in range(20)))
        assert receiver.connections > 1
    receiver.wait_for_connections(0)

"""A URL means the same when it is saved, when it is rendered and on the wire, or it is not called at all.

A proxy on loopback records the host and the port that libcurl reads in a URL.
"""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callbacks.editor import check
from callbacks.egress import targets
from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import Outcome
from callbacks.egress.proxy import proxy_from
from callbacks.egress.transport import Transport
from callbacks.postback import syntax
from callbacks.postback.render import RenderError, render
from tests.callbacks.egress.sending import LIMITS, get, outcomes_of
from tests.callbacks.templates import CASES, NEVER_CALLED, values_of
from tests.proxy import Proxy

WRONG_TARGETS = {"bad_host", "bad_scheme", "blocked_address", "blocked_port", "credentials"}
PORTS = Policy(ports=frozenset({81, 8000}))


@dataclass
class Probe:
    """Sends through a proxy that connects to nothing and records what it was asked for."""

    proxy: Proxy
    transport: Transport

    def send(self, url: str) -> tuple[Outcome, list[str], list[bytes]]:
        """The outcome, and the destinations and heads of the requests to the proxy."""
        self.proxy.destinations.clear()
        self.proxy.heads.clear()
        return outcomes_of(self.transport, get(url))[1], list(self.proxy.destinations), list(self.proxy.heads)


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with Proxy({}) as proxy, Transport(PORTS, limits=LIMITS, proxy=proxy_from(proxy.url)) as transport:
        yield Probe(proxy, transport)


def host_and_port(text: str) -> tuple[str, str]:
    """Host and port, with an address in its shortest form, as libcurl writes it."""
    host, _, port = text.lower().rpartition(":")
    if host.removesuffix(".").rpartition(".")[2].isdigit():
        host = host.removesuffix(".")  # which an address may have, and libcurl drops
    try:
        return str(ip_address(host.strip("[]"))), port
    except ValueError:
        with contextlib.suppress(OSError):
            return socket.inet_ntoa(socket.inet_aton(host)), port
    return host, port


def assert_read_alike(typed: str, probe: Probe) -> bool:
    """Whether `typed` may be saved. If so, it must be called at the host and port that were judged, else not at all."""
    finding = check.check(typed, PORTS, send_as_typed=True)
    if finding.problems:
        try:
            url = render(finding.template, {})
        except RenderError:
            url = finding.template
        if WRONG_TARGETS.intersection(problem.code for problem in finding.problems):
            assert probe.send(url)[1:] == ([], [])
        return False
    url = render(finding.template, {})
    target = targets.read(finding.template)
    assert url == target.url
    assert targets.read(url) == target  # once more makes no difference
    outcome, destinations, heads = probe.send(url)
    assert outcome.error_kind in {"proxy", "status"}, outcome  # the proxy was asked
    assert list(map(host_and_port, destinations)) == [host_and_port(f"{target.host}:{target.port}")]
    if target.scheme == "http":
        sent = urlsplit(heads[0].split(b" ")[1].decode("ascii"))
        assert (sent.path, sent.query) == (urlsplit(url).path, urlsplit(url).query)
    return True


@pytest.mark.parametrize("url", NEVER_CALLED)
def test_url_never_called_is_refused_when_saved_and_when_sent(url: str, probe: Probe) -> None:
    assert check.check(url, PORTS).problems
    outcome, destinations, heads = probe.send(url)
    assert outcome.error_kind in {"bad_url", "blocked_address", "blocked_port"}
    assert (destinations, heads) == ([], [])


@pytest.mark.parametrize("case", [case for case in CASES["cases"] if "url" in case], ids=itemgetter("name"))
def test_worked_case_is_called_where_its_template_was_judged(case: dict[str, Any], probe: Probe) -> None:
    template = check.check(case["template"], PORTS, send_as_typed=True).template
    target = targets.read(syntax.outline(syntax.scan(template)[0]).url)
    url = render(template, values_of(CASES["contexts"][case["context"]]))
    outcome, destinations, _ = probe.send(url)
    assert outcome.error_kind in {"proxy", "status"}
    assert list(map(host_and_port, destinations)) == [host_and_port(f"{target.host}:{target.port}")]


@pytest.mark.parametrize(
    "url",
    [
        "http://tracker.example", "http://TRACKER.Example:80/", "https://tracker.example:443", "http://tracker.example.:81/",
        "https://tracker.example:/x", "https://tracker.example:00443/x", "http://bücher.example/ü?ü", "http://BÜCHER.example/",
        "http://xn--bcher-kva.example/", "http://faß.example/", "http://a_b.example/", "http://1.1.1.1:8000/",
        "http://tracker.example:\uff18\uff10/",
        "http://[2606:4700:4700::1111]/", "https://[2606:4700:4700:0:0:0:0:1111]:8443/", "http://[::ffff:8.8.8.8]/",
        "http://0x8.8.8.8/", "http://tracker.example/@127.0.0.1/", "http://tracker.example?@127.0.0.1/",
        "http://tracker.example#@127.0.0.1/", "http://tracker.example/\\@127.0.0.1/", "http://tracker.example/a b?c=d",
        "http://tracker.example:8000#:80:90@x/:", "http://%74racker.example/",
        "http://tracker.example//127.0.0.1/", "http://tracker.example/?u=http://127.0.0.1/", "hTTp://tracker.example/",
    ],
)  # fmt: skip
def test_url_that_may_be_saved_is_called_where_it_was_judged(url: str, probe: Probe) -> None:
    assert assert_read_alike(url, probe)


@pytest.mark.parametrize(
    "url",
    [
        "http://tracker.example\\@127.0.0.1/", "http://tracker.example@127.0.0.1/", "http://127.0.0.1\\tracker.example/",
        "http://tracker.example%2f@127.0.0.1/", "http://tracker.example:80@127.0.0.1/", "http://127.0.0.1%00.example/",
        "http://tracker.example:80:8000/", "http://tracker.example:-80/",
        "http://tracker.example:80x/", "http://tracker.example:0x50/",
        "http://127.0.0.1\u3002example/", "http://loc\u00adalhost/", "http://127.0.0.1%20/", "http://[fe80::1%25eth0]/",
        "http://[::ffff:127.0.0.1]/", "http://[::127.0.0.1]/", "http://tracker..example/", "http://.tracker.example/",
        "http:tracker.example/", "http:///tracker.example/", "http:\\\\tracker.example/", "//tracker.example/",
        "http://tracker.example,127.0.0.1/", "http://tracker.example;127.0.0.1/", "http://trac ker.example/",
        "http://-tracker.example/", "http://" + "a" * 64 + ".example/", "http://*.example/",
    ],
)  # fmt: skip
def test_url_that_could_be_read_in_two_ways_is_neither_saved_nor_sent(url: str, probe: Probe) -> None:
    assert not assert_read_alike(url, probe)
    assert probe.send(url)[1:] == ([], [])


HOSTS = [
    *("tracker.example", "bücher.example", "a.b", "localhost", "127.0.0.1", "2130706433", "1.1.1.1"),
    *("[::1]", "[2606:4700::1]"),
]
MARKS = [
    *"@:/\\?#[]%.;,&=+ \t\n\0\u3002\uff0f\uff1a\uff20\u00ad\u2028|^`{}<>\"'~!$*()_-0",
    *("%2f", "%40", "%00", ":80", ":81"),
]
AUTHORITIES = st.lists(st.sampled_from(HOSTS) | st.sampled_from(MARKS), min_size=1, max_size=5).map("".join)
RESTS = st.sampled_from(["", "/", "/x?y=z#w", "?y", "#w", "\\x"])
SCHEMES = st.sampled_from(["http://", "https://", "HTTP://", "http:/", "http:", "http:\\\\", "//"])


@settings(max_examples=300)
@given(st.builds("{}{}{}".format, SCHEMES, AUTHORITIES, RESTS))
@example("http://tracker.example:81/")
def test_url_made_of_what_parsers_disagree_on_is_read_alike(probe: Probe, url: str) -> None:
    assert_read_alike(url, probe)

"""How deliveries are shown: the command that repeats a request, shares of time, words."""

from datetime import timedelta

import pytest

from callbacks.models import Attempt
from callbacks.templatetags import deliveries


def test_curl_command_repeats_the_request_quoted_for_a_shell() -> None:
    sent = Attempt(
        method="POST",
        url="https://tracker.example/?a=it's&b=[1]",
        request_headers=[["Content-Length", "7"], ["webhook-id", "a b"]],
        request_body="{'x':1}",
    )
    assert deliveries.curl_command(sent) == (
        "curl --include --globoff \\\n  --request POST \\\n  --header 'webhook-id: a b' \\\n"
        "  --data-raw '{'\"'\"'x'\"'\"':1}' \\\n  'https://tracker.example/?a=it'\"'\"'s&b=[1]'"
    )
    assert deliveries.curl_command(Attempt(method="GET", url="")) == ""


def test_phases_are_shares_of_the_whole_and_add_up() -> None:
    measured = Attempt(dns_ms=5, connect_ms=23, tls_ms=37, first_byte_ms=70, total_ms=142)
    phases = deliveries.phases(measured)
    assert [(phase.name, phase.ms) for phase in phases] == [
        ("DNS", 5), ("connect", 23), ("TLS", 37), ("answer", 70), ("rest", 7),
    ]  # fmt: skip
    assert sum(phase.share for phase in phases) == pytest.approx(100, abs=0.1)
    assert phases[-1].start + phases[-1].share == pytest.approx(100, abs=0.1)
    assert deliveries.phases(Attempt()) == []
    silent = Attempt(connect_ms=23, total_ms=10_000)
    assert [phase.name for phase in deliveries.phases(silent)] == ["connect", "waiting"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "less than a second"), (8, "8 s"), (303, "5 min 3 s"), (7200, "2 h"), (7800, "2 h 10 min"),
     (273600, "3 d 4 h"), (86405, "1 d"), (-3, "less than a second")],
)  # fmt: skip
def test_duration_names_the_two_largest_units(seconds: float, expected: str) -> None:
    assert deliveries.duration(timedelta(seconds=seconds)) == expected

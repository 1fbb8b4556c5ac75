"""The sentences of what no socket of a test can bring about, and that every kind there is has its meaning."""

import errno

import pycurl
import pytest

from callbacks.egress.outcome import KINDS, Failure, explain_failure, readable_host

URL = "https://tracker.example/postback?secret=1"


@pytest.mark.parametrize(
    ("failure", "kind", "detail"),
    [
        (
            Failure(pycurl.E_OPERATION_TIMEDOUT, "", URL, is_resolved=False, seconds=5.0),
            "timeout",
            "The name tracker.example was not found within 5 seconds: its DNS did not answer.",
        ),
        (
            Failure(pycurl.E_OPERATION_TIMEDOUT, "", URL, seconds=10.0),
            "timeout",
            "No answer came within 10 seconds.",
        ),
        (
            Failure(pycurl.E_COULDNT_CONNECT, "", URL, os_errno=errno.EHOSTUNREACH),
            "connect",
            "tracker.example could not be reached: there is no route to it.",
        ),
        (Failure(pycurl.E_COULDNT_CONNECT, "", URL), "connect", "tracker.example could not be reached."),
        (
            Failure(pycurl.E_PEER_FAILED_VERIFICATION, "", URL, verify_result=9),
            "tls",
            "The certificate of tracker.example is not valid yet.",
        ),
        (
            Failure(pycurl.E_PEER_FAILED_VERIFICATION, "", URL, verify_result=99),
            "tls",
            "The certificate of tracker.example is not valid.",
        ),
        (Failure(100, "", URL), "too_large", "The headers of the answer were too long to be read."),
        (Failure(9999, "", URL), "protocol", "The tracker answered with something that is not valid HTTP."),
    ],
)
def test_failure_has_its_kind_and_sentence(failure: Failure, kind: str, detail: str) -> None:
    assert explain_failure(failure) == (kind, detail)


@pytest.mark.parametrize("code", sorted(code for name, code in vars(pycurl).items() if name.startswith("E_")))
def test_every_error_of_libcurl_has_a_known_kind_and_a_sentence_without_the_query(code: int) -> None:
    kind, detail = explain_failure(Failure(code, "whatever", URL))
    assert kind in KINDS
    assert kind
    assert detail.endswith(".")
    assert "secret" not in detail


def test_host_of_what_cannot_be_split_is_a_word_for_it() -> None:
    assert readable_host("http://[/") == readable_host("") == "The host"

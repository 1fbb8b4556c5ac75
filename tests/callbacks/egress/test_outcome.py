"""The sentences about failures that no socket of a test can cause, and that every kind of failure is known."""

import errno

import pycurl
import pytest

from callbacks.egress.outcome import KINDS, Failure, explain_failure, readable_host

URL = "https://tracker.example/postback?secret=1"


TIMEOUT = pycurl.E_OPERATION_TIMEDOUT
NO_CONNECTION = pycurl.E_COULDNT_CONNECT
UNVERIFIED = pycurl.E_PEER_FAILED_VERIFICATION


@pytest.mark.parametrize(
    ("failure", "kind", "detail"),
    [
        (
            Failure(TIMEOUT, "", URL, is_resolved=False, seconds=5.0),
            "timeout",
            "The name tracker.example was not found within 5 seconds: its DNS did not answer.",
        ),
        (Failure(TIMEOUT, "", URL, seconds=10.0), "timeout", "No answer came within 10 seconds."),
        (
            Failure(TIMEOUT, "", URL, status_code=200, seconds=0.8),
            "timeout",
            "The tracker answered 200 OK, but its answer did not end within 0.8 seconds.",
        ),
        (
            Failure(NO_CONNECTION, "", URL, os_errno=errno.EHOSTUNREACH),
            "connect",
            "tracker.example could not be reached: there is no route to it.",
        ),
        (Failure(NO_CONNECTION, "", URL), "connect", "tracker.example could not be reached."),
        (Failure(UNVERIFIED, "", URL, verify_result=9), "tls", "The certificate of tracker.example is not valid yet."),
        (
            Failure(UNVERIFIED, "", URL, verify_result=99),
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

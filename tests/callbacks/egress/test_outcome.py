"""The sentences about failures that no socket of a test can cause, and that every kind of failure is known."""

import errno

import pycurl
import pytest

from callbacks.egress.outcome import KINDS, Failure, explain_failure, explain_status, readable_host, sentence_of

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
            "The DNS lookup of tracker.example took longer than 5 seconds.",
        ),
        (Failure(TIMEOUT, "", URL, seconds=10.0), "timeout", "No answer within 10 seconds."),
        (
            Failure(TIMEOUT, "", URL, status_code=200, seconds=0.8),
            "timeout",
            "The tracker answered 200 OK, but the answer was not complete within 0.8 seconds.",
        ),
        (
            Failure(NO_CONNECTION, "", URL, os_errno=errno.EHOSTUNREACH),
            "connect",
            "tracker.example could not be reached: there is no route to the host.",
        ),
        (Failure(NO_CONNECTION, "", URL), "connect", "Could not connect to tracker.example."),
        (Failure(UNVERIFIED, "", URL, verify_result=9), "tls", "The certificate of tracker.example is not valid yet."),
        (
            Failure(UNVERIFIED, "", URL, verify_result=99),
            "tls",
            "The certificate of tracker.example is not valid.",
        ),
        (Failure(100, "", URL), "too_large", "The headers of the answer are too long."),
        (Failure(9999, "", URL), "protocol", "The answer of the tracker is not valid HTTP."),
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


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("status", [None, 200, 302, 502])
def test_every_kind_is_said_again_from_what_is_stored_and_remembers_what_it_was_made_of(
    kind: str, status: int | None
) -> None:
    sentence = sentence_of(kind, status, url=URL)
    assert (sentence.endswith("."), "{" in sentence, "secret=1" in sentence) == (True, False, False)
    assert sentence.text.format(**sentence.params) == sentence


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure(pycurl.E_COULDNT_RESOLVE_HOST, "", URL), None),
        (Failure(NO_CONNECTION, "", URL), None),
        (Failure(pycurl.E_PARTIAL_FILE, "", URL, status_code=200), 200),
        (Failure(100, "", URL), None),
    ],
)
def test_sentence_that_the_kind_is_enough_for_is_said_again_word_for_word(failure: Failure, status: int | None) -> None:
    kind, detail = explain_failure(failure)
    assert sentence_of(kind, status, url=URL) == detail


@pytest.mark.parametrize(("status", "location"), [(200, ""), (500, ""), (302, "https://new.example/"), (302, "")])
def test_sentence_of_a_complete_answer_is_said_again_word_for_word(status: int, location: str) -> None:
    kind, detail = explain_status(status, location or None)
    assert sentence_of(kind, status, url=URL, location=location) == detail

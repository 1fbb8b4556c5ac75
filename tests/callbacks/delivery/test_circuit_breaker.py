from datetime import timedelta

import pytest
from django.utils import timezone

from callbacks.delivery import circuit_breaker
from callbacks.egress.outcome import Outcome
from callbacks.models import TroubledHost

pytestmark = pytest.mark.django_db

SILENCE, ANSWER = Outcome(1, None, "timeout", ""), Outcome(1, 500, "status", "")


def known() -> dict[str, int]:
    return dict(TroubledHost.objects.values_list("host", "failures"))


@pytest.mark.parametrize(
    ("kind", "unanswered"),
    [("connect", True), ("timeout", True), ("dns", True), ("tls", True), ("closed", True), ("protocol", True),
     ("", False), ("status", False), ("redirect", False), ("blocked_address", False), ("template", False)],
)  # fmt: skip
def test_is_unanswered_only_where_the_host_did_not_answer(kind: str, unanswered: bool) -> None:
    assert circuit_breaker.is_unanswered(Outcome(1, None, kind, "")) is unanswered


def test_record_failures_in_a_row_are_counted_over_batches() -> None:
    circuit_breaker.record([("a", SILENCE)] * 4, ())
    circuit_breaker.record([("a", SILENCE)] * 5, ["a"])
    assert (known(), circuit_breaker.troubled()) == ({"a": 9}, {"a": False})
    circuit_breaker.record([("a", SILENCE)], ["a"])
    assert circuit_breaker.troubled() == {"a": True}


def test_record_answer_ends_the_row() -> None:
    circuit_breaker.record([("a", SILENCE)] * 20, ())
    circuit_breaker.record([("a", ANSWER), ("b", ANSWER)], ["a"])
    assert known() == {}


def test_record_answer_amid_failures_counts_those_after_it() -> None:
    circuit_breaker.record([("a", SILENCE)] * 20 + [("a", ANSWER)] + [("a", SILENCE)] * 2, ())
    assert known() == {"a": 2}


def test_record_healthy_hosts_cost_no_query(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        circuit_breaker.record([("a", ANSWER)] * 100, ())


def test_take_probes_is_for_one_caller_and_not_before_its_time() -> None:
    circuit_breaker.record([("a", SILENCE)] * 10 + [("b", SILENCE)] * 9, ())
    assert circuit_breaker.take_probes() == []
    TroubledHost.objects.update(probe_at=timezone.now() - timedelta(seconds=1))
    assert circuit_breaker.take_probes() == ["a"]
    assert circuit_breaker.take_probes() == []

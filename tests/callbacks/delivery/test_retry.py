"""The schedule: every rule, as a function of its arguments."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callbacks.delivery.retry import FINAL_KINDS, WAITS, Decision, decide, retry_after_seconds
from callbacks.egress.outcome import KINDS, Outcome

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def answer(status: int | None, *, kind: str = "status", retry_after: str | None = None) -> Outcome:
    return Outcome(1, status, kind, "A sentence.", retry_after=retry_after)


def decided(
    outcome: Outcome, *, retry_step: int = 0, was_gone: bool = False, now: datetime = NOW, jitter: float = 0.0
) -> Decision:
    return decide(outcome, retry_step=retry_step, was_gone=was_gone, now=now, jitter=jitter)


# --- the schedule ------------------------------------------------------------
def test_schedule_is_ten_attempts_in_about_75_hours() -> None:
    waits = [timedelta(seconds=5), 5 * MINUTE, 30 * MINUTE, *(hours * HOUR for hours in (2, 5, 10, 14, 20, 24))]
    decision, now, seen = decided(answer(500)), NOW, []
    while decision.status == "pending":
        assert decision.next_attempt_at is not None
        seen.append(decision.next_attempt_at - now)
        now = decision.next_attempt_at
        decision = decided(answer(500), retry_step=decision.retry_step, now=now)
    assert seen == waits
    assert decision == Decision("failed", None, 9, False)
    assert timedelta(hours=75) < now - NOW < timedelta(hours=76)


@pytest.mark.parametrize("step", range(len(WAITS)))
def test_jitter_stretches_every_wait_by_up_to_a_tenth(step: int) -> None:
    assert decided(answer(500), retry_step=step, jitter=1.0).next_attempt_at == NOW + WAITS[step] * 1.1
    assert decided(answer(500), retry_step=step, jitter=0.5).next_attempt_at == NOW + WAITS[step] * 1.05


@pytest.mark.parametrize("step", [0, 4, 9])
def test_2xx_succeeds_at_every_step(step: int) -> None:
    outcome = answer(204, kind="", retry_after="60")
    assert decided(outcome, retry_step=step, was_gone=True) == Decision("succeeded", None, step, False)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - FINAL_KINDS - {""}))
def test_every_other_failure_is_tried_again(kind: str) -> None:
    assert decided(answer(None, kind=kind), retry_step=1) == Decision("pending", NOW + 5 * MINUTE, 2, False)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 429, 500, 503])
def test_every_status_but_2xx_and_410_is_tried_again(status: int) -> None:
    assert decided(answer(status)).status == "pending"


@pytest.mark.parametrize("kind", ["bad_request", "bad_url", "blocked_address", "blocked_port", "template"])
def test_what_only_a_person_can_repair_fails_at_once(kind: str) -> None:
    assert decided(answer(None, kind=kind, retry_after="60")) == Decision("failed", None, 0, False)


def test_2xx_whose_body_broke_off_is_tried_again() -> None:
    assert decided(answer(200, kind="closed")).status == "pending"


# --- 410 ---------------------------------------------------------------------
@pytest.mark.parametrize("step", [0, 3, 9])
def test_first_410_is_confirmed_an_hour_later_and_uses_no_step(step: int) -> None:
    assert decided(answer(410), retry_step=step) == Decision("pending", NOW + HOUR, step, False)
    assert decided(answer(410), retry_step=step, jitter=1.0).next_attempt_at == NOW + 66 * MINUTE


def test_second_410_in_a_row_fails_and_pauses_the_setting() -> None:
    assert decided(answer(410), retry_step=2, was_gone=True) == Decision("failed", None, 2, True)


def test_other_failure_after_a_410_goes_on_with_the_schedule() -> None:
    assert decided(answer(500), retry_step=2, was_gone=True) == Decision("pending", NOW + 30 * MINUTE, 3, False)


# --- Retry-After -------------------------------------------------------------
@pytest.mark.parametrize(
    ("raw", "step", "wait"),
    [
        ("120", 0, timedelta(seconds=120)),
        ("120", 2, 30 * MINUTE),
        ("0", 0, timedelta(seconds=5)),
        ("-5", 0, timedelta(seconds=5)),
        ("Sat, 14 Mar 2026 09:36:53 GMT", 0, 10 * MINUTE),
        ("Sat, 14 Mar 2026 09:36:53 GMT", 2, 30 * MINUTE),
        ("Fri, 13 Mar 2026 09:36:53 GMT", 0, timedelta(seconds=5)),
        ("999999999", 0, 24 * HOUR),
        ("Sat, 14 Mar 2099 09:36:53 GMT", 0, 24 * HOUR),
        ("soon", 0, timedelta(seconds=5)),
    ],
)
def test_retry_after_lengthens_a_wait_and_never_shortens_it(raw: str, step: int, wait: timedelta) -> None:
    assert decided(answer(503, retry_after=raw), retry_step=step).next_attempt_at == NOW + wait


def test_retry_after_puts_off_the_confirmation_of_a_410() -> None:
    assert decided(answer(410, retry_after="7200")).next_attempt_at == NOW + 2 * HOUR


def test_retry_after_is_not_stretched_over_a_day_by_jitter() -> None:
    assert decided(answer(503, retry_after="86400"), jitter=1.0).next_attempt_at == NOW + 24 * HOUR


def test_retry_after_gives_no_attempt_more_than_the_schedule() -> None:
    assert decided(answer(503, retry_after="60"), retry_step=9) == Decision("failed", None, 9, False)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (None, 0), ("", 0), (" 7 ", 7), ("7.5", 0), ("+7", 0), ("1e3", 0), ("٣", 0), ("²", 0), ("NaN", 0),
        ("9" * 5000, 86_400), ("86401", 86_400),
        ("Sat, 14 Mar 2026 09:27:53 -0000", 60), ("Sat, 14 Mar 2026 10:27:53 +0100", 60),
        ("Saturday, 14-Mar-26 09:27:53 GMT", 60), ("Sat Mar 14 09:27:53 2026", 60),
        ("Sat, 32 Mar 2026 09:27:53 GMT", 0), ("Sat, 14 Mar 0000 09:27:53 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_seconds_reads_numbers_and_http_dates(raw: str | None, seconds: float) -> None:
    assert retry_after_seconds(raw, NOW) == seconds


@given(st.none() | st.text() | st.integers().map(str) | st.datetimes().map("{:%a, %d %b %Y %H:%M:%S GMT}".format))
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("1 Jan 2026 00:00:00 +999999999999999999999")
def test_retry_after_seconds_is_within_a_day_whatever_stands_in_it(raw: str | None) -> None:
    assert 0 <= retry_after_seconds(raw, NOW) <= 86_400

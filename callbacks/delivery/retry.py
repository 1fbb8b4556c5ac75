"""When to try again: the next state of a delivery after an attempt. One table and one pure function.

What the schedule has to do:

- A tracker that fails for a moment gets the order within seconds; one that is down over a weekend does not lose it.
- A tracker that is back does not get everything at once: every wait is stretched by up to a tenth.
- What another attempt cannot repair is not tried again: a template, an address, a port or a URL that may not be called.
- A tracker that says when to come back is not called earlier. It cannot delay us for longer than a day, and it never
  shortens the schedule.
- 429 and 503 that say when to come back are about all of our requests and not about this one: the callback is held
  until then (`callbacks.delivery.concurrency`). Not less than the first wait of the schedule, and for as long as the
  whole schedule takes none of its waits is used up.
- 410 Gone means "never again". Once, it may be a mistake of a deployment, so it is confirmed an hour later, outside of
  the schedule; twice in a row, it ends the delivery and pauses the setting.
"""

import email.utils
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Literal, NamedTuple

from callbacks.egress.outcome import Outcome

# After the first attempt and after each retry: ten attempts in about 75 hours.
WAITS: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER = 0.1
SCHEDULE = sum(WAITS, timedelta())
LONGEST_RETRY_AFTER = timedelta(hours=24)
GONE_WAIT = timedelta(hours=1)
# Failed at once, because only a person can repair these. `template` comes from rendering, the others from sending.
FINAL_KINDS = frozenset({"bad_request", "bad_url", "blocked_address", "blocked_port", "template"})


class Decision(NamedTuple):
    """The next state of the delivery.

    `next_attempt_at` is set exactly when it is pending, `retry_step` counts the waits of the schedule that are used up,
    `pause_setting` says that nothing more should be sent to this setting's URL.
    """

    status: Literal["succeeded", "failed", "pending"]
    next_attempt_at: datetime | None
    retry_step: int
    pause_setting: bool


def decide(
    outcome: Outcome,
    *,
    retry_step: int,
    was_gone: bool,
    now: datetime,
    jitter: float,
    hold: timedelta | None = None,
    age: timedelta = timedelta(),
) -> Decision:
    """The next state after `outcome`.

    `retry_step` is how many waits were used before this attempt, `was_gone` whether the attempt before this one was
    answered 410, `jitter` a random number from 0 to 1. `hold` is how long the callback is held after this answer, `age`
    how long ago the delivery was recorded.
    """
    if outcome.is_success:
        return Decision("succeeded", None, retry_step, False)
    if outcome.error_kind in FINAL_KINDS:
        return Decision("failed", None, retry_step, False)
    if hold is not None and age < SCHEDULE:
        return Decision("pending", now + max(hold, WAITS[0] * (1 + JITTER * jitter)), retry_step, False)
    if outcome.status_code == HTTPStatus.GONE:
        if was_gone:
            return Decision("failed", None, retry_step, True)
        wait = GONE_WAIT
    elif retry_step < len(WAITS):
        wait = WAITS[retry_step]
        retry_step += 1
    else:
        return Decision("failed", None, retry_step, False)
    asked = timedelta(seconds=retry_after_seconds(outcome.retry_after, now))
    return Decision("pending", now + max(wait * (1 + JITTER * jitter), asked), retry_step, False)


def asked_to_wait(outcome: Outcome, now: datetime) -> float:
    """For how many seconds the tracker asked that nothing at all is sent to this callback; 0 if it did not."""
    if outcome.status_code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return retry_after_seconds(outcome.retry_after, now)
    return 0.0


def retry_after_seconds(raw: str | None, now: datetime) -> float:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3: a number or an HTTP date), at most a day.

    0 for what is neither, for the past, and for no header.
    """
    text = (raw or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            asked = email.utils.parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return 0.0
        if asked.tzinfo is None:  # "-0000": UTC, of unknown origin
            asked = asked.replace(tzinfo=UTC)
        seconds = (asked - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER.total_seconds())

"""Records finished attempts: exactly what was sent and answered, and the next state of each delivery."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from callbacks.delivery import superseded
from callbacks.delivery.queue import Claimed
from callbacks.egress import soft_failures
from callbacks.egress.outcome import Outcome, Request
from callbacks.models import Attempt, CallbackSetting, Delivery, history, sql


class Settlement(NamedTuple):
    """A finished attempt: what was sent and answered, and the next state of its delivery."""

    claimed: Claimed
    began_at: datetime
    request: Request
    outcome: Outcome
    status: str
    next_attempt_at: datetime | None
    retry_step: int
    pause_setting: bool = False
    hold_until: datetime | None = None  # the tracker asked that nothing is sent to this callback before


def settle(settlements: Sequence[Settlement]) -> None:
    """Write the attempts and the next state of their deliveries, in one transaction.

    What would be tried again ends as skipped if a newer delivery replaces it.
    A delivery whose lease was lost meanwhile keeps the state that its new owner gave it, but its attempt is written,
    because it was made. The attempt of a delivery that was deleted meanwhile is not.
    """
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for s in settlements:
        answer = (s.outcome.status_code, s.outcome.error_kind, is_soft_failure(s.outcome))
        groups[s.claimed.token, s.status, s.next_attempt_at, s.retry_step, *answer].append(s.claimed.pk)
    rows = attempt_rows((s.claimed.pk, s.claimed.due.trigger, s.began_at, s.request, s.outcome) for s in settlements)
    now, owned = timezone.now(), 0
    with transaction.atomic():
        for (token, status, next_attempt_at, retry_step, code, kind, is_soft), pks in groups.items():
            owned += Delivery.objects.filter(pk__among=pks, claim_token=token).update(
                status=status,
                next_attempt_at=next_attempt_at,
                next_trigger=Delivery.Trigger.RETRY,
                retry_step=retry_step,
                attempt_count=F("attempt_count") + 1,
                last_attempt_at=now,
                last_status_code=code,
                last_error_kind=kind,
                is_soft_failure=is_soft,
                claim_token=None,
                leased_until=None,
            )
        if again := [s.claimed.pk for s in settlements if s.status == Delivery.Status.PENDING]:
            superseded.end(deliveries=again)
        if owned < len(settlements):
            missing = _unwritten(settlements)
            rows = [row for s, row in zip(settlements, rows, strict=True) if (s.claimed.pk, s.began_at) in missing]
        write_attempts(rows)
        for s in settlements:
            if s.pause_setting and s.claimed.setting_id and s.claimed.endpoint:
                _pause(s.claimed.setting_id, s.claimed.endpoint.template)
        _hold(settlements)


SHORT = 256  # characters of an answer that is remembered: most trackers answer with the same few words each time


def is_soft_failure(outcome: Outcome) -> bool:
    """Whether the answer is 2xx and reads like a refusal."""
    if not outcome.is_success or not outcome.response_excerpt:
        return False
    excerpt = outcome.response_excerpt
    return _reads_like_refusal(excerpt) if len(excerpt) <= SHORT else bool(soft_failures.find(excerpt))


@lru_cache(maxsize=1024)
def _reads_like_refusal(excerpt: str) -> bool:
    return bool(soft_failures.find(excerpt))


def _pause(setting_id: int, url: str) -> None:
    """Pause a callback whose URL is gone, unless somebody corrected or paused it meanwhile."""
    unchanged = CallbackSetting.objects.filter(pk=setting_id, url=url, is_active=True)
    if unchanged.update(is_active=False, pause_reason=CallbackSetting.PauseReason.GONE):
        history.note_gone(CallbackSetting.objects.get(pk=setting_id))


def _hold(settlements: Iterable[Settlement]) -> None:
    """Hold callbacks whose tracker asked for it, unless their URL was corrected meanwhile."""
    holds: dict[tuple[int, str], datetime] = {}
    for s in settlements:
        if s.hold_until and s.claimed.setting_id and s.claimed.endpoint:
            key = s.claimed.setting_id, s.claimed.endpoint.template
            holds[key] = max(s.hold_until, holds.get(key, s.hold_until))
    for (setting_id, url), until in sorted(holds.items()):
        found = CallbackSetting.objects.filter(pk=setting_id, url=url)
        found.filter(Q(held_until=None) | Q(held_until__lt=until)).update(held_until=until)


def _unwritten(settlements: Sequence[Settlement]) -> set[tuple[int, datetime]]:
    """The attempts, by delivery and beginning, that are not written yet and whose delivery exists; it is locked.

    Some may be written already, because the connection can be lost while they are committed.
    """
    ids = [s.claimed.pk for s in settlements]
    present = Delivery.objects.select_for_update(no_key=True).filter(pk__among=ids).order_by("pk")
    pks = set(present.values_list("pk", flat=True))
    written = set(Attempt.objects.filter(delivery__in=ids).values_list("delivery_id", "created_at"))
    return {(s.claimed.pk, s.began_at) for s in settlements if s.claimed.pk in pks} - written


# --- attempts ----------------------------------------------------------------
_ATTEMPT_COLUMNS = (
    "delivery_id", "trigger", "method", "url", "request_headers", "request_body", "status_code", "error_kind",
    "detail", "response_headers", "response_excerpt", "remote_address", "dns_ms", "connect_ms", "tls_ms",
    "first_byte_ms", "total_ms", "created_at",
)  # fmt: skip


def attempt_rows(attempts: Iterable[tuple[int, str, datetime, Request, Outcome]]) -> list[tuple[Any, ...]]:
    """The rows of attempts given as delivery id, trigger, beginning, request and outcome.

    They are made before the transaction that writes them, because on SQLite everybody else waits for that.
    """
    as_column = connection.ops.adapt_datetimefield_value
    return [
        (
            delivery_id, trigger, request.method, request.url, json.dumps(request.headers),
            (request.body or b"").decode("utf-8"), outcome.status_code, outcome.error_kind, outcome.detail,
            json.dumps(outcome.response_headers), outcome.response_excerpt, outcome.remote_address,
            outcome.dns_ms, outcome.connect_ms, outcome.tls_ms, outcome.first_byte_ms, outcome.total_ms,
            as_column(began_at),
        )
        for delivery_id, trigger, began_at, request, outcome in attempts
    ]  # fmt: skip


def write_attempts(rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert an attempt for each of `rows`."""
    sql.insert(Attempt._meta.db_table, _ATTEMPT_COLUMNS, rows)  # noqa: SLF001 - Django's documented name

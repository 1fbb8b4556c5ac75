"""Sends one request for real, of a callback as it was typed in its form, and says what came of it.

Request, transport and limits are those of every postback. But no order is behind a test: it is sent once, while the
person who asked for it waits. It is kept as a finished delivery that is marked as a test, and no figure counts it.
"""

import math
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from affiliates.models import Affiliate
from callbacks.delivery import health, settle
from callbacks.egress.outcome import Outcome, Request, readable_host
from callbacks.egress.transport import transport_from
from callbacks.egress.wording import Sentence
from callbacks.models import Attempt, CallbackSetting, Delivery, test_quota
from callbacks.models.delivery import new_event_id
from callbacks.setup import preview
from orders.models import Order

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=models.Model)

# Kinds of failure of which a test tells less than a delivery does.
UNTOLD = frozenset({"dns", "blocked_address", "blocked_port"})
# A test keeps one of this process's threads for as long as ten seconds; the other threads have pages to serve.
AT_ONCE = 3
_places = BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a test: the one attempt of its delivery, or a sentence that says why nothing was sent."""

    problem: str = ""
    is_too_many: bool = False
    attempt: Attempt | None = None

    @property
    def is_success(self) -> bool:
        return self.attempt is not None and self.attempt.is_success


def send(setting: CallbackSetting, order: Order | None, user_id: int) -> Result:
    """Send what `setting`, valid but perhaps never saved, says for `order`, or for example values.

    Takes as long as the request does, and no transaction may be open meanwhile.
    """
    event_id = new_event_id()
    found = preview.preview(setting, setting.url, order, str(event_id))
    if found.request is None:
        return Result(_("Nothing was sent. %(problem)s") % {"problem": found.problem})
    if not _places.acquire(blocking=False):
        problem = _("Nothing was sent: too many tests are running. Try again in a few seconds.")
        return Result(problem, is_too_many=True)
    try:
        if wait := test_quota.take(user_id, setting.affiliate.pk):
            seconds = math.ceil(wait.total_seconds())
            problem = _("Limit of %(count)d tests a minute reached. Try again in %(seconds)d s.")
            problem %= {"count": test_quota.AT_MOST, "seconds": seconds}
            return Result(problem, is_too_many=True)
        began_at = timezone.now()
        outcome = _outcome_of(found.request)
    finally:
        _places.release()
    delivery = Delivery(
        event_id=event_id,
        origin=Delivery.Origin.TEST,
        event=setting.event,
        status=Delivery.Status.SUCCEEDED if outcome.is_success else Delivery.Status.FAILED,
        attempt_count=1,
        last_attempt_at=timezone.now(),
        last_status_code=outcome.status_code,
        last_error_kind=outcome.error_kind,
        is_soft_failure=settle.is_soft_failure(outcome),
        variables=found.variables,
    )
    with transaction.atomic():
        delivery.affiliate = _present(Affiliate, setting.affiliate_id)
        delivery.setting = _present(CallbackSetting, setting.pk)
        delivery.order = _present(Order, order.pk if order else None)
        delivery.save()
        settle.write_attempts(
            settle.attempt_rows([(delivery.pk, Delivery.Trigger.TEST, began_at, found.request, outcome)])
        )
        if outcome.is_success and delivery.setting and delivery.setting.request == setting.request:
            health.passed(delivery.setting)
            delivery.setting.refresh_from_db()
    log.info("test_sent", delivery=delivery.pk, user=user_id, code=outcome.status_code, kind=outcome.error_kind)
    return Result(attempt=delivery.attempts.get())


def _present(model: type[M], pk: int | None) -> M | None:
    """That row, which stays until the transaction ends; None if it was deleted while the answer was waited for."""
    locked = model._default_manager.select_for_update(no_key=True)  # noqa: SLF001 - Django's documented name
    return locked.filter(pk=pk).order_by("pk").first()  # its own order joins tables, which PostgreSQL will not lock


def _outcome_of(request: Request) -> Outcome:
    with transport_from(settings, max_in_flight=1) as transport:
        transport.submit(request)
        while transport.in_flight:
            for outcome in transport.poll(1.0):
                return _without_traces(outcome, request) if outcome.error_kind in UNTOLD else outcome
    raise AssertionError("every request has an outcome")


def _without_traces(outcome: Outcome, request: Request) -> Outcome:
    """That it leads to nothing public, and nothing else.

    The times, or whether the name exists, would tell of the network behind: anybody's names could be tried out here.
    """
    if outcome.error_kind == "blocked_port":
        return Outcome(outcome.key, None, outcome.error_kind, outcome.detail)
    sentence = Sentence(
        "{host} was not found, or resolves to an address that postbacks may not be sent to.",
        host=readable_host(request.url),
    )
    return Outcome(outcome.key, None, "blocked_address", sentence)

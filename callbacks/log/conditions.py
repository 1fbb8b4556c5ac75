"""Conditions on deliveries by which the log is filtered and jobs select: state, origin, callback, host, code, search.

They know no page, so that the runner of jobs may use them. The list's filters made of them are `callbacks.log.filters`.
"""

import uuid

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from callbacks.models import CallbackSetting, Delivery, EndpointHealth
from callbacks.models.delivery import RETRYING
from config.listing.keys import key_in
from orders.models import Order
from orders.search import find_by_number

Deliveries = QuerySet[Delivery]
Origin, Status = Delivery.Origin, Delivery.Status
STATES = {
    Status.SUCCEEDED.value: _("Succeeded"),
    Status.FAILED.value: _("Failed"),
    Status.PENDING.value: _("Pending"),
    RETRYING: _("Retrying"),
    Status.SENDING.value: _("Sending"),
    Status.SKIPPED.value: _("Skipped"),
}
NOT_TEST = "counted"  # the origins that the figures of the overview are made of
NO_ANSWER = "none"  # the code of deliveries that were not answered
MEANS_NO, UNCHECKED = "no", "unchecked"  # answers with 2xx that read like a refusal; those that nobody checked
ANSWERS = {MEANS_NO: _("2xx, looks like a refusal"), UNCHECKED: _("2xx, not checked")}
ANSWER_CONDITIONS = {
    MEANS_NO: Q(is_soft_failure=True),
    UNCHECKED: Q(status=Status.SUCCEEDED, is_soft_failure=None),
}
# The same as `in_state`, `of_origin` and `with_code` say, for counting rows that are read anyway.
STATE_CONDITIONS = {**{status: Q(status=status) for status in Status.values}, RETRYING: Delivery.IS_RETRYING}
ORIGIN_CONDITIONS = {**{origin: Q(origin=origin) for origin in Origin.values}, NOT_TEST: ~Q(origin=Origin.TEST)}
LATEST = 20_000  # deliveries that a deleted order is looked for in
MAX_FOUND = 5000  # deliveries that a search for an order finds


def in_state(deliveries: Deliveries, state: str) -> Deliveries:
    """Those in that state, or all of them if it is unknown. Written so that the database uses the partial indexes."""
    every = Delivery.objects.order_by()
    first = Q(pk__in=every.filter(status=Status.PENDING, attempt_count=0).values("pk"))
    again = Q(pk__in=every.filter(status=Status.PENDING, attempt_count__gt=0).values("pk"))
    if state == Status.PENDING:
        return deliveries.filter(first | again)
    if state == RETRYING:
        return deliveries.filter(again, Delivery.IS_RETRYING)
    if state == Status.SENDING:
        return deliveries.filter(pk__in=every.filter(status=Status.SENDING).values("pk"))
    return deliveries.filter(status=state) if state in Status.values else deliveries


def of_origin(deliveries: Deliveries, origin: str) -> Deliveries:
    """Those of that origin, or all of them if it is unknown."""
    if origin == NOT_TEST:
        return deliveries.exclude(origin=Origin.TEST)
    return deliveries.filter(origin=origin) if origin in Origin.values else deliveries


def at_host(deliveries: Deliveries, host: str) -> Deliveries:
    """Those of callbacks with that host, or all of them for ""."""
    if not host:
        return deliveries
    return deliveries.filter(Exists(CallbackSetting.objects.filter(pk=OuterRef("setting"), host=host)))


def with_code(deliveries: Deliveries, code: str) -> Deliveries:
    """Those whose last answer had that code, or one of that class; all of them if it is unknown."""
    condition = code_condition(code)
    return deliveries.filter(condition) if condition is not None else deliveries


def code_condition(code: str) -> Q | None:
    if code == NO_ANSWER:
        return Q(last_status_code=None) & ~Q(last_error_kind="")
    if is_code(code):
        return Q(last_status_code=int(code))
    if code in {"2xx", "3xx", "4xx", "5xx"}:
        begin = int(code[0]) * 100
        return Q(last_status_code__gte=begin, last_status_code__lt=begin + 100)
    return None


def with_answer(deliveries: Deliveries, answer: str) -> Deliveries:
    """Those with such an answer; all of them if it is unknown."""
    condition = ANSWER_CONDITIONS.get(answer)
    return deliveries.filter(condition) if condition is not None else deliveries


def of_callback(deliveries: Deliveries, setting: str) -> Deliveries:
    """Those of the callback with that key; all of them for ""."""
    if not setting:
        return deliveries
    found = CallbackSetting.objects.filter(pk=key_in(setting) or 0).first()
    # Its affiliate's too, by whom an index finds the newest ones.
    return deliveries.filter(setting=found, affiliate=found.affiliate_id) if found else deliveries.none()


def while_paused(deliveries: Deliveries, setting: str) -> Deliveries:
    """Those that were skipped while the callback with that key had paused itself; all of them for ""."""
    if not setting:
        return deliveries
    health = EndpointHealth.objects.filter(pk=key_in(setting)).first()
    return deliveries.filter(pk__in=health.skipped().order_by().values("pk")) if health else deliveries.none()


def is_code(text: str) -> bool:
    return len(text) == 3 and text.isdecimal() and text.isascii()


def search(deliveries: Deliveries, text: str) -> Deliveries:
    """Those of the orders whose number is `text`, or the one with that event id; all of them if it is empty."""
    term = text.strip()
    if not term:
        return deliveries
    try:
        return deliveries.filter(event_id=uuid.UUID(term))
    except ValueError:
        found = Delivery.objects.order_by().filter(order__in=find_by_number(term)).values_list("pk", flat=True)
        return deliveries.filter(pk__in=[*found[:MAX_FOUND], *of_deleted_orders(term)])


def of_deleted_orders(number: str) -> list[int]:
    """The keys of those among the latest deliveries whose order had exactly this number, and is gone."""
    newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    latest = Delivery.objects.order_by().filter(pk__gt=newest - LATEST).exclude(origin=Origin.TEST)
    gone = latest.filter(~Exists(Order.objects.filter(pk=OuterRef("order"))))
    named = gone.filter(**{"variables__order.number__in": [number, f"#{number}"]})
    return list(named.values_list("pk", flat=True))

"""The API's routes of callbacks and deliveries: set callbacks up, see what was sent, resend it."""

import uuid
from datetime import datetime
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from ninja.params.models import Query as QueryParam
from ninja.responses import Status

from affiliates.api import affiliate_of
from affiliates.models import Affiliate
from callbacks.delivery import health, resend
from callbacks.log import conditions
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, history
from callbacks.setup import diagnosis
from config.language import translated
from config.listing.period import Bound, Period
from config.security import security_log
from orders.api import idempotency
from orders.api.access import Scope, Token, token_of
from orders.api.fields import Body, Moment, UrlText
from orders.api.lookup import orders_of
from orders.api.pages import PageOut, PageQuery, page
from orders.intake.problems import BODY, Problem, RefusedError, as_problems, errors
from orders.models import Order

callbacks = Router(tags=["Callbacks"])
deliveries = Router(tags=["Deliveries"])
PATH = "/affiliates/{code}/callbacks/{event}"
FIELDS = ("method", "url", "body_format", "send_as_typed", "only_statuses")
NAME: Any = QueryParam(
    None, description="The callback's name, needed if the affiliate has several for this event. Any letter case."
)


# --- callbacks -------------------------------------------------------------------
class CallbackIn(Body):
    """A callback, or changes to one. A field that is left out or null is not changed."""

    url: str | None = Field(
        None,
        description="The tracker's URL with variables. Required for a new callback. Damage from copying is repaired.",
        examples=["https://tracker.example/postback?cid={{link.sub_id}}&payout={{order.commission}}"],
    )
    method: CallbackSetting.Method | None = Field(None, description="GET unless you say otherwise.")
    body_format: CallbackSetting.BodyFormat | None = Field(None, description="What a POST sends.")
    send_as_typed: bool | None = Field(None, description="Other systems' placeholders are sent literally.")
    only_statuses: list[Order.Status] | None = Field(
        None, description="Only for orders that have, or for updates come to, one of these. Empty: for all."
    )


class CallbackOut(Schema):
    affiliate: str
    event: str
    name: str
    url: str
    method: str
    body_format: str
    send_as_typed: bool
    only_statuses: list[str]
    is_active: bool = Field(description="False: it is paused, and nothing is sent.")
    created_at: datetime
    updated_at: datetime
    warnings: list[Problem] = Field(description="What was repaired in the URL, and what may be wrong with it.")
    secret: str | None = Field(None, description="The signing secret, only in the answer that creates the callback.")


@callbacks.get(
    PATH,
    response={200: CallbackOut} | errors(404, 409, 422),
    auth=Token(Scope.CALLBACKS_READ),
    summary="Read a callback",
    operation_id="read_callback",
    exclude_unset=True,
)
def read_callback(request: HttpRequest, code: UrlText, event: EventType, name: UrlText | None = NAME) -> dict[str, Any]:
    return _shown(_callback(affiliate_of(code), event, name))


@callbacks.put(
    PATH,
    response={200: CallbackOut, 201: CallbackOut} | errors(404, 409, *BODY),
    auth=Token(Scope.CALLBACKS_WRITE),
    summary="Create or change a callback",
    operation_id="save_callback",
    exclude_unset=True,
)
def save_callback(
    request: HttpRequest, code: UrlText, event: EventType, callback: CallbackIn, name: UrlText | None = NAME
) -> Status[dict[str, Any]]:
    """201 for a new callback, 200 for an existing one. The URL is checked as in the panel."""
    with transaction.atomic():
        affiliate = affiliate_of(code, is_locked=True)
        setting = _callback_or_none(affiliate, event, name)
        is_new = setting is None
        setting = setting or CallbackSetting(affiliate=affiliate, event=event, name=name or "")
        before = history.values_of(setting)
        for field in FIELDS:
            if (value := getattr(callback, field)) is not None:
                setattr(setting, field, value)
        setting.full_clean()
        is_resumed = setting.resume_if_moved(before["url"])
        setting.save()
        if is_resumed:
            health.resumed([setting.pk])
        if is_new:
            history.note_created(setting, token_of(request))
            security_log.note(request, "secret_shown", about=setting, token=token_of(request).name)
        else:
            history.note_changed(setting, token_of(request), before)
    found = _shown(setting)
    return Status(201, found | {"secret": setting.secret}) if is_new else Status(200, found)


@callbacks.delete(
    PATH,
    response={204: None} | errors(404, 409, 422),
    auth=Token(Scope.CALLBACKS_WRITE),
    summary="Delete a callback",
    operation_id="delete_callback",
)
def delete_callback(request: HttpRequest, code: UrlText, event: EventType, name: UrlText | None = NAME) -> Status[None]:
    """What was sent for it stays in the log."""
    with transaction.atomic():
        setting = _callback(affiliate_of(code, is_locked=True), event, name)
        history.note_removed(setting, token_of(request))
        setting.delete()
    return Status(204, None)


def _callback(affiliate: Affiliate, event: EventType, name: str | None) -> CallbackSetting:
    found = _callback_or_none(affiliate, event, name)
    if found is None:
        raise RefusedError(404, "event", "not_found", "The affiliate has no such callback for this event.")
    return found


def _callback_or_none(affiliate: Affiliate, event: EventType, name: str | None) -> CallbackSetting | None:
    """The affiliate's callback of that name; without one their only callback for the event.

    Raises `RefusedError` if there are several.
    """
    found = list(CallbackSetting.objects.filter(affiliate=affiliate, event=event).order_by("pk"))
    if name is not None:
        found = [setting for setting in found if setting.name.casefold() == " ".join(name.split()).casefold()]
    if len(found) > 1:
        names = ", ".join(setting.name for setting in found)
        several = f"The affiliate has several callbacks for this event. Name one: add ?name=. Names: {names}."
        raise RefusedError(409, "name", "several_callbacks", several)
    if found:
        found[0].affiliate = affiliate
    return found[0] if found else None


def _shown(setting: CallbackSetting) -> dict[str, Any]:
    others = CallbackSetting.objects.filter(affiliate=setting.affiliate_id, event=setting.event).exclude(pk=setting.pk)
    repaired = [("url", repair.kind, translated(repair.message)) for repair in setting.repairs]
    hints = [("url", hint.code, translated(hint.message)) for hint in diagnosis.of(setting, others).warnings]
    shown = ("event", "name", *FIELDS, "is_active", "created_at", "updated_at")
    values = {field: getattr(setting, field) for field in shown}
    return values | {"affiliate": setting.affiliate.code, "warnings": as_problems([*repaired, *hints])}


# --- deliveries ------------------------------------------------------------------
class AttemptOut(Schema):
    created_at: datetime
    trigger: str
    method: str
    url: str
    status_code: int | None
    error_kind: str
    detail: str
    response: str = Field(alias="response_excerpt", description="The beginning of the answer.")
    total_ms: float | None


class DeliveryOut(Schema):
    id: uuid.UUID = Field(description="The event ID that the tracker gets, the same on every attempt.")
    order: str = Field(description="The order's number at that time.")
    affiliate: str | None
    event: str
    callback: str | None = Field(description="The callback's name; null if it was deleted.")
    state: str
    reason: str = Field(description="Why it was skipped.")
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: list[AttemptOut] = Field(description="The latest first.")


class DeliveriesOut(PageOut):
    deliveries: list[DeliveryOut]


class ResentOut(DeliveryOut):
    warnings: list[Problem] = Field(description="What the resend may do that is not wanted.")


class DeliveryQuery(PageQuery):
    order: UrlText | None = Field(None, description="An order's number.")
    shop: UrlText | None = Field(None, description="The UUID or the name of the order's shop. Empty: none.")
    state: Literal["succeeded", "failed", "pending", "retrying", "sending", "skipped"] | None = None
    since: Moment | None = Field(None, description="Recorded at that time or later.")


@deliveries.get(
    "/deliveries",
    response={200: DeliveriesOut} | errors(422),
    auth=Token(Scope.DELIVERIES_READ),
    summary="List deliveries",
    operation_id="list_deliveries",
)
def list_deliveries(request: HttpRequest, query: Query[DeliveryQuery]) -> dict[str, Any]:
    """The newest first, each with its attempts. Tests are left out."""
    found = conditions.in_state(_of_orders(), query.state or "")
    if query.order is not None:
        keys = [order.pk for order in orders_of(query.order, query.shop)]
        found = found.filter(order__in=keys) if keys else found.filter(pk__in=conditions.of_deleted_orders(query.order))
    elif query.shop is not None:
        raise ValidationError({"shop": ValidationError("Send the number of an order, too.", code="order_missing")})
    period = Period(Bound(query.since, is_day=False) if query.since else None)
    rows, after = page(request, query, period.narrow(found), period.keys_of(Delivery))
    return {"deliveries": [_delivery(row) for row in rows], "next": after}


@deliveries.post(
    "/deliveries/{uuid:event_id}/resend",
    response={202: ResentOut} | errors(404, 409, 422),
    auth=Token(Scope.DELIVERIES_WRITE),
    summary="Resend a delivery",
    operation_id="resend_delivery",
    openapi_extra=idempotency.DOCUMENTED,
)
@idempotency.once
def resend_delivery(request: HttpRequest, event_id: uuid.UUID) -> Status[dict[str, Any]]:
    """It is sent again at once, also if it succeeded before. The schedule of retries begins anew."""
    delivery = _of_orders().filter(event_id=event_id).first()
    if delivery is None:
        raise RefusedError(404, "event_id", "not_found", "There is no delivery with this ID.")
    resent = resend.resend([delivery.pk], resend.REASONS_ALONE)
    if refused := resent.refused.get(delivery.pk):
        raise RefusedError(409, "", "not_resent", translated(refused))
    security_log.note(request, "delivery_resent", about=delivery, token=token_of(request).name)
    warnings = []
    if resent.delivered:
        twice = "It had succeeded before. The tracker may count it twice. The event ID stays the same, so trackers "
        warnings.append(("", "delivered_before", f"{twice}that check it ignore the second postback."))
    delivery = _of_orders().get(pk=delivery.pk)
    return Status(202, _delivery(delivery) | {"warnings": as_problems(warnings)})


def _of_orders() -> QuerySet[Delivery]:
    """Deliveries without tests and without what goes to the merchant's own systems."""
    found = Delivery.objects.filter(event__in=EventType.values).exclude(origin=Delivery.Origin.TEST).order_by()
    return found.select_related("affiliate", "setting").prefetch_related("attempts")


def _delivery(delivery: Delivery) -> dict[str, Any]:
    attempts: list[Attempt] = list(delivery.attempts.all())
    return {
        "id": delivery.event_id,
        "order": delivery.order_number,
        "affiliate": delivery.affiliate.code if delivery.affiliate else None,
        "event": delivery.event,
        "callback": delivery.setting.name if delivery.setting else None,
        "state": delivery.state,
        "reason": str(delivery.get_skip_reason_display()) if delivery.skip_reason else "",
        "created_at": delivery.created_at,
        "next_attempt_at": delivery.next_attempt_at,
        "attempts": attempts,
    }

"""Says in a sentence what became of an order for each callback of its affiliate, also where nothing was recorded.

Reads what is there: settings, deliveries, their last attempts, hosts in trouble. It decides nothing.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import circuit_breaker, reconcile
from callbacks.editor import soft_failures
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, TroubledHost
from orders.models import Order

Status = Delivery.Status
MOST = 200  # deliveries of one order that are looked at, the newest
# States of their own, beside those of a delivery: why there is none.
NO_SETTING, NOT_RECORDED, NOT_DUE = "not_set", "not_recorded", "not_due"

PAST = (
    "it was written with raw SQL or QuerySet.update(), which send no signal. “manage.py reconcile” finds and sends it."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether one callback was told of an order. `state` is a delivery's, or says why there is none; `title` names
    the callback, `affiliate` is another than the order's if the order was theirs before.
    """

    state: str
    title: str
    sentence: str
    affiliate: Affiliate
    setting: CallbackSetting | None = None
    delivery: Delivery | None = None
    count: int = 0


def why(order: Order) -> list[Answer]:
    """An answer for each callback of the order's affiliate, and for those who were told of it besides.

    None for an order without an affiliate of whom nobody was told. As many queries for one delivery as for many.
    """
    recorded = order.deliveries.exclude(origin=Delivery.Origin.TEST)
    deliveries = list(recorded.select_related("setting", "affiliate").order_by("-pk")[:MOST])
    told: dict[tuple[int | None, str, int | None], list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        told[delivery.affiliate_id, delivery.event, delivery.setting_id].append(delivery)
    facts = _Facts(order, deliveries)
    answers = []
    if order.affiliate is not None:
        settings = list(CallbackSetting.objects.filter(affiliate=order.affiliate).order_by("event", "pk"))
        for event in EventType:
            of_event = [setting for setting in settings if setting.event == event]
            for setting in of_event:
                mine = told.pop((order.affiliate_id, event.value, setting.pk), [])
                answers.append(_answer(order.affiliate, mine, facts) if mine else _silence(order, setting, facts))
            if not of_event and (order.affiliate_id, event.value, None) not in told:
                answers.append(_no_setting(order.affiliate, event))
    answers += [_answer(rest[0].affiliate, rest, facts) for rest in told.values() if rest[0].affiliate]
    return answers


def in_short(order: Order, first_set_up_at: datetime | None, first_created_at: datetime | None) -> tuple[str, str]:
    """Why an order that nothing was recorded for has nothing: the state, and a few words.

    The times are when the first callback of its affiliate was set up, and the first for created orders.
    """
    if order.affiliate_id is None:
        return NO_SETTING, "No affiliate"
    if first_set_up_at is None:
        return NO_SETTING, "No callback"
    if first_created_at is None:
        return NOT_DUE, "Unchanged"
    if first_created_at > order.created_at:
        return NOT_DUE, "Before set-up"
    return NOT_RECORDED, "Not recorded"


# --- where something was recorded ----------------------------------------------
class _Facts:
    """What the sentences of one order need to know, asked for once."""

    def __init__(self, order: Order, deliveries: list[Delivery]) -> None:
        self.deliveries = deliveries
        last = Attempt.objects.filter(delivery__in=deliveries).order_by().values("delivery").annotate(last=Max("pk"))
        attempts = Attempt.objects.filter(pk__in=[row["last"] for row in last])
        self.details = {attempt.delivery_id: _said(attempt) for attempt in attempts}
        hosts = {delivery.setting.host for delivery in deliveries if delivery.setting}
        self.troubled = TroubledHost.objects.in_bulk(hosts)
        last_told = next((d for d in deliveries if d.affiliate_id == order.affiliate_id), None)
        self.is_as_told = last_told is None or reconcile.is_recorded(order, last_told)


def _said(attempt: Attempt) -> str:
    """The sentence of an attempt, and what speaks against its success."""
    doubt = soft_failures.find(attempt.response_excerpt) if attempt.is_success else ""
    return f"{attempt.detail} {doubt}".rstrip()


def _answer(affiliate: Affiliate | None, deliveries: list[Delivery], facts: _Facts) -> Answer:
    """What became of the last of several deliveries of one event for one callback."""
    last = deliveries[0]
    assert affiliate is not None
    return Answer(
        state=last.state,
        title=_title(last.setting, EventType(last.event)),
        sentence=sentence_about(last, facts.details.get(last.pk, ""), facts.troubled),
        affiliate=affiliate,
        setting=last.setting,
        delivery=last,
        count=len(deliveries),
    )


def sentence_about(delivery: Delivery, detail: str, troubled: dict[str, TroubledHost]) -> str:
    """How far a delivery got and what it waits for. `detail` is the sentence of its last attempt."""
    if delivery.status == Status.SUCCEEDED:
        return f"Sent. {detail}".rstrip()
    if delivery.status == Status.SKIPPED:
        return f"Not sent. {delivery.get_skip_reason_display()}"
    if delivery.status == Status.SENDING:
        return "Being sent right now."
    if delivery.status == Status.FAILED:
        return f"{_why_failed(delivery)} {detail}".rstrip()
    return " ".join(part for part in (detail, waits_for(delivery, troubled)) if part)


def _why_failed(delivery: Delivery) -> str:
    if delivery.last_error_kind == "template":
        return "Not sent: the URL could not be filled in."
    if delivery.last_error_kind in {"blocked_address", "blocked_port"}:
        return "Not sent: its address may not be called."
    tries = "one attempt" if delivery.attempt_count == 1 else f"{delivery.attempt_count} attempts"
    return f"Given up after {tries}."


def waits_for(delivery: Delivery, troubled: dict[str, TroubledHost] | None = None) -> str:
    """What a pending delivery waits for. `troubled` are the hosts in trouble, looked up if not given."""
    setting = delivery.setting
    if setting is None:
        return "Its callback was deleted, so it ends as skipped."
    if not setting.is_active:
        return "The callback is paused: this goes out when it is resumed."
    if troubled is None:
        troubled = TroubledHost.objects.in_bulk([setting.host])
    host = troubled.get(setting.host)
    if host is not None and host.failures >= circuit_breaker.THRESHOLD:
        return (
            f"It is held back: {setting.host} did not answer {host.failures} times in a row, so it gets one request "
            f"every {circuit_breaker.PROBE_EVERY.seconds} seconds until it answers again. No attempt is used up meanwhile."
        )
    if delivery.next_attempt_at is not None and delivery.next_attempt_at > timezone.now():
        return "It is tried again by itself."
    return "It is due and goes out as soon as a worker is free."


# --- where nothing was ---------------------------------------------------------
def _no_setting(affiliate: Affiliate, event: EventType) -> Answer:
    sentence = f"Nobody was told, because {affiliate.name} has no callback for this event."
    return Answer(NO_SETTING, _title(None, event), sentence, affiliate)


def _silence(order: Order, setting: CallbackSetting, facts: _Facts) -> Answer:
    """Why there is no delivery of this order for a callback that there is."""
    assert order.affiliate is not None
    state, sentence = _why_silent(order, setting, facts)
    return Answer(state, _title(setting, EventType(setting.event)), sentence, order.affiliate, setting)


def _why_silent(order: Order, setting: CallbackSetting, facts: _Facts) -> tuple[str, str]:
    if setting.event == EventType.UPDATED:
        if not facts.is_as_told and order.updated_at < setting.created_at:
            return NOT_DUE, "Not sent, because the order was changed before this callback was set up."
        if not facts.is_as_told:
            return NOT_RECORDED, f"The order is not what was last told of it, and nothing was recorded: {PAST}"
        since = "since it came in" if setting.created_at <= order.created_at else "since this callback was set up"
        return NOT_DUE, (
            f"Not sent, because nothing has changed {since} that a tracker hears of: number, amount, commission, "
            "currency, status, affiliate or link."
        )
    if setting.created_at > order.created_at:
        return NOT_DUE, "Not sent, because this order came in before the callback was set up."
    return NOT_RECORDED, f"Nothing was recorded when this order was saved: {PAST}"


def _title(setting: CallbackSetting | None, event: EventType) -> str:
    return setting.title if setting else f"{event.label} callback"

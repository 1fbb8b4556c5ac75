"""Says in a sentence what became of an order for each callback of its affiliate, also where nothing was recorded.

It reads settings, deliveries, their last attempts and hosts in trouble, and changes nothing.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from affiliates.models import Affiliate
from callbacks.delivery import circuit_breaker, queue, reconcile
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, TroubledHost
from callbacks.models.retention import deliveries_kept_since, in_words, is_no_longer_kept
from orders.models import Order

Status = Delivery.Status
MAX_DELIVERIES = 200  # of one order, the newest, are looked at
# States of an order without a delivery, beside those of a delivery.
NOT_SET, NOT_RECORDED, NOT_DUE, NOT_KEPT = "not_set", "not_recorded", "not_due", "not_kept"

BYPASSED = gettext_lazy(
    "The order was saved with raw SQL or QuerySet.update(), which send no signal. Run “manage.py reconcile” to send it."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of an order for one callback.

    `state` is that of the latest `delivery`, or says why there is none; `title` names the callback. `affiliate` is not
    the order's if the order was given to another one since. `count` is how many deliveries there are.
    """

    state: str
    title: str
    sentence: str
    affiliate: Affiliate
    setting: CallbackSetting | None = None
    delivery: Delivery | None = None
    count: int = 0


def explain(order: Order) -> list[Explanation]:
    """An explanation for each callback of the order's affiliate, and for every other callback with a delivery of it.

    Empty for an order without an affiliate and without deliveries. The number of queries does not depend on the number
    of deliveries.
    """
    recorded = order.deliveries.exclude(origin=Delivery.Origin.TEST)
    deliveries = list(recorded.select_related("setting", "affiliate").order_by("-pk")[:MAX_DELIVERIES])
    by_callback: dict[tuple[int | None, str, int | None], list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        by_callback[delivery.affiliate_id, delivery.event, delivery.setting_id].append(delivery)
    facts = _Facts(order, deliveries)
    explanations = []
    if order.affiliate is not None:
        settings = list(CallbackSetting.objects.filter(affiliate=order.affiliate).order_by("event", "pk"))
        for event in EventType:
            of_event = [setting for setting in settings if setting.event == event]
            for setting in of_event:
                if recorded_for := by_callback.pop((order.affiliate_id, event.value, setting.pk), []):
                    explanations.append(_recorded(order.affiliate, recorded_for, facts))
                else:
                    state, sentence = _why_not_recorded(order, setting, facts)
                    explanations.append(Explanation(state, setting.title, sentence, order.affiliate, setting))
            if not of_event and (order.affiliate_id, event.value, None) not in by_callback:
                name = {"name": order.affiliate.name}
                sentence = _("Not sent: %(name)s has no callback for this event.") % name
                if facts.is_unknown and facts.kept_since:
                    sentence = _("%(name)s has no callback for this event.") % name
                    sentence = f"{sentence} {in_words(facts.kept_since)}"
                explanations.append(Explanation(NOT_SET, _title(None, event), sentence, order.affiliate))
    others = [found for found in by_callback.values() if found[0].affiliate]
    return explanations + [_recorded(found[0].affiliate, found, facts) for found in others]


def in_short(
    order: Order,
    first_set_up_at: datetime | None,
    first_created_at: datetime | None,
    kept_since: datetime | None = None,
) -> tuple[str, str]:
    """Why an order has no deliveries: the state, and a few words.

    `first_set_up_at` is when the first callback of its affiliate was set up, `first_created_at` when the first one for
    created orders was. `kept_since` is from when on deliveries are there.
    """
    if order.affiliate_id is None:
        return NOT_SET, _("No affiliate")
    if is_no_longer_kept(order.created_at, kept_since):
        return NOT_KEPT, _("No longer kept")
    if first_set_up_at is None:
        return NOT_SET, _("No callback")
    if first_created_at is None:
        return NOT_DUE, _("Unchanged")
    if first_created_at > order.created_at:
        return NOT_DUE, _("Before set-up")
    return NOT_RECORDED, _("Not recorded")


# --- where something was recorded ----------------------------------------------
class _Facts:
    """What the sentences of one order need, read once."""

    def __init__(self, order: Order, deliveries: list[Delivery]) -> None:
        last = Attempt.objects.filter(delivery__in=deliveries).order_by().values("delivery").annotate(last=Max("pk"))
        attempts = Attempt.objects.filter(pk__in=[row["last"] for row in last])
        self.details = {each.delivery_id: f"{each.detail} {each.soft_failure}".rstrip() for each in attempts}
        self.troubled = TroubledHost.objects.in_bulk({d.setting.host for d in deliveries if d.setting})
        last_recorded = next((d for d in deliveries if d.affiliate_id == order.affiliate_id), None)
        self.is_as_recorded = last_recorded is None or reconcile.is_recorded(order, last_recorded)
        self.kept_since = deliveries_kept_since()
        self.is_unknown = is_no_longer_kept(order.created_at, self.kept_since)


def _recorded(affiliate: Affiliate | None, deliveries: list[Delivery], facts: _Facts) -> Explanation:
    """What became of the latest of several deliveries of one event for one callback."""
    last = deliveries[0]
    assert affiliate is not None
    return Explanation(
        state=last.state,
        title=_title(last.setting, EventType(last.event)),
        sentence=_sentence_about(last, facts.details.get(last.pk, ""), facts.troubled),
        affiliate=affiliate,
        setting=last.setting,
        delivery=last,
        count=len(deliveries),
    )


def _sentence_about(delivery: Delivery, detail: str, troubled: dict[str, TroubledHost]) -> str:
    """How far a delivery got and what it waits for.

    `detail` is the sentence of its last attempt, `troubled` are the hosts in trouble.
    """
    if delivery.status == Status.SUCCEEDED:
        return f"{_('Sent.')} {detail}".rstrip()
    if delivery.status == Status.SKIPPED:
        return f"{_('Not sent.')} {delivery.get_skip_reason_display()}"
    if delivery.status == Status.SENDING:
        return _("Sending now.")
    if delivery.status == Status.FAILED:
        return f"{_why_failed(delivery)} {detail}".rstrip()
    return " ".join(part for part in (detail, waits_for(delivery, troubled)) if part)


def _why_failed(delivery: Delivery) -> str:
    if delivery.last_error_kind == "template":
        return _("Not sent: the variables in the URL could not be filled in.")
    if delivery.last_error_kind in {"blocked_address", "blocked_port"}:
        return _("Not sent: this address is not allowed.")
    count = delivery.attempt_count
    return ngettext("Failed after %(count)d attempt.", "Failed after %(count)d attempts.", count) % {"count": count}


def waits_for(delivery: Delivery, troubled: dict[str, TroubledHost] | None = None) -> str:
    """What a pending delivery waits for. `troubled` are the hosts in trouble, looked up if not given."""
    setting = delivery.setting
    if setting is None:
        return _("Its callback was deleted. This delivery will be skipped.")
    affiliate = delivery.affiliate or setting.affiliate
    if setting.affiliate_id and (reason := queue.AFFILIATE_REASONS.get(affiliate.status)):
        return f"{reason.label} {_('This delivery will be skipped.')}"
    if not setting.is_active:
        return f"{_why_paused(setting)} {_('This delivery is sent when the callback is resumed.')}"
    if troubled is None:
        troubled = TroubledHost.objects.in_bulk([setting.host])
    host = troubled.get(setting.host)
    if host is not None and host.failures >= circuit_breaker.THRESHOLD:
        every = circuit_breaker.PROBE_EVERY.seconds
        said = _(
            "On hold: %(host)s did not answer %(count)d times in a row. It gets one request every %(seconds)d seconds "
            "until it answers. Waiting does not use up attempts."
        )
        return said % {"host": setting.host, "count": host.failures, "seconds": every}
    if setting.is_held and setting.held_until:
        until = f"{timezone.localtime(setting.held_until):%-d %b %Y, %H:%M:%S} {timezone.get_current_timezone_name()}"
        said = _("On hold: the tracker asked us to wait until %(until)s. Waiting does not use up attempts.")
        return said % {"until": until}
    if delivery.next_attempt_at is not None and delivery.next_attempt_at > timezone.now():
        return _("Retries automatically.")
    if delivery.event == EventType.UPDATED and _has_open_created(delivery, setting):
        said = _("Waits until the “order created” delivery to %(host)s has succeeded or failed.")
        return said % {"host": setting.host}
    return _("Due now. Sent as soon as a worker is free.")


def _why_paused(setting: CallbackSetting) -> str:
    if setting.is_paused_by_itself:
        said = _("The callback was paused automatically: %(reason)s.")
        return said % {"reason": setting.get_pause_reason_display()}
    by_hand = setting.pause_reason == CallbackSetting.PauseReason.PERSON
    return _("The callback was paused by a person.") if by_hand else _("The callback is paused.")


def _has_open_created(delivery: Delivery, setting: CallbackSetting) -> bool:
    created = Delivery.objects.filter(order=delivery.order_id, affiliate=delivery.affiliate_id, event=EventType.CREATED)
    return created.filter(status__in=(Status.PENDING, Status.SENDING), setting__host=setting.host).exists()


# --- where nothing was recorded ------------------------------------------------
def _why_not_recorded(order: Order, setting: CallbackSetting, facts: _Facts) -> tuple[str, str]:
    """Why this callback has no delivery of the order: a state and a sentence."""
    if facts.is_unknown and facts.kept_since and is_no_longer_kept(setting.created_at, facts.kept_since):
        return NOT_KEPT, f"{_('Deliveries of this order are no longer kept.')} {in_words(facts.kept_since)}"
    if setting.event == EventType.UPDATED:
        if not facts.is_as_recorded and order.updated_at < setting.created_at:
            return NOT_DUE, _("Not sent: the order was changed before this callback was set up.")
        if not facts.is_as_recorded:
            changed = _("The order has changed since its last delivery, and no delivery was recorded.")
            return NOT_RECORDED, f"{changed} {BYPASSED}"
        if setting.created_at <= order.created_at:
            return NOT_DUE, _(
                "Not sent: number, amount, commission, currency, status, affiliate and link have not changed "
                "since the order was created."
            )
        return NOT_DUE, _(
            "Not sent: number, amount, commission, currency, status, affiliate and link have not changed "
            "since this callback was set up."
        )
    if setting.created_at > order.created_at:
        return NOT_DUE, _("Not sent: the order was created before the callback was set up.")
    return NOT_RECORDED, f"{_('No delivery was recorded when this order was saved.')} {BYPASSED}"


def _title(setting: CallbackSetting | None, event: EventType) -> str:
    return setting.title if setting else _("%(event)s callback") % {"event": event.label}

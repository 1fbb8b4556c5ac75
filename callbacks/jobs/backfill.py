"""Finds the past orders that are to be sent to a callback, and records their deliveries with the values of today.

Writing the deliveries is `callbacks.delivery.outbox`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as _noop

from affiliates.models import Affiliate
from callbacks.delivery import outbox
from callbacks.delivery.order_events import OrderEvent
from callbacks.models import CallbackSetting, Delivery, EventType
from callbacks.models.retention import deliveries_kept_since, is_no_longer_kept
from config.listing.keys import Keys
from config.listing.period import Period
from orders.models import Order

TO_BE_SENT = ""
# Why an order is left out; the first that applies is given.
ALREADY_SENT = _noop("Already sent to this callback.")
NOT_KEPT = _noop("Too old: deliveries of that time were deleted, so these orders may already have been sent.")
NOT_FOR_STATUS = _noop("This callback is not set up for their status.")


@dataclass(frozen=True, slots=True)
class Backfill:
    """The orders of a callback's affiliate that came in within a period.

    Those that were sent to the callback already are among them only if they are to be sent `again`.
    """

    setting: CallbackSetting
    period: Period
    again: bool = False

    @classmethod
    def of(cls, setting: CallbackSetting, chosen: Mapping[str, Any]) -> "Backfill":
        return cls(setting, Period.of(chosen.get("from"), chosen.get("to")), bool(chosen.get("again")))

    def why_not(self) -> str:
        """Why nothing can be sent to this callback at all; "" if it can."""
        name = self.setting.affiliate.name
        match self.setting.affiliate.status:
            case Affiliate.Status.BLOCKED:
                return _("%(affiliate)s is blocked. Nothing is sent to their tracker.") % {"affiliate": name}
            case Affiliate.Status.PENDING:
                return _("%(affiliate)s is not approved yet. Nothing is sent to their tracker.") % {"affiliate": name}
        if not self.setting.is_active:
            return _("This callback is paused. Resume it before you send past orders.")
        return ""

    def all_orders(self) -> QuerySet[Order]:
        """All that came in within the period, and still are the affiliate's."""
        return self.period.narrow(Order.objects.filter(affiliate=self.setting.affiliate_id))

    def orders(self) -> QuerySet[Order]:
        """Those of them that are to be sent."""
        rows = self.all_orders()
        if self.setting.only_statuses:
            rows = rows.filter(status__in=self.setting.only_statuses)
        return rows if self.again else rows.exclude(self._is_sent()).exclude(self._may_have_been_sent())

    def why_left_out(self) -> Case:
        """Why an order is not among those, as an expression; `TO_BE_SENT` if it is."""
        reasons = []
        if not self.again:
            reasons.append(When(self._is_sent(), then=Value(ALREADY_SENT)))
            reasons.append(When(self._may_have_been_sent(), then=Value(NOT_KEPT)))
        if self.setting.only_statuses:
            reasons.append(When(~Q(status__in=self.setting.only_statuses), then=Value(NOT_FOR_STATUS)))
        return Case(*reasons, default=Value(TO_BE_SENT), output_field=CharField())

    def _is_sent(self) -> Exists:
        sent = Delivery.objects.filter(order=OuterRef("pk"), setting=self.setting.pk)
        return Exists(sent.exclude(origin=Delivery.Origin.TEST))

    def _may_have_been_sent(self) -> Q:
        """Orders from before deliveries are kept, if the callback was there by then: it may have been told of them."""
        kept_since = deliveries_kept_since()
        if kept_since is None or not is_no_longer_kept(self.setting.created_at, kept_since):
            return Q(pk=None)
        return Q(created_at__lt=kept_since)

    def keys(self) -> Keys:
        """Between which keys they lie."""
        return self.period.keys_of(Order)

    def record(self, order_ids: Collection[int]) -> int:
        """Write a delivery for each of these orders that still is to be sent; returns how many.

        To be called in a transaction. The orders are locked until its end, so that none of them changes meanwhile. An
        order that somebody else is changing right now raises `OperationalError` instead of waiting, so that the two
        never wait for each other.
        """
        locked = Order.objects.select_for_update(no_key=True, nowait=True).filter(pk__among=order_ids).order_by("pk")
        held = list(locked.values_list("pk", flat=True))
        orders = self.orders().filter(pk__among=held).select_related("link").order_by("pk")
        event = EventType(self.setting.event)
        events = [OrderEvent(order, event, self.setting.affiliate.pk, order.current_state()) for order in orders]
        return outbox.record_events(events, Delivery.Origin.BACKFILL, only_setting=self.setting.pk)

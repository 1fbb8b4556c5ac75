"""Messages of shops: what is kept of each, and what became of it."""

from collections.abc import Collection
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from orders.models.fields import EXTERNAL_ID_MAX_LENGTH
from orders.models.order import Order
from orders.models.refund import Refund
from orders.models.shop import Shop


class Message(models.Model):
    """A message with a right signature, without personal data. Kept for seven days."""

    class Outcome(models.TextChoices):
        RECEIVED = "received", _("Received, not yet applied")
        CREATED = "created", _("Order created")
        UPDATED = "updated", _("Order updated")
        UNCHANGED = "unchanged", _("Nothing changed")
        OLDER = "older", _("Older than the order")
        IGNORED = "ignored", _("Ignored")
        WAITING = "waiting", _("Waits for its order")
        REFUSED = "refused", _("Refused")
        TEST = "test", _("Test")

    shop = models.ForeignKey(Shop, models.CASCADE, related_name="messages", verbose_name=_("shop"))
    key = models.CharField(
        max_length=128, help_text="The same in every repetition of the message; empty if the shop has no such key."
    )
    topic = models.CharField(_("topic"), max_length=64)
    external_id = models.CharField(
        max_length=EXTERNAL_ID_MAX_LENGTH,
        blank=True,
        help_text="The order that it is about, by the shop's key, else its number.",
    )
    order = models.ForeignKey(Order, models.SET_NULL, null=True, related_name="messages", verbose_name=_("order"))
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome)
    reason = models.TextField(_("reason"), blank=True, help_text="In a sentence, for the merchant.")
    kept = models.JSONField(null=True, help_text="The allowed fields of its body; null if it could not be read.")
    triggered_at = models.DateTimeField(null=True, help_text="By the shop's clock.")
    api_version = models.CharField(max_length=32, blank=True)
    received_at = models.DateTimeField(_("received"), auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        default_permissions = ("view",)
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["shop", "key"], condition=~Q(key=""), name="message_once_per_shop"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["shop", "external_id"], name="message_of_order"),
            models.Index(fields=["id"], condition=Q(outcome="received"), name="message_not_applied"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.external_id}"


def forget(orders: Collection[Order]) -> None:
    """Delete what messages and refunds tell of these orders.

    The keys of the messages stay for their time, so that a repetition is known and does not make the order anew.
    """
    about = Q(order__in=[order.pk for order in orders])
    for order in orders:
        if order.shop_id is not None:
            keys = {order.external_id, order.number[:EXTERNAL_ID_MAX_LENGTH]}
            about |= Q(shop=order.shop_id, external_id__in=keys - {""})
    reason = gettext("Its order was forgotten.")
    empty = {"order": None, "external_id": "", "kept": None}
    Message.objects.filter(about).update(**empty, outcome=Message.Outcome.IGNORED, reason=reason)
    Refund.objects.filter(order__in=[order.pk for order in orders]).delete()

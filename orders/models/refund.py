"""Money of orders that was given back. `orders.intake.refunds` adds it up."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from orders.models.fields import AMOUNT_DIGITS, AMOUNT_PLACES, EXTERNAL_ID_MAX_LENGTH
from orders.models.order import Order


class Refund(models.Model):
    """Money of an order that was given back, by the shop's own key."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="refunds")
    external_id = models.CharField(max_length=EXTERNAL_ID_MAX_LENGTH)
    amount = models.DecimalField(max_digits=AMOUNT_DIGITS, decimal_places=AMOUNT_PLACES)
    refunded_at = models.DateTimeField(null=True, help_text="By the shop's clock; empty if it does not say.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "external_id"], name="refund_once_per_order"),
        ]

    def __str__(self) -> str:
        return self.external_id

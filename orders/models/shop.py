"""Shops that send their orders by themselves, and the messages that they sent."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from affiliates.models import validate_text
from config.security.encryption import EncryptedTextField


class Shop(models.Model):
    """A shop whose messages come to /intake/KIND/UUID."""

    class Kind(models.TextChoices):
        SHOPIFY = "shopify", _("Shopify")
        WOOCOMMERCE = "woocommerce", _("WooCommerce")
        SIGNED = "signed", _("Own shop (signed JSON)")

    class CommissionBase(models.TextChoices):
        SUBTOTAL = "subtotal", _("Total without shipping and tax")
        AMOUNT = "amount", _("Order total")

    class First(models.TextChoices):
        LINK = "link", _("The referral link")
        COUPON = "coupon", _("The coupon")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    name = models.CharField(_("name"), max_length=100, unique=True, validators=[validate_text])
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Clear to stop accepting messages from this shop.")
    )
    secret = EncryptedTextField(_("secret"), blank=True, help_text=_("Messages are signed with it."))
    former_secret = EncryptedTextField(blank=True, editable=False)
    former_secret_until = models.DateTimeField(null=True, editable=False, help_text="Accepted until then.")
    address = models.URLField(
        _("address"),
        blank=True,
        help_text=_("The public address of the shop, such as https://shop.example."),
    )
    domain = models.CharField(
        max_length=255, blank=True, editable=False, help_text="What the first valid message said that it came from."
    )
    status_map = models.JSONField(
        _("status map"),
        default=dict,
        blank=True,
        help_text="The shop's statuses that are not translated as by default: {theirs: ours}.",
    )
    commission_base = models.CharField(
        _("commission base"), max_length=16, choices=CommissionBase, default=CommissionBase.SUBTOTAL
    )
    first = models.CharField(_("decides first"), max_length=16, choices=First, default=First.LINK)
    leaves_out_self_referrals = models.BooleanField(
        _("no commission for self-referrals"),
        default=False,
        help_text=_("An order whose customer is the affiliate gets no affiliate."),
    )
    accepts_test_orders = models.BooleanField(_("accept test orders"), default=False)
    last_received_at = models.DateTimeField(null=True, editable=False, help_text="A message with a right signature.")
    last_refused_at = models.DateTimeField(null=True, editable=False, help_text="A message with a wrong signature.")
    refused_count = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("shop")
        verbose_name_plural = _("shops")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

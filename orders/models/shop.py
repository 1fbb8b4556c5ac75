"""Shops that send their orders by themselves, and the messages that they sent."""

import base64
import secrets
import string
import uuid
from datetime import timedelta
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from affiliates.models import validate_text
from affiliates.referral import without_blanks
from config.security.encryption import MARK, EncryptedTextField

OVERLAP = timedelta(days=1)  # how long a secret that was replaced stays valid
SECRET_PREFIX = "whsec_"  # noqa: S105 - how each secret of Standard Webhooks begins
SECRET_MAX_LENGTH = 255


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
    api_version = models.CharField(
        max_length=32, blank=True, editable=False, default="", db_default="", help_text="What its last message said."
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
    updates_received_at = models.DateTimeField(
        null=True, editable=False, help_text="A message orders/updated of Shopify, to the day."
    )
    last_refused_at = models.DateTimeField(null=True, editable=False, help_text="A message with a wrong signature.")
    refused_count = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("shop")
        verbose_name_plural = _("shops")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def unique_error_message(self, model_class: type[models.Model], unique_check: Any) -> ValidationError:
        """In words of the merchant. Nothing but the name is typed."""
        return ValidationError(_("Another shop already has this name. Choose a different one."), code="unique")

    @classmethod
    def make(cls, kind: str, name: str, secret: str = "") -> "Shop":
        """Save a new shop, with a secret of our own unless one is given. Raises `ValidationError`.

        Shopify makes the secret itself: until it was pasted there is none, and no message is accepted.
        """
        shop = cls(kind=kind, name=name, secret=checked_secret(kind, secret) or new_secret(kind))
        shop.full_clean()
        shop.save()
        return shop

    @property
    def path(self) -> str:
        """Where its messages go, on this installation."""
        return f"/intake/{self.kind}/{self.uuid}"

    def rotate(self, secret: str = "") -> None:
        """Accept messages that are signed with this secret, else with a new one; for a day with the former one too.

        Raises `ValidationError` if no message could be signed with it.
        """
        secret = checked_secret(self.kind, secret) or new_secret(self.kind)
        if secret == self.secret:
            return
        self.former_secret, self.former_secret_until = self.secret, timezone.now() + OVERLAP
        self.secret = secret
        self.save(update_fields=["secret", "former_secret", "former_secret_until"])

    def valid_secrets(self) -> list[str]:
        """The secrets that a message may be signed with now. One that SECRET_KEY does not open is none."""
        former = self.former_secret_until and timezone.now() < self.former_secret_until and self.former_secret
        return [secret for secret in (self.secret, former or "") if secret and not secret.startswith(MARK)]


def new_secret(kind: str) -> str:
    """A secret for a shop of this kind; "" if the shop makes it itself."""
    if kind == Shop.Kind.WOOCOMMERCE:  # decodes HTML entities in it, and has room for 50 characters
        return "".join(secrets.choice(string.ascii_letters + string.digits) for _place in range(50))
    if kind == Shop.Kind.SIGNED:
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode("ascii")
    return ""


def checked_secret(kind: str, typed: str) -> str:
    """A secret as it was pasted, without white space at its ends. Raises `ValidationError`."""
    secret = without_blanks(typed)
    validate_text(secret)
    if len(secret) > SECRET_MAX_LENGTH or secret.startswith(MARK):
        raise ValidationError(_("This is no secret of a shop. Copy it again."), code="bad_secret")
    if kind == Shop.Kind.SIGNED and secret and not key_of(secret):
        raise ValidationError(
            _("This is no secret of Standard Webhooks. It begins with whsec_, and base64 follows."), code="bad_secret"
        )
    return secret


def key_of(secret: str) -> bytes:
    """The key that a secret of Standard Webhooks is; b"" if it is none. Some leave the padding out."""
    encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:  # of which binascii.Error is one
        return b""

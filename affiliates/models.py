"""Affiliates, and the referral links that customers came through."""

import hashlib
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, URLValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from affiliates import referral

LINK_MAX_LENGTH = 2000
LINK_STAYS = "Orders came in through this link, and their trackers are told its values. So it stays as it is."


def validate_text(value: str) -> None:
    """Refuse what a database column cannot hold: control characters and halves of surrogate pairs."""
    if any(ord(character) < 0x20 or 0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise ValidationError("This holds a control character; type it again without.", code="control_character")


class Affiliate(models.Model):
    """A partner who sends customers and is paid a share of their orders."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        APPROVED = "approved", "Approved"
        BLOCKED = "blocked", "Blocked"

    name = models.CharField(max_length=200, validators=[validate_text])
    email = models.EmailField("e-mail", max_length=254)
    code = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"\A[\w.~-]+\Z", "Use letters, digits, and any of . _ ~ - only.", code="bad_code")],
        help_text="What names this affiliate in a referral link, such as ?ref=joe.",
        error_messages={"unique": "Another affiliate has this code already."},
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.APPROVED)
    commission_rate = models.DecimalField(
        max_digits=7,
        decimal_places=6,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(1))],
        help_text="The share of an order's amount, as a fraction: 0.15 is 15 %.",
    )
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="affiliate",
        verbose_name="portal login",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name", "pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(commission_rate__gte=0), name="affiliate_rate_not_negative"),
            models.CheckConstraint(condition=~Q(code=""), name="affiliate_code_not_empty"),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "approved", "blocked"]), name="affiliate_status_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def settings_url(self) -> str:
        """The Settings tab of their profile."""
        return reverse("admin:affiliates_affiliate_settings", args=[self.pk])

    def get_absolute_url(self) -> str:
        return reverse("admin:affiliates_affiliate_change", args=[self.pk])


class LinkQuerySet(models.QuerySet["Link"]):
    def find_or_make(self, affiliate: Affiliate, url: str) -> "Link":
        """The affiliate's link with exactly this URL, made if there is none yet. `url` must be valid already."""
        link, _ = self.get_or_create(affiliate=affiliate, digest=digest_of(url), defaults={"url": url})
        return link


def digest_of(url: str) -> str:
    """SHA-256 of a link's URL in hex, 64 characters: short enough for an index, whatever the URL's length."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def code_in(url: str) -> str:
    """The code in the link's referral parameter; "" if there is none."""
    return referral.parse(url).query.get(settings.REFERRAL_PARAMETER, "")


def affiliate_named_by(url: str) -> Affiliate | None:
    """The affiliate whose code is in the link's referral parameter, or None."""
    code = code_in(url)
    return Affiliate.objects.filter(code=code).first() if code else None


class DigestField(models.CharField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Filled from the URL at every insert and update, `bulk_create` included."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        assert isinstance(model_instance, Link)
        digest = model_instance.digest = digest_of(model_instance.url)
        return digest


class Link(models.Model):
    """The full referral URL a customer came through, with whatever the affiliate put into it."""

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="links")
    url = models.URLField(
        "URL", max_length=LINK_MAX_LENGTH, validators=[URLValidator(schemes=["http", "https"]), validate_text]
    )
    digest = DigestField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LinkQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["affiliate", "digest"],
                name="link_once_per_affiliate",
                violation_error_message="This affiliate has this link already.",
            ),
            models.CheckConstraint(condition=~Q(url=""), name="link_url_not_empty"),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def sub_id(self) -> str:
        """The affiliate's own click id in it."""
        return referral.parse(self.url).sub_id

    @property
    def has_orders(self) -> bool:
        return self.pk is not None and Link.objects.filter(pk=self.pk, orders__isnull=False).exists()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if (fields := kwargs.get("update_fields")) is not None:
            names = frozenset(fields)
            kwargs["update_fields"] = names | {"digest"} if "url" in names else names
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse another URL for a link that orders came in through: what they told their trackers would be untrue."""
        self.digest = digest_of(self.url)  # so that validating the constraint sees what saving will store
        if self.has_orders and Link.objects.filter(pk=self.pk).exclude(digest=self.digest).exists():
            raise ValidationError({"url": ValidationError(LINK_STAYS, code="link_has_orders")})

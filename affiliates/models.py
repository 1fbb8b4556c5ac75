"""Affiliates, and the referral links that customers came through."""

import hashlib
import re
import unicodedata
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, URLValidator
from django.db import models, router, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from affiliates import referral

LINK_MAX_LENGTH = 2000
LINK_STAYS = _("This link cannot be changed, because orders came through it and their postbacks use its values.")
_CONTROL = re.compile("[\0-\x1f\ud800-\udfff]")
# Bounded, because reading a number of millions of digits takes seconds. [0-9], because \d is also the digits of others.
_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")


def validate_text(value: str) -> None:
    """Refuse what a database column cannot hold: control characters and halves of surrogate pairs."""
    if _CONTROL.search(value):
        raise ValidationError(_("Remove the control characters."), code="control_character")


# --- numbers -----------------------------------------------------------------
def read_decimal(text: str) -> Decimal:
    """The number that `text` is in plain decimal notation: `58.00`, `-58`. Raises `ValidationError` (`invalid`).

    `Decimal` alone also reads `1_000`, `1e3`, `+5`, `NaN` and the digits of other scripts.
    """
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise ValidationError(_("Enter a number in digits with a point, such as 58.00."), code="invalid")
    return Decimal(text)


class PlainDecimalFormField(forms.DecimalField):
    """A number that is typed. White space around it is no part of it."""

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]  # the stubs inherit that of integers
        text = str(value if value is not None else "").strip()
        return read_decimal(text) if text else None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare numbers: forms show some as text, and 58 is 58.00."""
        return super().has_changed(self.to_python(initial), data)


class PlainDecimalField(models.DecimalField):  # type: ignore[type-arg]  # not subscriptable at run time
    """A number whose text has one notation, whoever brings it: a form, the API or code."""

    def to_python(self, value: Any) -> Decimal | None:
        number: Decimal | None = super().to_python(read_decimal(value) if isinstance(value, str) else value)
        return number

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        return super().formfield(*args, **{"form_class": PlainDecimalFormField} | kwargs)


# --- affiliates --------------------------------------------------------------
class Affiliate(models.Model):
    """A partner who sends customers and is paid a share of their orders."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        APPROVED = "approved", _("Approved")
        BLOCKED = "blocked", _("Blocked")

    name = models.CharField(_("name"), max_length=200, validators=[validate_text])
    email = models.EmailField(_("e-mail"), max_length=254)
    code = models.CharField(
        _("code"),
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"\A[\w.~-]+\Z", _("Use only letters, digits and . _ ~ -"), code="bad_code")],
        help_text=_("Identifies the affiliate in referral links, such as ?ref=joe."),
        error_messages={"unique": _("Another affiliate already has this code.")},
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.APPROVED)
    commission_rate = PlainDecimalField(
        _("commission rate"),
        max_digits=7,
        decimal_places=6,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(1))],
        help_text=_("The share of an order's amount, as a fraction: 0.15 is 15 %."),
    )
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="affiliate",
        verbose_name=_("portal login"),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("affiliate")
        verbose_name_plural = _("affiliates")
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

    @property
    def earlier_codes(self) -> list[str]:
        """The codes that they had before, the latest first. Links with them still name this affiliate."""
        return list(self.aliases.order_by("-pk").values_list("code", flat=True))

    def clean(self) -> None:
        self._check_code()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a changed code leaves its old one as an alias. Raises `ValidationError` for a code that another had."""
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using):
            rows = Affiliate._base_manager.using(using).select_for_update(no_key=True).filter(pk=self.pk)
            old = rows.values_list("code", flat=True).first() if self.pk else None
            names = kwargs.get("update_fields")
            is_written = "code" not in self.get_deferred_fields() if names is None else "code" in (names := list(names))
            if names is not None:
                kwargs["update_fields"] = names
            if is_written and self.code != old:
                self._check_code()
                AffiliateAlias.objects.using(using).filter(affiliate=self.pk, code=self.code).delete()
            super().save(*args, **kwargs)
            if is_written and old not in {None, self.code}:
                AffiliateAlias.objects.using(using).get_or_create(code=old, defaults={"affiliate": self})

    def _check_code(self) -> None:
        """Refuse a code that another affiliate had before: links with it are still theirs."""
        alias = AffiliateAlias.objects.filter(code=self.code).exclude(affiliate=self.pk).select_related("affiliate")
        if taken := alias.first():
            raise ValidationError(
                {
                    "code": ValidationError(
                        _("%(name)s had this code before, and links with it still belong to them. Use another code."),
                        code="alias_of_another",
                        params={"name": taken.affiliate.name},
                    )
                }
            )


class AffiliateAlias(models.Model):
    """A code that an affiliate had before. What has it still names them, unless it is somebody's present code."""

    affiliate = models.ForeignKey(Affiliate, on_delete=models.CASCADE, related_name="aliases")
    code = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("earlier code")
        default_permissions = ()

    def __str__(self) -> str:
        return self.code


def folded_coupon(code: str) -> str:
    """A coupon's code as it is compared: letter case and white space at its ends do not matter."""
    return unicodedata.normalize("NFKC", code).strip().casefold()


class FoldedCodeField(models.CharField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Filled from the code at every insert and update."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        assert isinstance(model_instance, Coupon)
        folded = model_instance.folded = folded_coupon(model_instance.code)
        return folded


class Coupon(models.Model):
    """A discount code whose orders are an affiliate's."""

    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.CASCADE, related_name="coupons", verbose_name=_("affiliate")
    )
    code = models.CharField(_("code"), max_length=100, validators=[validate_text])
    folded = FoldedCodeField(max_length=200, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        default_permissions = ()
        ordering: ClassVar = ["code"]
        constraints: ClassVar = [models.CheckConstraint(condition=~Q(folded=""), name="coupon_not_empty")]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        """Refuse the coupon of another affiliate, in whatever letter case."""
        self.folded = folded_coupon(self.code)
        if not self.folded:
            raise ValidationError({"code": ValidationError(_("Enter a code."), code="blank")})
        taken = Coupon.objects.filter(folded=self.folded).exclude(pk=self.pk).select_related("affiliate").first()
        if taken:
            raise ValidationError(
                {
                    "code": ValidationError(
                        _("%(name)s already has this coupon."), code="unique", params={"name": taken.affiliate.name}
                    )
                }
            )


class LinkQuerySet(models.QuerySet["Link"]):
    def find_or_make(self, affiliate: Affiliate, url: str) -> "Link":
        """The affiliate's link with exactly this URL, made if there is none yet. `url` must be valid already."""
        link, _ = self.get_or_create(affiliate=affiliate, digest=digest_of(url), defaults={"url": url})
        return link


def digest_of(url: str) -> str:
    """SHA-256 of a link's URL in hex, 64 characters: short enough for an index, whatever the URL's length."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def kept(url: str) -> str:
    """A link as a column can keep it, cut to the most important parts if it is too long."""
    return referral.kept(url, LINK_MAX_LENGTH, settings.REFERRAL_PARAMETERS)


def can_be_kept(url: str) -> bool:
    """Whether a link row may hold this: a web address, or the path of one, which some shops send."""
    try:
        URLValidator(schemes=["http", "https"])(url if not url.startswith("/") else f"https://shop.example{url}")
    except ValidationError:
        return False
    return True


class DigestField(models.CharField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Filled from the URL at every insert and update, `bulk_create` included."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        assert isinstance(model_instance, Link)
        digest = model_instance.digest = digest_of(model_instance.url)
        return digest


class Link(models.Model):
    """The full referral URL a customer came through, with whatever the affiliate put into it."""

    affiliate = models.ForeignKey(
        Affiliate, on_delete=models.CASCADE, related_name="links", verbose_name=_("affiliate")
    )
    url = models.URLField(
        _("URL"), max_length=LINK_MAX_LENGTH, validators=[URLValidator(schemes=["http", "https"]), validate_text]
    )
    digest = DigestField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["affiliate", "digest"],
                name="link_once_per_affiliate",
                violation_error_message=_("This affiliate already has this link."),
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

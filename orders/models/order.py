"""Orders, and what changed at each save of one. What a column may hold is in `fields`."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, TypeAlias

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from affiliates import search
from affiliates.models import (
    LINK_MAX_LENGTH,
    Affiliate,
    Link,
    PlainDecimalField,
    can_be_kept,
    folded_coupon,
    validate_text,
)
from orders import money
from orders.models import choices
from orders.models.fields import (
    AMOUNT_DIGITS,
    AMOUNT_PLACES,
    COUPON_MAX_LENGTH,
    EXTERNAL_ID_MAX_LENGTH,
    NUMBER_MAX_LENGTH,
    RATE_PLACES,
    CurrencyField,
    link_of_another,
    validate_currency,
    validate_number,
)
from orders.models.queryset import OrderQuerySet
from orders.models.shop import Shop
from orders.models.state import TOLD, OrderState, rate_of_row, stored


class Order(models.Model):
    """One order of the shop.

    After each `save()`, `before` and `after` hold the row as it was (None for a new one) and as it is now. They are
    read from the row under its lock, not remembered from when the instance was loaded. So they are right also after a
    rolled-back save, with deferred fields, with `update_fields`, and if another process changed the row in between.
    """

    Status: TypeAlias = choices.Status
    NoAffiliate: TypeAlias = choices.NoAffiliate
    Source: TypeAlias = choices.Source

    # Reasons of orders that came with nothing to be recognized.
    NAMED_NOBODY = ("", NoAffiliate.NOTHING_GIVEN.value, NoAffiliate.SELF_REFERRAL.value)

    number = models.CharField(
        _("number"),
        max_length=NUMBER_MAX_LENGTH,
        validators=[validate_text, validate_number],
        help_text=_("As your shop shows it, such as #100001."),
    )
    # No constraint and no index of its own: the unique constraints below have one.
    shop = models.ForeignKey(
        Shop,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        db_constraint=False,
        db_index=False,
        related_name="orders",
        verbose_name=_("shop"),
    )
    external_id = models.CharField(
        max_length=EXTERNAL_ID_MAX_LENGTH,
        blank=True,
        editable=False,
        default="",
        db_default="",
        validators=[validate_text],
        help_text="The shop's own key of the order.",
    )
    source = models.CharField(
        _("source"), max_length=16, blank=True, editable=False, choices=Source, default="", db_default=""
    )
    attribution = models.JSONField(
        null=True,
        editable=False,
        help_text="What each source said of the affiliate: a list of {source, given, affiliate, reason}.",
    )
    is_self_referral = models.BooleanField(
        editable=False, default=False, db_default=False, help_text="Whether the customer's e-mail is the affiliate's."
    )
    coupon = models.CharField(
        _("coupon"),
        max_length=COUPON_MAX_LENGTH,
        blank=True,
        editable=False,
        default="",
        db_default="",
        help_text="The codes that the customer used, with commas between them.",
    )
    items = models.IntegerField(null=True, editable=False, help_text="How many; empty if it is not known.")
    customer_is_new = models.BooleanField(null=True, editable=False, help_text="Empty if it is not known.")
    ordered_at = models.DateTimeField(
        null=True, editable=False, help_text="When the customer ordered, by the shop's clock."
    )
    source_updated_at = models.DateTimeField(
        null=True, editable=False, help_text="When the shop changed it last, by the message applied last."
    )
    source_triggered_at = models.DateTimeField(
        null=True, editable=False, help_text="When the message applied last was made. Decides within a second."
    )
    affiliate = models.ForeignKey(
        Affiliate, models.PROTECT, null=True, blank=True, related_name="orders", verbose_name=_("affiliate")
    )
    link = models.ForeignKey(Link, models.PROTECT, null=True, blank=True, related_name="orders", verbose_name=_("link"))
    amount = PlainDecimalField(
        _("amount"),
        max_digits=AMOUNT_DIGITS,
        decimal_places=AMOUNT_PLACES,
        error_messages={"null": _("A new order needs an amount.")},
    )
    commission = PlainDecimalField(
        _("commission"),
        max_digits=AMOUNT_DIGITS,
        decimal_places=AMOUNT_PLACES,
        blank=True,
        help_text=_("Leave empty to calculate it from the affiliate's rate."),
    )
    commission_given = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether the order brought its own commission; otherwise it follows the amount.",
    )
    commission_rate = models.DecimalField(
        max_digits=RATE_PLACES + 1,
        decimal_places=RATE_PLACES,
        null=True,
        editable=False,
        help_text="The affiliate's rate when the order became theirs; empty in rows from before it was kept.",
    )
    subtotal = PlainDecimalField(
        _("subtotal"),
        max_digits=AMOUNT_DIGITS,
        decimal_places=AMOUNT_PLACES,
        null=True,
        editable=False,
        help_text="The amount without shipping and tax; empty if it is not known.",
    )
    refunded = PlainDecimalField(
        _("refunded"),
        max_digits=AMOUNT_DIGITS,
        decimal_places=AMOUNT_PLACES,
        editable=False,
        default=Decimal(0),
        db_default=Decimal(0),
    )
    commission_on = PlainDecimalField(
        max_digits=AMOUNT_DIGITS,
        decimal_places=AMOUNT_PLACES,
        null=True,
        editable=False,
        help_text="What the commission is calculated from; empty if from the amount.",
    )
    currency = CurrencyField(_("currency"), max_length=3, default="USD", validators=[validate_currency])
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.NEW)
    no_affiliate_reason = models.CharField(
        max_length=32, blank=True, editable=False, default="", db_default="", help_text="A value of NoAffiliate."
    )
    referral_given = models.CharField(
        max_length=LINK_MAX_LENGTH,
        blank=True,
        editable=False,
        default="",
        db_default="",
        help_text="The link or code that came with an order of no affiliate, as far as it can be kept.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrderQuerySet.as_manager()

    before: OrderState | None = None
    after: OrderState | None = None
    request_id = ""  # of the request that saves it, if that is another one than the present
    _commission_on_before: Decimal | None = None
    _is_base_saved = True

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["number"],
                condition=Q(shop=None),
                name="order_number_once",
                violation_error_code="unique",
                violation_error_message=_("An order with this number already exists."),
            ),
            models.UniqueConstraint(
                fields=["shop", "number"],
                condition=Q(shop__isnull=False),
                name="order_number_once_per_shop",
                violation_error_code="unique",
                violation_error_message=_("An order with this number already exists."),
            ),
            models.UniqueConstraint(
                fields=["shop", "external_id"],
                condition=~Q(external_id=""),
                name="order_external_id_once",
                violation_error_code="unique",
                violation_error_message=_("An order with this ID already exists."),
            ),
            models.CheckConstraint(condition=~Q(number=""), name="order_number_not_empty"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="order_one_currency_code"),
            models.CheckConstraint(condition=Q(status__in=["new", "approved", "rejected"]), name="order_status_known"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["affiliate", "-id"], name="order_of_affiliate"),
            # The operator class also finds by the beginning of a number.
            models.Index(fields=["number"], name="order_number", opclasses=["varchar_pattern_ops"]),
        ]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("admin:orders_order_change", args=[self.pk])

    @property
    def why_no_affiliate(self) -> str:
        """In a sentence; "" if it has one, or never named one."""
        reason = "" if self.affiliate_id is not None else self.no_affiliate_reason
        return str(Order.NoAffiliate(reason).label) if reason else ""

    @property
    def affiliate_in_referral(self) -> Affiliate | None:
        """Whom the link or the coupon that came with an order of no affiliate names nevertheless."""
        if not self.why_no_affiliate:
            return None
        if self.no_affiliate_reason == Order.NoAffiliate.UNKNOWN_COUPON:
            return Affiliate.objects.filter(coupons__folded=folded_coupon(self.referral_given)).first()
        return search.named_by(self.referral_given)

    # --- checking ------------------------------------------------------------
    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        if "number" not in (exclude or ()) and not self._has_old_number():
            self.number = stored(_FIELDS["number"], self.number)
        super().clean_fields(exclude)

    def _has_old_number(self) -> bool:
        """Whether its row has exactly this number, from when numbers kept their blanks: it stays as it is."""
        if self.pk is None or self.number == stored(_FIELDS["number"], self.number):
            return False
        return Order._base_manager.filter(pk=self.pk, number=self.number).exists()

    def clean(self) -> None:
        """Refuse what contradicts itself: more decimals than the currency has, a link of another affiliate."""
        errors: dict[str, ValidationError] = {}
        if money.is_currency(self.currency):
            for name in ("amount", "commission"):
                amount = getattr(self, name)
                if isinstance(amount, Decimal) and money.has_too_many_decimals(amount, self.currency):
                    errors[name] = ValidationError(
                        _("%(currency)s amounts have at most %(digits)d digits after the point."),
                        code="too_many_decimals",
                        params={"currency": self.currency, "digits": money.minor_digits(self.currency)},
                    )
        if self.link and self.affiliate_id and self.link.affiliate_id != self.affiliate_id:
            errors["link"] = link_of_another(self.link.affiliate)
        if errors:
            raise ValidationError(errors)

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Refuse a number, and a shop's key, that another order has. The other constraints hold what fields check.

        As Django, but in one query instead of six, and beside the field `number` for a shop's order too.
        """
        exclude = exclude or ()
        same = Q(number=self.number) if "number" not in exclude else Q()
        if self.external_id and "external_id" not in exclude:
            same |= Q(external_id=self.external_id)
        others = Order._base_manager.exclude(pk=self.pk).filter(same, shop=self.shop_id) if same else ()
        errors = {}
        for other in others:
            if "number" not in exclude and other.number == self.number:
                message = _("An order with this number already exists.")
                errors["number"] = ValidationError(message, code="unique")
            if "external_id" not in exclude and self.external_id and other.external_id == self.external_id:
                message = _("An order with this ID already exists.")
                errors["external_id"] = ValidationError(message, code="unique")
        if errors:
            raise ValidationError(errors)

    # --- saving --------------------------------------------------------------
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and set `before` and `after`. Columns that are computed are written whatever `update_fields` names."""
        if args:
            raise TypeError("Order.save() takes keyword arguments only.")
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        if (named := kwargs.get("update_fields")) is not None:
            named = kwargs["update_fields"] = frozenset(named)
        with transaction.atomic(using=using, savepoint=False):  # as Django's own
            self._lock_row(using, named)
            saved = self._columns_to_save(named)
            self._evaluate_expressions(saved, using)
            computed = self.fill_in(saved)
            if named:
                kwargs["update_fields"] = {*named, *computed, "updated_at"}
            elif named is None:
                self.updated_at = timezone.now()  # so that it is written even if it was deferred
            super().save(**kwargs)

    def fill_in(self, saved: AbstractSet[str] = frozenset(TOLD)) -> set[str]:
        """Bring the columns that are about to be saved into their stored form, compute what is missing, set `after`.

        Columns that are not saved count as they are in the row. Returns the names of the columns that were computed,
        which must be saved too.
        """
        before = self.before
        for name in saved:
            value = getattr(self, name)
            if name == "number" and before and value == before.number:
                continue  # a row from when numbers kept their blanks stays as it is
            setattr(self, name, stored(_FIELDS[name], value))
        computed: set[str] = set()
        values = {name: getattr(self, name) for name in saved}
        self.after = replace(before, **values) if before else OrderState(**values)
        if "link_id" in saved and self.after.affiliate_id is None and self.link:
            self.affiliate = self.link.affiliate
            self.after = replace(self.after, affiliate_id=self.link.affiliate_id)
            computed = {"affiliate_id"}
        if before and before.affiliate_id is None and self.after.affiliate_id is not None:
            computed |= self._use_referral_given(self.after, self._affiliate_with(self.after.affiliate_id))
        computed |= self._settle_rate(before, self.after)
        return computed | self._settle_commission(before, self.after)

    def _use_referral_given(self, after: OrderState, affiliate: Affiliate) -> set[str]:
        """Give an order that has got its affiliate only now the link that it came with, unless that is another's."""
        computed = {"no_affiliate_reason", "referral_given"}
        is_coupon = self.no_affiliate_reason == Order.NoAffiliate.UNKNOWN_COUPON
        url = "" if is_coupon else self.referral_given
        if after.link_id is None and can_be_kept(url) and search.named_by(url) in {None, affiliate}:
            self.link = Link.objects.find_or_make(affiliate, url)
            self.after = replace(after, link_id=self.link.pk)
            computed.add("link_id")
        self.no_affiliate_reason = self.referral_given = ""
        return computed

    def current_state(self) -> OrderState:
        return OrderState(**{name: getattr(self, name) for name in TOLD})

    def _settle_commission(self, before: OrderState | None, after: OrderState) -> set[str]:
        """Keep the commission that was given, or compute it. Returns the names of the columns that were set."""
        base = self.commission_on if before is None or self._is_base_saved else self._commission_on_before
        if after.commission is not None:  # which is what was there, if it is not saved
            if before is None or before.commission != after.commission:
                self.commission_given = True
                return {"commission_given"}
            is_same = before.basis == after.basis and base == self._commission_on_before
            if self.commission_given or is_same:
                return set()
        self.commission_given = False
        base = after.amount if base is None else base
        self.commission = money.rounded(base * (self.commission_rate or Decimal(0)), after.currency)
        self.after = replace(after, commission=self.commission)
        return {"commission", "commission_given"}

    def _settle_rate(self, before: OrderState | None, after: OrderState) -> set[str]:
        """Keep the rate that the order was made with, or take the affiliate's. Returns the columns that were set."""
        if before is not None and before.affiliate_id == after.affiliate_id:
            is_missing = self.commission_rate is None and after.affiliate_id is not None
            if not is_missing or (before.basis == after.basis and after.commission is not None):
                return set()
        if after.affiliate_id is None:
            self.commission_rate = None
        else:
            affiliate = self._affiliate_with(after.affiliate_id)
            rate = Decimal(str(affiliate.commission_rate))  # it is text or a float if it was not read
            if before is not None and before.affiliate_id == after.affiliate_id and not self.commission_given:
                rate = rate_of_row(before, rate)
            self.commission_rate = rate.quantize(Decimal(1).scaleb(-RATE_PLACES))
        return {"commission_rate"}

    def _affiliate_with(self, affiliate_id: int) -> Affiliate:
        affiliate = self.affiliate if self.affiliate_id == affiliate_id else Affiliate.objects.get(pk=affiliate_id)
        assert affiliate is not None
        return affiliate

    def _lock_row(self, using: str, update_fields: AbstractSet[str] | None) -> None:
        """Set `before`. What `save` maintains is taken from the row too: the rate, whether a commission was given."""
        self.before = None
        if self.pk is not None:
            rows = Order._base_manager.using(using).select_for_update(no_key=True).filter(pk=self.pk)
            maintained = ("commission_given", "commission_rate", "commission_on")
            if row := next(iter(rows.values_list(*TOLD, *maintained)), None):
                *told, self.commission_given, self.commission_rate, self._commission_on_before = row
                self.before = OrderState(*told)
                self._is_base_saved = "commission_on" in (
                    update_fields or {"commission_on"} - self.get_deferred_fields()
                )

    def _columns_to_save(self, update_fields: AbstractSet[str] | None) -> set[str]:
        """The columns of an `OrderState` that `Model.save` will write, by attribute name."""
        if self.before is None:
            return set(TOLD)
        if update_fields is None:
            return set(TOLD) - self.get_deferred_fields()
        return {name for name in TOLD if {name, _FIELDS[name].name} & update_fields}

    def _evaluate_expressions(self, saved: AbstractSet[str], using: str) -> None:
        """Turn `order.amount = F("amount") + 1` into its value, which the lock on the row keeps true."""
        expressions = {name: value for name in saved if hasattr(value := getattr(self, name), "resolve_expression")}
        if expressions:
            values = Order._base_manager.using(using).filter(pk=self.pk)
            names = {f"new_{name}": expression for name, expression in expressions.items()}
            for name, value in values.values(**names).get().items():
                setattr(self, name.removeprefix("new_"), value)


_FIELDS: dict[str, Any] = {name: Order._meta.get_field(name) for name in TOLD}  # noqa: SLF001 - Django's documented name

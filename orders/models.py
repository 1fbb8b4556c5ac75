"""Orders, and what changed at each save of one; tokens of the API."""

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from affiliates.models import Affiliate, Link, validate_text
from orders import money
from orders.signals import orders_created

AMOUNT_DIGITS = 19
AMOUNT_PLACES = 4  # the most that ISO 4217 knows (CLF, UYW)


def validate_currency(code: str) -> None:
    if not money.is_currency(code):
        raise ValidationError(
            "“%(code)s” is no currency code; use the three letters of ISO 4217, such as USD or EUR.",
            code="unknown_currency",
            params={"code": code},
        )


@dataclass(frozen=True, slots=True)
class OrderState:
    """The columns of an order whose change is an event, as they stand in its row."""

    number: str
    affiliate_id: int | None
    link_id: int | None
    amount: Decimal
    commission: Decimal
    currency: str
    status: str

    @property
    def basis(self) -> tuple[Any, ...]:
        """What a commission is computed from, besides the affiliate's rate."""
        return self.amount, self.currency, self.affiliate_id


WATCHED = tuple(OrderState.__slots__)


class OrderQuerySet(models.QuerySet["Order"]):
    def bulk_create(
        self,
        objs: Iterable["Order"],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list["Order"]:
        """Compute what `save()` would, insert many orders at once, and send `orders_created` in the same transaction.

        `ignore_conflicts` and `update_conflicts` are refused with `ValueError`: the database does not say which rows
        it inserted, so it is unknown which of them are new orders.
        """
        if ignore_conflicts or update_conflicts:
            raise ValueError("Orders cannot be created with ignore_conflicts or update_conflicts: save them instead.")
        orders = list(objs)
        for order in orders:
            order.before = None
            order.fill_in()
        with transaction.atomic(using=self.db):
            created = super().bulk_create(orders, batch_size)
            orders_created.send(self.model, orders=created)
        return created


def validate_statuses(values: list[str]) -> None:
    if not isinstance(values, list) or any(value not in Order.Status.values for value in values):
        raise ValidationError(
            "Choose among the statuses of an order: %(known)s.",
            code="unknown_status",
            params={"known": ", ".join(Order.Status.values)},
        )


class CurrencyField(models.CharField):  # type: ignore[type-arg]  # not subscriptable at run time
    """A currency code, in capitals however it was written."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.strip().upper() if isinstance(text, str) else text


class Order(models.Model):
    """One order of the shop.

    After each `save()`, `before` and `after` hold the row as it was (None for a new one) and as it is now. They are
    read from the row under its lock, not remembered from when the instance was loaded. So they are right also after a
    rolled-back save, with deferred fields, with `update_fields`, and if another process changed the row in between.
    """

    class Status(models.TextChoices):
        NEW = "new", "New"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"

    number = models.CharField(
        max_length=100,
        unique=True,
        validators=[validate_text],
        help_text="As the shop shows it, such as #100001.",
        error_messages={"unique": "There is an order with this number already."},
    )
    affiliate = models.ForeignKey(Affiliate, on_delete=models.PROTECT, null=True, blank=True, related_name="orders")
    link = models.ForeignKey(Link, on_delete=models.SET_NULL, null=True, blank=True, related_name="orders")
    amount = models.DecimalField(max_digits=AMOUNT_DIGITS, decimal_places=AMOUNT_PLACES)
    commission = models.DecimalField(
        max_digits=AMOUNT_DIGITS,
        decimal_places=AMOUNT_PLACES,
        blank=True,
        help_text="Leave empty to take the affiliate's rate of the amount.",
    )
    commission_given = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether the order brought its own commission; otherwise it follows the amount.",
    )
    currency = CurrencyField(max_length=3, default="USD", validators=[validate_currency])
    status = models.CharField(max_length=16, choices=Status, default=Status.NEW)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrderQuerySet.as_manager()

    before: OrderState | None = None
    after: OrderState | None = None

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(number=""), name="order_number_not_empty"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="order_one_currency_code"),
            models.CheckConstraint(condition=Q(status__in=["new", "approved", "rejected"]), name="order_status_known"),
        ]
        indexes: ClassVar = [models.Index(fields=["affiliate", "-id"], name="order_of_affiliate")]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("admin:orders_order_change", args=[self.pk])

    # --- checking ------------------------------------------------------------
    def clean(self) -> None:
        """Refuse what contradicts itself: more decimals than the currency has, a link of another affiliate."""
        errors: dict[str, ValidationError] = {}
        if money.is_currency(self.currency):
            for name in ("amount", "commission"):
                amount = getattr(self, name)
                if isinstance(amount, Decimal) and money.has_too_many_decimals(amount, self.currency):
                    errors[name] = ValidationError(
                        "%(currency)s amounts have %(digits)d digits after the point at most.",
                        code="too_many_decimals",
                        params={"currency": self.currency, "digits": money.minor_digits(self.currency)},
                    )
        if self.link and self.affiliate_id and self.link.affiliate_id != self.affiliate_id:
            errors["link"] = ValidationError(
                "This link belongs to %(name)s; clear it or choose that affiliate.",
                code="link_of_another_affiliate",
                params={"name": self.link.affiliate.name},
            )
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
        with transaction.atomic(using=using):
            self._lock_row(using)
            saved = self._columns_to_save(named)
            self._evaluate_expressions(saved, using)
            computed = self.fill_in(saved)
            if named:
                kwargs["update_fields"] = {*named, *computed, "updated_at"}
            elif named is None:
                self.updated_at = timezone.now()  # so that it is written even if it was deferred
            super().save(**kwargs)

    def fill_in(self, saved: AbstractSet[str] = frozenset(WATCHED)) -> set[str]:
        """Bring the columns that are about to be saved into their stored form, compute what is missing, set `after`.

        Columns that are not saved count as they are in the row. Returns the names of the columns that were computed,
        which must be saved too.
        """
        for name in saved:
            setattr(self, name, _stored(name, getattr(self, name)))
        computed, before = set(), self.before
        values = {name: getattr(self, name) for name in saved}
        self.after = replace(before, **values) if before else OrderState(**values)
        if "link_id" in saved and self.after.affiliate_id is None and self.link:
            self.affiliate = self.link.affiliate
            self.after = replace(self.after, affiliate_id=self.link.affiliate_id)
            computed = {"affiliate_id"}
        return computed | self._settle_commission(before, self.after)

    def current_state(self) -> OrderState:
        return OrderState(**{name: getattr(self, name) for name in WATCHED})

    def _settle_commission(self, before: OrderState | None, after: OrderState) -> set[str]:
        """Keep the commission that was given, or compute it. Returns the names of the columns that were set."""
        if after.commission is not None:  # which is what was there, if it is not saved
            if before is None or before.commission != after.commission:
                self.commission_given = True
                return {"commission_given"}
            if self.commission_given or before.basis == after.basis:
                return set()
        self.commission_given = False
        self.commission = money.rounded(after.amount * self._rate_of(after.affiliate_id), after.currency)
        self.after = replace(after, commission=self.commission)
        return {"commission", "commission_given"}

    def _rate_of(self, affiliate_id: int | None) -> Decimal:
        if affiliate_id is None:
            return Decimal(0)
        affiliate = self.affiliate if self.affiliate_id == affiliate_id else Affiliate.objects.get(pk=affiliate_id)
        assert affiliate is not None
        return Decimal(str(affiliate.commission_rate))  # text or a float, if it was not read from its row

    def _lock_row(self, using: str) -> None:
        """Set `before`. Whether the order brought its own commission is taken from the row too: `save` maintains it."""
        self.before = None
        if self.pk is not None:
            rows = Order._base_manager.using(using).select_for_update(no_key=True).filter(pk=self.pk)
            if row := next(iter(rows.values_list(*WATCHED, "commission_given")), None):
                *watched, self.commission_given = row
                self.before = OrderState(*watched)

    def _columns_to_save(self, update_fields: AbstractSet[str] | None) -> set[str]:
        """The watched columns that `Model.save` will write, by attribute name."""
        if self.before is None:
            return set(WATCHED)
        if update_fields is None:
            return set(WATCHED) - self.get_deferred_fields()
        return {name for name in WATCHED if {name, _field(name).name} & update_fields}

    def _evaluate_expressions(self, saved: AbstractSet[str], using: str) -> None:
        """Turn `order.amount = F("amount") + 1` into its value, which the lock on the row keeps true."""
        expressions = {name: value for name in saved if hasattr(value := getattr(self, name), "resolve_expression")}
        if expressions:
            values = Order._base_manager.using(using).filter(pk=self.pk)
            names = {f"new_{name}": expression for name, expression in expressions.items()}
            for name, value in values.values(**names).get().items():
                setattr(self, name.removeprefix("new_"), value)


class ApiToken(models.Model):
    """Lets a program hand over orders. Only the digest is kept: the token itself is shown once, when it is made."""

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="To the minute.")
    expires_at = models.DateTimeField(null=True, editable=False, help_text="Empty if it never does.")

    class Meta:
        verbose_name = "API token"

    def __str__(self) -> str:
        return self.name

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


def _stored(name: str, value: object) -> Any:
    """A value as its column will hold it, so that it compares equal to what is read back."""
    stored = _field(name).to_python(value)
    return stored.quantize(Decimal(1).scaleb(-AMOUNT_PLACES)) if isinstance(stored, Decimal) else stored


def _field(name: str) -> "models.Field[Any, Any]":
    field = Order._meta.get_field(name)  # noqa: SLF001 - Django's documented name
    assert isinstance(field, models.Field)
    return field

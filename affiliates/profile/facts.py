"""What the head of an affiliate's profile says: how much they brought, and whether they heard of it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from affiliates.models import Affiliate

RECENTLY = timedelta(days=30)
LOOKED_AT = 5000  # of somebody with more deliveries in that time, the last ones say it as well


@dataclass(frozen=True, slots=True)
class Commission:
    """What was earned in one currency, by orders that were not rejected."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Facts:
    """`delivered` is a share in percent; None if nothing was tried lately."""

    orders: int
    commissions: tuple[Commission, ...]
    delivered: float | None


def facts_of(affiliate: Affiliate) -> Facts:
    rows = affiliate.orders.order_by().values("currency").annotate(n=Count("pk"), earned=_earned())
    by_currency = sorted(rows, key=lambda row: (-row["n"], row["currency"]))
    return Facts(
        orders=sum(row["n"] for row in by_currency),
        commissions=tuple(Commission(row["earned"], row["currency"]) for row in by_currency if row["earned"]),
        delivered=_delivered(affiliate),
    )


def _earned() -> Sum:
    return Sum("commission", filter=~Q(status="rejected"))


def _delivered(affiliate: Affiliate) -> float | None:
    recorded = affiliate.deliveries.exclude(origin="test").order_by("-pk")
    last = recorded[:LOOKED_AT].values_list("created_at", "attempt_count", "status")
    begin = timezone.now() - RECENTLY
    tried = [status for created_at, attempts, status in last if created_at >= begin and attempts]
    return 100 * tried.count("succeeded") / len(tried) if tried else None


def with_order_count(affiliates: "QuerySet[Affiliate]") -> "QuerySet[Affiliate]":
    """Affiliates with `order_count`."""
    counted = Affiliate.objects.filter(pk=OuterRef("pk")).order_by().values("pk").annotate(n=Count("orders"))
    return affiliates.annotate(order_count=Coalesce(Subquery(counted.values("n")), 0))

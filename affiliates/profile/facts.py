"""The figures in the head of an affiliate's profile: orders, commission, share of deliveries that succeeded."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from affiliates.models import Affiliate

RECENT = timedelta(days=30)
MAX_DELIVERIES = 5000  # the latest, that the share is computed from


@dataclass(frozen=True, slots=True)
class Commission:
    """The commission in one currency, without rejected orders."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Facts:
    """`delivered` is the percentage of the deliveries of the last 30 days that succeeded; None if there were none."""

    orders: int
    commissions: tuple[Commission, ...]
    delivered: float | None


def facts_of(affiliate: Affiliate) -> Facts:
    earned = Sum("commission", filter=~Q(status="rejected"))
    rows = affiliate.orders.order_by().values("currency").annotate(n=Count("pk"), earned=earned)
    by_currency = sorted(rows, key=lambda row: (-row["n"], row["currency"]))
    return Facts(
        orders=sum(row["n"] for row in by_currency),
        commissions=tuple(Commission(row["earned"], row["currency"]) for row in by_currency if row["earned"]),
        delivered=_delivered(affiliate),
    )


def _delivered(affiliate: Affiliate) -> float | None:
    recorded = affiliate.deliveries.exclude(origin="test").order_by("-pk")
    last = recorded[:MAX_DELIVERIES].values_list("created_at", "attempt_count", "status")
    begin = timezone.now() - RECENT
    tried = [status for created_at, attempts, status in last if created_at >= begin and attempts]
    return 100 * tried.count("succeeded") / len(tried) if tried else None


def with_order_count(affiliates: "QuerySet[Affiliate]") -> "QuerySet[Affiliate]":
    """Affiliates with `order_count`."""
    counted = Affiliate.objects.filter(pk=OuterRef("pk")).order_by().values("pk").annotate(n=Count("orders"))
    return affiliates.annotate(order_count=Coalesce(Subquery(counted.values("n")), 0))

"""Adds what goes to the sums that stay: an affiliate's month is the same after its deliveries were pruned or forgotten.

Call these functions in the transaction that deletes the rows, before it does.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from django.db import connection
from django.db.models import F

from callbacks.models import KeptOrders, sql
from callbacks.models.retention import month_of
from orders.models import Order

# Of these deliveries, the last of each order for a callback, as `callbacks.reports.reconciliation` counts them.
_LAST = """
SELECT d.affiliate_id, d.event, COALESCE(d.setting_id, 0),
  CASE WHEN d.status IN ('pending', 'sending') THEN 'skipped' ELSE d.status END, CAST(o.created_at AS text)
FROM callbacks_delivery d JOIN orders_order o ON o.id = d.order_id AND o.affiliate_id = d.affiliate_id
WHERE d.id {among} AND d.origin <> 'test' AND NOT EXISTS (
  SELECT 1 FROM callbacks_delivery n
  WHERE n.order_id = d.order_id AND n.affiliate_id = d.affiliate_id AND n.event = d.event
    AND COALESCE(n.setting_id, 0) = COALESCE(d.setting_id, 0) AND n.id > d.id AND n.origin <> 'test')
"""
_ADD = """
INSERT INTO callbacks_keptresult (affiliate_id, event, setting_key, status, month, orders)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (affiliate_id, month, event, setting_key, status)
DO UPDATE SET orders = callbacks_keptresult.orders + excluded.orders
"""


def add_results(delivery_keys: Collection[int]) -> None:
    """Add what became of the orders of these deliveries. One that is not over ends unsent."""
    among, keys = sql.one_of(delivery_keys)
    with connection.cursor() as cursor:
        cursor.execute(_LAST.format(among=among), [keys])
        found = Counter((*what, month_of(_parsed(text))) for *what, text in cursor.fetchall())
        if found:
            # In one order, as everybody locks them.
            cursor.executemany(_ADD, [(*what, number) for what, number in sorted(found.items())])


def _parsed(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # SQLite has no zones


def add_orders(orders: Iterable[Order]) -> None:
    """Add these orders to the sums of their affiliates' months."""
    for order in orders:
        if order.affiliate_id is not None:
            key = {"affiliate_id": order.affiliate_id, "month": month_of(order.created_at), "currency": order.currency}
            KeptOrders.objects.get_or_create(**key)
            KeptOrders.objects.filter(**key).update(
                orders=F("orders") + 1, amount=F("amount") + order.amount, commission=F("commission") + order.commission
            )

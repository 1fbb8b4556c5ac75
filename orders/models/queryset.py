"""Many orders at once: what is saved and what is told when they are created or deleted in one query."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from django.db import models, transaction

from affiliates.models import Affiliate
from orders.signals import orders_created, orders_deleted

if TYPE_CHECKING:
    from orders.models.order import Order

DELETED_AT_ONCE = 500


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
        unread = [order for order in orders if order.affiliate_id and not self.model.affiliate.is_cached(order)]
        affiliates = Affiliate.objects.in_bulk({order.affiliate_id for order in unread})
        for order in unread:
            if order.affiliate_id in affiliates:
                order.affiliate = affiliates[order.affiliate_id]
        for order in orders:
            order.before = None
            order.fill_in()
        with transaction.atomic(using=self.db, savepoint=False):
            created = super().bulk_create(orders, batch_size)
            orders_created.send(self.model, orders=created)
        return created

    def delete(self) -> tuple[int, dict[str, int]]:
        """Send `orders_deleted` for many of them at once, in the transaction that deletes them."""
        numbers: Counter[str] = Counter()
        with transaction.atomic(using=self.db):
            keys = list(self.order_by().values_list("pk", flat=True))
            for start in range(0, len(keys), DELETED_AT_ONCE):
                # By key: what was chosen by its deliveries may no longer be chosen once there are more of them.
                part = type(self)(self.model, using=self.db).filter(pk__in=keys[start : start + DELETED_AT_ONCE])
                orders_deleted.send(self.model, keys=keys[start : start + DELETED_AT_ONCE])
                numbers += Counter(super(OrderQuerySet, part).delete()[1])
        return numbers.total(), dict(numbers)

    delete.alters_data = True  # type: ignore[attr-defined]  # as Django marks its own, so that no manager has it
    delete.queryset_only = True  # type: ignore[attr-defined]

"""The signals for many orders at once: `bulk_create` sends no `post_save`, and one `pre_delete` for each takes long."""

from django.dispatch import Signal

# Sent inside the transaction of `Order.objects.bulk_create`, with `orders`: the new instances, `after` set on each.
orders_created = Signal()

# Sent inside the transaction of a queryset's `delete()`, before it, with `keys`: the primary keys of the orders.
orders_deleted = Signal()

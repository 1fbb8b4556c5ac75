"""The signal for orders that were inserted with `bulk_create`, which sends no `post_save`."""

from django.dispatch import Signal

# Sent inside the transaction of `Order.objects.bulk_create`, with `orders`: the new instances, `after` set on each.
orders_created = Signal()

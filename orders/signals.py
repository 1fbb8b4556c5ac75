"""What `post_save` does not tell: orders that were inserted many at once."""

from django.dispatch import Signal

# Sent inside the transaction of `Order.objects.bulk_create`, with `orders`: the new instances, `after` set on each.
orders_created = Signal()

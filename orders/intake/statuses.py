"""Which of our statuses a shop's own status is: by its kind, and by what the merchant chose for this shop."""

from typing import Final

from orders.models import Order, Shop

NEW, APPROVED, REJECTED = Order.Status.NEW.value, Order.Status.APPROVED.value, Order.Status.REJECTED.value
IGNORED: Final = "ignored"  # nothing is made of a message about such an order
MOST_LISTED: Final = 100  # statuses in the map of a shop

DEFAULTS: Final[dict[str, dict[str, str]]] = {
    Shop.Kind.SHOPIFY: {  # of `financial_status`
        "pending": NEW,
        "authorized": NEW,
        "partially_paid": NEW,
        "expired": NEW,
        "paid": APPROVED,
        "partially_refunded": APPROVED,
        "refunded": REJECTED,
        "voided": REJECTED,
    },
    Shop.Kind.WOOCOMMERCE: {
        "pending": NEW,
        "on-hold": NEW,
        "processing": APPROVED,
        "completed": APPROVED,
        "ready-for-pickup": APPROVED,
        "failed": REJECTED,  # and approved once it is paid after all
        "cancelled": REJECTED,
        "refunded": REJECTED,
        "trash": REJECTED,
        "checkout-draft": IGNORED,  # the customer has only opened the page of the checkout
        "draft": IGNORED,
        "auto-draft": IGNORED,
        "new": IGNORED,
    },
    Shop.Kind.SIGNED: {
        "new": NEW,
        "pending": NEW,
        "approved": APPROVED,
        "paid": APPROVED,
        "completed": APPROVED,
        "rejected": REJECTED,
        "cancelled": REJECTED,
        "refunded": REJECTED,
    },
}


def translate(shop: Shop, theirs: str) -> str:
    """One of our statuses, or `IGNORED`. What nobody has assigned is new."""
    return str(shop.status_map.get(theirs) or DEFAULTS[shop.kind].get(theirs.lower(), NEW))


def is_first(shop: Shop, theirs: str) -> bool:
    """Whether nobody knows this status and no message had it before.

    From then on it is in the shop's map, as "" until somebody assigns it.
    """
    if not theirs or theirs in shop.status_map or theirs.lower() in DEFAULTS[shop.kind]:
        return False
    found = Shop.objects.filter(pk=shop.pk)
    listed = found.values_list("status_map", flat=True).get()
    if theirs in listed:
        return False
    if len(listed) < MOST_LISTED:  # unless somebody changes the map meanwhile: then the next message is the first
        found.filter(status_map=listed).update(status_map=listed | {theirs: ""})
    return True

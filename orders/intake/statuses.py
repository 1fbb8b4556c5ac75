"""Which of our statuses a shop's own status is: by its kind, and by what the merchant chose for this shop."""

from typing import Final

from orders.models import Order, Shop

NEW, APPROVED, REJECTED = Order.Status.NEW.value, Order.Status.APPROVED.value, Order.Status.REJECTED.value
IGNORED: Final = "ignored"  # nothing is made of a message about such an order

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


def is_known(shop: Shop, theirs: str) -> bool:
    """Whether somebody has assigned this status, or it came without one."""
    return not theirs or theirs in shop.status_map or theirs.lower() in DEFAULTS[shop.kind]

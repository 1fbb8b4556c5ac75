"""What the page that connects a shop says: which topics, whether the shop can reach the address, how far it is.

The texts of the steps are in `templates/admin/orders/shop/`.
"""

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.models import Shop

RECENT = timedelta(days=7)
WOOCOMMERCE_PORTS = frozenset({80, 443, 8080})
LOCAL_NAMES = (".internal", ".local", ".localhost", ".lan", ".home.arpa")
# The topics of each kind of shop, as its own pages call them.
TOPICS = {
    Shop.Kind.SHOPIFY: (
        gettext_lazy("Order creation"),
        gettext_lazy("Order update"),
        gettext_lazy("Order payment"),
        gettext_lazy("Order cancellation"),
        gettext_lazy("Refund create"),
    ),
    Shop.Kind.WOOCOMMERCE: (
        gettext_lazy("Order created"),
        gettext_lazy("Order updated"),
        gettext_lazy("Order deleted"),
        gettext_lazy("Order restored"),
    ),
    Shop.Kind.SIGNED: (),
}


def state_of(shop: Shop) -> str:
    """The chip of its state: not active, no key yet, waiting for a message, wrong signatures since, connected."""
    if not shop.is_active:
        return "shop_inactive"
    if not shop.secret:
        return "shop_no_key"
    if shop.last_refused_at and (shop.last_received_at is None or shop.last_refused_at > shop.last_received_at):
        return "shop_refused"
    return "shop_connected" if shop.last_received_at else "shop_waiting"


def shows_refused(shop: Shop) -> bool:
    """Whether its wrong signatures still concern somebody: they are recent, or nothing right has come since."""
    if not shop.refused_count or shop.last_refused_at is None:
        return False
    return state_of(shop) == "shop_refused" or shop.last_refused_at > timezone.now() - RECENT


def obstacles(kind: str, url: str) -> Iterator[str]:
    """Why a shop of this kind cannot send to `url`, in sentences that say what to do; nothing if it can."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if _is_local(host):
        yield _(
            "A shop on the internet cannot reach %(host)s: this address works only in your own network. Open this "
            "panel at its public address, then copy the URL there."
        ) % {"host": host}
    if kind == Shop.Kind.SHOPIFY and parts.scheme != "https":
        yield _(
            "Shopify accepts only addresses that begin with https://. Open this panel at its https address, then copy "
            "the URL there."
        )
    if kind == Shop.Kind.WOOCOMMERCE and port not in WOOCOMMERCE_PORTS:
        yield _(
            "WooCommerce sends only to ports 80, 443 and 8080, not to %(port)s. Open this panel at an address with "
            "one of these ports, then copy the URL there."
        ) % {"port": port}


def _is_local(host: str) -> bool:
    """Whether it names a machine that only its own network can reach."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith(LOCAL_NAMES)

"""Messages of shops for tests: the documented ones, and how each kind of shop signs and sends them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.http import HttpResponse
from django.test import Client
from standardwebhooks import Webhook

from orders.models import Shop

CASES = Path(__file__).parent / "cases" / "shops"
SHOPIFY_SECRET = "shpss_0123456789abcdef"


def sample(name: str) -> dict[str, Any]:
    """A documented message, such as `shopify/orders-create`, as it is read from JSON."""
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


def shopify_order(**fields: Any) -> dict[str, Any]:
    """The documented order with a landing page, as a real one: it was not cancelled and is no test."""
    usual = {"test": False, "cancelled_at": None, "financial_status": "paid", "landing_site": "/?ref=joe&sub_id=fb"}
    return sample("shopify/orders-create") | usual | fields


def woocommerce_order(**fields: Any) -> dict[str, Any]:
    return sample("woocommerce/order-727-processing") | fields


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def hmac_of(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def make_shop(kind: str, **fields: Any) -> Shop:
    shop = Shop.make(kind, fields.pop("name", f"Shop {uuid4().hex[:8]}"), SHOPIFY_SECRET if kind == "shopify" else "")
    for name, value in fields.items():
        setattr(shop, name, value)
    shop.save()
    return shop


def headers_of(shop: Shop, topic: str, body: bytes, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers that this kind of shop sends with a body; `given` replaces some, and takes those away that are ""."""
    if shop.kind == "shopify":
        found = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": hmac_of(shop.secret, body),
            "X-Shopify-Shop-Domain": "some.myshopify.com",
            "X-Shopify-API-Version": "2026-04",
            "X-Shopify-Webhook-Id": str(uuid4()),
            "X-Shopify-Event-Id": str(uuid4()),
        }
    elif shop.kind == "woocommerce":
        found = {
            "X-WC-Webhook-Source": "https://shop.example/",
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Resource": "order",
            "X-WC-Webhook-Signature": hmac_of(shop.secret, body),
            "X-WC-Webhook-ID": "4",
            "X-WC-Webhook-Delivery-ID": "0123456789abcdef",
        }
    else:
        message_id, now = f"msg_{uuid4().hex}", int(time.time())
        found = {
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": signed_by_library(shop.secret, message_id, now, body),
        }
    return {name: value for name, value in {**found, **(given or {})}.items() if value}


def signed_by_library(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """By the library, which signs texts; other bytes by hand."""
    webhook = Webhook(secret)
    try:
        return webhook.sign(message_id, datetime.fromtimestamp(timestamp, UTC), body.decode())
    except UnicodeDecodeError:
        content = f"{message_id}.{timestamp}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        return f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}"


def send(shop: Shop, body: Any, topic: str = "", headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Post a message with a right signature to the shop's address."""
    raw = as_bytes(body)
    topic = topic or {"shopify": "orders/create", "woocommerce": "order.updated"}.get(shop.kind, "")
    return post(shop.path, raw, headers_of(shop, topic, raw, headers))


def post(path: str, raw: bytes, headers: Mapping[str, str]) -> HttpResponse:
    return Client(raise_request_exception=False).post(path, raw, "application/json", headers=dict(headers))

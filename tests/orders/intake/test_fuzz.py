"""Messages with a right signature and mutated bodies: each is answered 200, none is an error, none names a person.

`FUZZ=10000` sends so many for each kind of shop, in parts that each end within the time of a test; usually it is a
small sample of them, always the same.
"""

import copy
import json
import os
import random
import re
from typing import Any

import pytest

from orders.models import Message, Order
from tests.factories import AffiliateFactory, callbacks_for
from tests.queries import tables_with
from tests.shop_messages import make_shop, sample, send, shopify_order, woocommerce_order

COUNT = int(os.environ.get("FUZZ", "120"))
PART = 1000
MARK = "Zbigniew-Q"  # stands for each person
NONSENSE: list[Any] = [
    None, True, False, "", " ", "\0", "\ud800", "x" * 3000, "-1", "1e999", "NaN", "0.001", "99999999999999999999.99",
    -5, 10**30, 1e308, 1.5, 0, [], {}, [[]], [None], [{}], {"": ""}, {"id": {}}, "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "BTC", "https://[::1/", "//x", "/?ref=%ff&ref=%00", "https://x.example/?ref=joe",
    "pending", "checkout-draft", "..", "٣", "%s%s%n", "'; DROP TABLE orders_order; --",
    json.loads("[" * 200 + "]" * 200),
]  # fmt: skip
PERSONAL_FIELDS = re.compile(
    "email|phone|first_name|last_name|address|city|zip|postcode|ip|token|note|company|agent|order_key"
)


def with_person(body: Any, *, in_person: bool = False) -> Any:
    """The message with a name that can be found wherever it names a person."""
    if isinstance(body, list):
        return [with_person(each, in_person=in_person) for each in body]
    if not isinstance(body, dict):
        return body
    found = {}
    for name, value in body.items():
        is_person = in_person or name in {"customer", "billing", "shipping", "billing_address", "shipping_address"}
        found[name] = with_person(value, in_person=is_person)
        if isinstance(value, str) and (PERSONAL_FIELDS.search(name) or is_person):
            found[name] = f"{MARK}@person.example" if "email" in name else f"{MARK} {value}"
    return found


def places(body: Any) -> list[tuple[Any, Any]]:
    """Each container of a message with each of its keys."""
    pairs = list(body.items()) if isinstance(body, dict) else list(enumerate(body)) if isinstance(body, list) else []
    return [(body, key) for key, _ in pairs] + [place for _, value in pairs for place in places(value)]


def mutated(chance: random.Random, body: Any) -> bytes:
    body = json.loads(json.dumps(body))
    for _change in range(chance.randint(1, 4)):
        found = places(body)
        if not found:
            break
        near = [place for place in found if place[0] is body]  # half of them in what is read most
        container, key = chance.choice(near if near and chance.random() < 0.5 else found)
        kind = chance.randint(0, 3)
        if kind == 0:
            del container[key]
        elif kind == 1 and isinstance(container, list):
            container += container[:50]
        else:
            container[key] = copy.deepcopy(chance.choice(NONSENSE))
    raw = bytearray(json.dumps(body, ensure_ascii=chance.random() < 0.9).encode("utf-8", "surrogatepass"))
    for _change in range(chance.choice([0, 0, 0, 0, 1, 3])):
        at = chance.randrange(len(raw) or 1)
        if chance.random() < 0.5:
            raw[at : at + 1] = chance.choice([b'"', b"\0", b"{", b"}", b",", b"\\", b"9", b"\xff", b'"id":1,', b"NaN"])
        else:
            del raw[at : at + chance.randint(1, 30)]
    return bytes(raw)


def bodies_of(kind: str) -> list[tuple[str, Any]]:
    if kind == "shopify":
        return [
            ("orders/create", shopify_order()), ("orders/updated", sample("shopify/order-partially-refunded")),
            ("orders/paid", sample("shopify/orders-paid")), ("refunds/create", sample("shopify/refunds-create")),
            ("orders/delete", sample("shopify/orders-delete")), ("orders/edited", sample("shopify/orders-edited")),
        ]  # fmt: skip
    if kind == "woocommerce":
        meta = [{"id": 1, "key": "_wc_order_attribution_session_entry", "value": "https://s.example/?ref=joe&sub_id=1"}]
        return [
            ("order.created", woocommerce_order(meta_data=meta)), ("order.deleted", {"id": 727}),
            ("order.updated", sample("woocommerce/order-723-completed")), ("order.restored", woocommerce_order()),
        ]  # fmt: skip
    order = {
        "id": "1", "number": "#1", "amount": "58.00", "currency": "USD", "status": "approved",
        "landing_url": "/?ref=joe", "coupon": ["A"], "subtotal": "5", "tax": "1", "shipping": "1", "refunded": "0",
        "updated_at": "2026-01-01T00:00:00Z", "customer": {"email": "a", "first_name": "b"}, "note": "c", "items": 3,
        "customer_is_new": True, "commission": "1",
    }  # fmt: skip
    return [("", order), ("", {"id": 7, "total": 5, "coupons": [{"code": "B"}], "date": "2026-01-01T00:00:00Z"})]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["shopify", "woocommerce", "signed"])
@pytest.mark.parametrize("part", range(-(-COUNT // PART)))
def test_mutated_messages_are_no_error_and_name_nobody(kind: str, part: int, caplog: Any) -> None:
    chance = random.Random(f"messages of {kind}, {part}")
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/?o={{order.number}}&s={{link.sub_id}}")
    shop = make_shop(kind, accepts_test_orders=True)
    bodies = [(topic, with_person(body)) for topic, body in bodies_of(kind)]
    for number in range(min(PART, COUNT - part * PART)):
        topic, body = chance.choice(bodies)
        raw = mutated(chance, body)
        answer = send(shop, raw, topic)
        assert (answer.status_code, answer.content) == (200, b""), (number, raw[:2000])
        assert "message_not_applied" not in caplog.text, (number, raw[:2000], caplog.text[-3000:])
    outcomes = set(Message.objects.values_list("outcome", flat=True))
    assert {"created", "refused"} <= outcomes
    assert Order.objects.exists()
    assert tables_with(MARK, MARK.lower()) == []

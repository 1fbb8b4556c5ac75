"""Nothing that names a person is stored of what shops send."""

from collections.abc import Iterator
from typing import Any

import pytest

from callbacks.retention import erase
from orders.intake import privacy
from orders.intake.receive import apply
from orders.models import Message, Order, Refund, Shop
from tests.factories import AffiliateFactory, callbacks_for
from tests.queries import tables_with
from tests.shop_messages import CASES, make_shop, sample, send, shopify_order

pytestmark = pytest.mark.django_db
PERSONAL = {
    "email", "contact_email", "phone", "first_name", "last_name", "company", "address1", "address2", "address_1",
    "address_2", "city", "zip", "postcode", "browser_ip", "customer_ip_address", "customer_user_agent", "user_agent",
    "token", "cart_token", "checkout_token", "order_status_url", "order_key", "transaction_id", "note", "customer_note",
    "authorization", "latitude", "longitude", "cart_hash", "staff_note",
}  # fmt: skip
PEOPLE = {"customer", "billing_address", "shipping_address", "default_address", "billing", "shipping"}


def personal(body: Any, *, in_person: bool = False) -> Iterator[str]:
    """All texts of a message that name a person, or give access to what they see."""
    if isinstance(body, list):
        for each in body:
            yield from personal(each, in_person=in_person)
    elif isinstance(body, dict):
        for name, value in body.items():
            if isinstance(value, dict | list):
                yield from personal(value, in_person=in_person or name in PEOPLE)
            elif (name in PERSONAL or (in_person and name == "name")) and len(str(value or "")) > 3:
                yield str(value)


def test_no_sample_leaves_a_trace_of_a_person() -> None:
    AffiliateFactory(code="joe")
    callbacks_for(AffiliateFactory(code="ann"), "https://tracker.example/?o={{order.number}}")
    shops = {kind: make_shop(kind, accepts_test_orders=True) for kind in ("shopify", "woocommerce")}
    texts = {"authenticate?key=", "Bob Norman"}
    for path in sorted(CASES.glob("*/*.json")):
        kind = path.parent.name
        body = sample(f"{kind}/{path.stem}")
        texts |= set(personal(body))
        topic = path.stem.replace("-", "/") if kind == "shopify" else "order.updated"
        for each in (topic, "orders/updated", "order.created", "unknown/topic"):
            send(shops[kind], body, each)
    mine = make_shop("signed")
    person = {"email": "bob@person.example", "first_name": "Robert-Signed", "phone": "+49555123"}
    send(mine, {"number": "#1", "amount": "5", "customer": person, "note": "Ring the bell", "landing_url": "/?ref=joe"})
    texts |= set(personal(person)) | {"Ring the bell"}
    assert len(texts) > 30
    assert Order.objects.count() >= 5
    assert tables_with(*texts) == []


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://s.example/p?ref=joe&sub_id=a%26b#top", "https://s.example/p?ref=joe&sub_id=a%26b#top"),
        ("/?email=a%40b.example&ref=joe", "/?ref=joe"), ("/?ref=joe&customer%5Bemail%5D=a", "/?ref=joe"),
        ("/?x=a%2540b.example&ref=joe&Phone=1&firstName=B&shipping_address1=C&token=d#email=x", "/?ref=joe"),
        ("/?utm_name=spring&campaign_name=b", "/?utm_name=spring&campaign_name=b"), ("/?name=Bob", "/"),
        ("/?utm_medium=email&sub_id=1", "/?utm_medium=email&sub_id=1"), ("/?ref=a@b.example;ref=joe", "/?ref=joe"),
        ("https://bob:secret@s.example/?ref=joe", "https://s.example/?ref=joe"),
        ("https://s.example/reset/a@b.example/x?ref=joe", "https://s.example/?ref=joe"),
        ("/a@b.example?ref=joe", "/?ref=joe"),
        ("?email=a#ref=joe", "#ref=joe"), ("a\0b\ud800", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("/?access_token=a&api-key=b&consumer_secret=c&login=d&wp_signature=e&ref=joe", "/?ref=joe"),
        ("/?to=%2Fa%3Fb%3D1%26email%3Dc&ref=joe&u=https%253A%252F%252Fs.example%252F%253Fkey%253Dd", "/?ref=joe"),
        ("/?to=%2Fa%3Fb%3D1%26c&ref=joe", "/?to=%2Fa%3Fb%3D1%26c&ref=joe"),
        ("/?keyword=a&user_agent=b&tokyo=c", "/?keyword=a&user_agent=b&tokyo=c"),
        ("", ""),
        (5, None), (None, None),
    ],
)  # fmt: skip
def test_address_without_what_names_a_person(url: Any, kept: str | None) -> None:
    assert privacy.address(url) == kept


def test_long_address_keeps_what_matters() -> None:
    kept = privacy.address("/?x=" + "y" * 30_000 + "&ref=joe&sub_id=fb")
    assert kept == "/?ref=joe&sub_id=fb"


# --- an order that is forgotten ------------------------------------------------------
def test_forgotten_order_leaves_nothing_in_its_messages() -> None:
    shop, other = make_shop("shopify"), make_shop("shopify")
    paid_back = {"kind": "refund", "status": "success", "amount": "1.00", "currency": "USD"}
    body = shopify_order(name="PRIVATE-1", refunds=[{"id": 99881, "transactions": [paid_back]}])
    for each in (shop, other):
        send(each, body, headers={"X-Shopify-Webhook-Id": "one"})
    order = Order.objects.get(shop=shop)
    erase.forget(order.number, only=order)
    assert list(Order.objects.values_list("shop", flat=True)) == [other.pk]
    assert Refund.objects.count() == 1
    message = Message.objects.get(shop=shop)
    assert (message.kept, message.external_id, message.order, message.outcome) == (None, "", None, "ignored")
    assert apply(message).outcome == "ignored"
    send(shop, body, headers={"X-Shopify-Webhook-Id": "one"})  # is a repetition
    assert Order.objects.count() == 1
    erase.forget(order.number)
    assert tables_with("PRIVATE-1", "99881") == []


def test_other_messages_stay_when_one_order_is_forgotten() -> None:
    shop = make_shop("shopify")
    send(shop, shopify_order(id=1, name="#1"))
    send(shop, shopify_order(id=2, name="#2"))
    erase.forget("#1")
    assert [message.kept is None for message in Message.objects.order_by("pk")] == [True, False]
    assert Shop.objects.count() == 1

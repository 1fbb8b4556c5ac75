"""WooCommerce's messages: the documented ones, and what the facts of its webhooks ask for."""

import base64
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from affiliates.models import Coupon
from orders.models import Message, Order, Shop
from tests.factories import AffiliateFactory
from tests.shop_messages import make_shop, post, sample, send, woocommerce_order

pytestmark = pytest.mark.django_db
Outcome = Message.Outcome


@pytest.fixture
def shop() -> Shop:
    return make_shop("woocommerce")


@pytest.fixture
def joe() -> Any:
    return AffiliateFactory(code="joe")


def outcome_of(shop: Shop, body: Any, topic: str = "order.updated", **headers: str) -> str:
    assert send(shop, body, topic, headers).status_code == 200
    return Message.objects.latest("pk").outcome


def with_meta(*given: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return woocommerce_order(meta_data=[{"id": 5, "key": key, "value": value} for key, value in given], **fields)


def session_entry(url: Any) -> tuple[str, Any]:
    return "_wc_order_attribution_session_entry", url


# --- the ping --------------------------------------------------------------------
def ping(shop: Shop, body: bytes = b"webhook_id=15", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return post(shop.path, body, {"User-Agent": "WooCommerce/9.1 Hookshot (WordPress/6.5)"} | named).status_code


def test_ping_is_received_and_nothing_stored(shop: Shop) -> None:
    assert ping(shop) == 200
    shop.refresh_from_db()
    assert (shop.last_received_at is not None, shop.refused_count, Message.objects.count()) == (True, 0, 0)


@pytest.mark.parametrize("body", [b"webhook_id=", b"webhook_id=15\n", b"webhook_id=15&x=1", b"a=webhook_id=15", b""])
def test_what_is_no_ping_needs_a_signature(shop: Shop, body: bytes) -> None:
    assert ping(shop, body) == 401


def test_ping_with_a_signature_is_verified_and_refused(shop: Shop) -> None:
    assert ping(shop, X_WC_Webhook_Signature="x") == 401
    assert outcome_of(shop, b"webhook_id=15") == Outcome.REFUSED
    assert ping(make_shop("shopify")) == 401


# --- orders ----------------------------------------------------------------------
def test_orders_of_the_documentation(shop: Shop) -> None:
    for name in ("order-727-processing", "order-727-completed", "order-723-completed"):
        outcome_of(shop, sample(f"woocommerce/{name}"))
    first, second = Order.objects.order_by("external_id").reverse()
    assert (first.number, first.amount, first.currency, first.status) == ("727", Decimal("29.35"), "USD", "approved")
    assert (first.subtotal, first.commission_on, first.items) == (Decimal("18.00"), Decimal("18.00"), 3)
    assert first.ordered_at == datetime(2017, 3, 22, 19, 28, 2, tzinfo=UTC)
    assert (second.amount, second.subtotal, second.refunded) == (Decimal("20.00"), Decimal("10.00"), Decimal("19.00"))
    refunds = second.refunds.order_by("external_id").values_list("external_id", "amount")
    assert list(refunds) == [("724", Decimal("9.00")), ("726", Decimal("10.00"))]


def test_two_orders_with_one_delivery_id_are_two(shop: Shop) -> None:
    for number in (1, 2):
        assert outcome_of(shop, woocommerce_order(id=number, number=f"WC-2025/{number}")) == Outcome.CREATED
    assert send(shop, woocommerce_order(id=1, number="WC-2025/1"), "order.updated").status_code == 200
    assert (Message.objects.latest("pk").outcome, Order.objects.count()) == (Outcome.UNCHANGED, 2)


def test_state_can_come_back(shop: Shop) -> None:
    for status, ours in (("processing", "approved"), ("failed", "rejected"), ("processing", "approved")):
        outcome_of(shop, woocommerce_order(status=status))
        assert Order.objects.get().status == ours


@pytest.mark.parametrize(
    ("total", "currency", "amount"),
    [("39.0050", "USD", "39"), ("39.0150", "USD", "39.02"), ("39.5", "JPY", "40"), ("1.2345", "KWD", "1.234"),
     ("7", "EUR", "7")],
)  # fmt: skip
def test_total_is_rounded_half_even(shop: Shop, total: str, currency: str, amount: str) -> None:
    assert outcome_of(shop, woocommerce_order(total=total, currency=currency)) == Outcome.CREATED
    assert Order.objects.get().amount == Decimal(amount)


@pytest.mark.parametrize(
    ("currency", "reason"),
    [
        ("BTC", "Currency: “BTC” is not a currency code."),
        ("€", "Currency: “?” is"),
        (None, "The message names no currency."),
    ],
)
def test_currency_that_is_none_is_refused_with_the_reason(shop: Shop, currency: Any, reason: str) -> None:
    assert outcome_of(shop, woocommerce_order(currency=currency)) == Outcome.REFUSED
    assert Message.objects.get().reason.startswith(reason)


@pytest.mark.parametrize(
    ("status", "ours"),
    [("pending", "new"), ("on-hold", "new"), ("processing", "approved"), ("completed", "approved"),
     ("ready-for-pickup", "approved"), ("failed", "rejected"), ("cancelled", "rejected"), ("refunded", "rejected"),
     ("trash", "rejected"), ("wait-for-bank", "new"), ("checkout-draft", None), ("draft", None), ("auto-draft", None),
     ("new", None)],
)  # fmt: skip
def test_status(shop: Shop, status: str, ours: str | None) -> None:
    outcome_of(shop, woocommerce_order(status=status))
    assert list(Order.objects.values_list("status", flat=True)) == ([ours] if ours else [])
    assert ("wait-for-bank" in Message.objects.get().reason) == (status == "wait-for-bank")


def test_draft_becomes_an_order_when_it_is_paid(shop: Shop) -> None:
    draft = woocommerce_order(status="checkout-draft")
    assert outcome_of(shop, draft, "order.created") == Outcome.IGNORED
    assert outcome_of(shop, woocommerce_order(), "order.updated") == Outcome.CREATED


def test_deleted_trashed_and_restored(shop: Shop) -> None:
    assert outcome_of(shop, sample("woocommerce/order-deleted"), "order.deleted") == Outcome.IGNORED
    outcome_of(shop, woocommerce_order())
    for _again in range(2):
        assert outcome_of(shop, sample("woocommerce/order-deleted"), "order.deleted") == Outcome.UPDATED
        assert Order.objects.get().status == "rejected"
        assert outcome_of(shop, woocommerce_order(), "order.restored") == Outcome.UPDATED
        assert Order.objects.get().status == "approved"
    assert outcome_of(shop, woocommerce_order(status="trash")) == Outcome.UPDATED
    assert Order.objects.get().status == "rejected"


def test_part_of_another_order_is_ignored(shop: Shop) -> None:
    assert outcome_of(shop, woocommerce_order(parent_id=5)) == Outcome.IGNORED


def test_older_is_noted_and_as_old_is_applied(shop: Shop) -> None:
    outcome_of(shop, woocommerce_order(date_modified_gmt="2017-03-22T19:28:08"))
    older = woocommerce_order(date_modified_gmt="2017-03-22T19:28:07", total="1.00")
    assert outcome_of(shop, older) == Outcome.OLDER
    refunded = woocommerce_order(refunds=[{"id": 1, "reason": "", "total": "-9.35"}])
    assert outcome_of(shop, refunded) == Outcome.UPDATED
    assert Order.objects.get().amount == Decimal("20.00")


def test_refund_is_taken_off_before_rounding_whatever_its_sign(shop: Shop) -> None:
    outcome_of(shop, woocommerce_order(total="10.0060", refunds=[{"id": 1, "total": "-10.0040"}]))
    assert (Order.objects.get().amount, Order.objects.get().status) == (0, "rejected")
    outcome_of(shop, woocommerce_order(total="10.00", refunds=[{"id": 1, "total": "4.00"}]))
    assert (Order.objects.get().amount, Order.objects.get().refunded) == (6, 4)


@pytest.mark.parametrize("number", [None, " ", "x" * 101])
def test_order_without_a_number_has_its_id(shop: Shop, number: Any) -> None:
    outcome_of(shop, woocommerce_order(number=number))
    assert Order.objects.get().number == "727"


def test_refund_of_more_than_the_total_leaves_nothing(shop: Shop) -> None:
    outcome_of(shop, woocommerce_order(refunds=[{"id": 1, "total": "-30.00"}, {"id": "x"}, 5, {"total": "-1"}]))
    order = Order.objects.get()
    assert (order.amount, order.subtotal, order.status) == (0, 0, "rejected")


# --- whose it is -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("entry", "sub_id"),
    [
        ("https://shop.example/p?ref=joe&sub_id=fb#top", "fb"),
        ("https://shop.example/?ref=joe&sub_id=a b", ""),
        ("https://shop.example/?sub_id=a,b&ref=joe&email=a@x.example", ""),
        ("https://shop.example/?ref=nobody", None), ({"a": 1}, None), (["?ref=joe"], None), ("(none)", None), (7, None),
    ],
)  # fmt: skip
def test_page_that_the_visit_began_on(shop: Shop, joe: Any, entry: Any, sub_id: str | None) -> None:
    assert outcome_of(shop, with_meta(session_entry(entry), ("_billing_email", "a@x.example"))) == Outcome.CREATED
    order = Order.objects.get()
    assert (order.affiliate, order.link and order.link.sub_id) == ((None, None) if sub_id is None else (joe, sub_id))


def test_fragment_of_the_page_stays(shop: Shop, joe: Any) -> None:
    outcome_of(shop, with_meta(session_entry("https://shop.example/?ref=joe&sub_id=fb#top")))
    assert Order.objects.get().link.url == "https://shop.example/?ref=joe&sub_id=fb#top"


def test_our_own_field_goes_first_and_is_whole(shop: Shop, joe: Any) -> None:
    AffiliateFactory(code="ann")
    url = "https://shop.example/?ref=joe&sub_id=a%2Bb&x=1"
    coded = base64.urlsafe_b64encode(url.encode()).decode()
    assert coded.endswith("=")
    for number, value in enumerate((coded, coded.rstrip("="))):
        fields = {"id": number + 1, "number": f"#{number}"}
        outcome_of(shop, with_meta(session_entry("https://shop.example/?ref=ann"), ("_aff_landing", value), **fields))
        order = Order.objects.latest("pk")
        assert (order.affiliate, order.link.sub_id) == (joe, "a+b")


@pytest.mark.parametrize("value", ["!!!!", "AAAAAAAA", {"x": 1}, "javascript:alert(1)", "", None, "a" * 20_001])
def test_own_field_that_holds_no_address_is_nothing(shop: Shop, value: Any) -> None:
    assert outcome_of(shop, with_meta(("_aff_landing", value))) == Outcome.CREATED
    assert Message.objects.get().kept["cart_link"] is None


def test_coupon(shop: Shop, joe: Any) -> None:
    Coupon.objects.create(affiliate=joe, code="TENOFF")
    outcome_of(shop, woocommerce_order(coupon_lines=[{"id": 1, "code": "tenoff", "discount": "1"}, {"code": "x"}]))
    order = Order.objects.get()
    assert (order.affiliate, order.source, order.coupon) == (joe, "coupon", "tenoff,x")

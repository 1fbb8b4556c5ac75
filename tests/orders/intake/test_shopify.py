"""Shopify's messages: the documented ones, and what the facts of its webhooks ask of their order and their money."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from affiliates.models import Coupon
from callbacks.models import Delivery
from orders.intake.receive import apply
from orders.models import Message, Order, Refund, Shop
from tests.factories import AffiliateFactory, callbacks_for
from tests.shop_messages import make_shop, sample, send, shopify_order

pytestmark = pytest.mark.django_db
Outcome = Message.Outcome
URL = "https://tracker.example/?o={{order.number}}&a={{order.amount}}&s={{order.status}}"
ID = 450789469


@pytest.fixture
def shop() -> Shop:
    return make_shop("shopify")


@pytest.fixture
def joe() -> Any:
    joe = AffiliateFactory(code="joe", email="joe@blog.example")
    callbacks_for(joe, URL)
    return joe


def outcome_of(shop: Shop, body: Any, topic: str = "orders/updated", **headers: str) -> str:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    assert send(shop, body, topic, {f"X-Shopify-{name}": value for name, value in names.items()}).status_code == 200
    return Message.objects.latest("pk").outcome


def rest_order(**fields: Any) -> dict[str, Any]:
    """The order of the REST documentation, of which something was paid back."""
    return sample("shopify/order-partially-refunded") | {"landing_site": "/?ref=joe"} | fields


def refund(order_id: int = ID, **fields: Any) -> dict[str, Any]:
    moved = {"kind": "refund", "status": "success", "amount": "75.00", "currency": None}
    usual = {"id": 11, "transactions": [moved, moved | {"amount": "10.00"}]}
    return sample("shopify/refunds-create") | usual | {"order_id": order_id} | fields


def money(order: Order) -> tuple[Decimal, str, Decimal]:
    order.refresh_from_db()
    return order.amount, order.currency, order.refunded


def at(seconds: int) -> str:
    return (datetime(2026, 1, 10, 16, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


# --- orders ----------------------------------------------------------------------
@pytest.mark.parametrize("topic", ["create", "updated", "paid", "cancelled"])
def test_documented_message_is_a_test_and_makes_no_order(shop: Shop, topic: str) -> None:
    assert outcome_of(shop, sample(f"shopify/orders-{topic}"), f"orders/{topic}") == Outcome.TEST
    shop.refresh_from_db()
    assert (shop.last_received_at is not None, Order.objects.count()) == (True, 0)


def test_test_orders_are_accepted_if_the_shop_says_so(shop: Shop) -> None:
    assert outcome_of(shop, shopify_order(), Test="true") == Outcome.TEST
    Shop.objects.update(accepts_test_orders=True)
    assert apply(Message.objects.get()).outcome == Outcome.CREATED
    assert outcome_of(shop, sample("shopify/orders-create")) == Outcome.UPDATED
    assert Order.objects.get().status == "rejected"


def test_order_of_the_documentation_is_read(shop: Shop, joe: Any) -> None:
    assert outcome_of(shop, rest_order(), "orders/create") == Outcome.CREATED
    order = Order.objects.get()
    assert (order.external_id, order.number, order.status, order.source) == (str(ID), "#1001", "approved", "link")
    assert money(order) == (Decimal("199.65"), "USD", Decimal("209.00"))  # and not 598.94 - 209.00
    assert (order.subtotal, order.commission_on, order.coupon) == (Decimal("195.67"), Decimal("195.67"), "TENOFF")
    assert (order.affiliate, order.commission, order.items) == (joe, Decimal("29.35"), 3)
    assert order.ordered_at == order.source_updated_at == datetime(2008, 1, 10, 16, tzinfo=UTC)
    assert order.customer_is_new is None
    assert list(order.refunds.values_list("external_id", "amount")) == [("509562969", Decimal("209.00"))]
    assert Delivery.objects.get().variables["order.amount"] == "199.65"


def test_ids_are_kept_digit_by_digit(shop: Shop) -> None:
    outcome_of(shop, shopify_order(id=820982911946154508))
    assert Order.objects.get().external_id == "820982911946154508"


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"financial_status": status}, "new") for status in ("pending", "authorized", "partially_paid", "expired", None)]
    + [({"financial_status": status}, "approved") for status in ("paid", "partially_refunded")]
    + [({"financial_status": status}, "rejected") for status in ("refunded", "voided")]
    + [({"cancelled_at": "2026-01-10T11:00:00-05:00"}, "rejected"), ({"financial_status": "weird"}, "new")],
)
def test_status(shop: Shop, fields: dict[str, Any], status: str) -> None:
    outcome_of(shop, shopify_order(**fields))
    assert Order.objects.get().status == status
    assert ("weird" in Message.objects.get().reason) == (fields.get("financial_status") == "weird")


def test_status_map_of_the_shop_goes_first(shop: Shop) -> None:
    Shop.objects.update(status_map={"authorized": "approved", "pending": "ignored"})
    assert outcome_of(shop, shopify_order(financial_status="pending")) == Outcome.IGNORED
    outcome_of(shop, shopify_order(financial_status="authorized"))
    assert Order.objects.get().status == "approved"


@pytest.mark.parametrize(
    ("fields", "amount", "currency"),
    [
        ({"current_total_price_set": {"shop_money": {"amount": "10.00", "currency_code": "USD"},
          "presentment_money": {"amount": "9.20", "currency_code": "EUR"}}}, "10", "USD"),
        ({"current_total_price_set": None, "current_total_price": "12.00", "currency": "EUR"}, "12", "EUR"),
        ({"current_total_price_set": None, "current_total_price": None, "total_price": "13.00"}, "13", "USD"),
        ({"current_total_price_set": {"shop_money": {"amount": "1200.50", "currency_code": "JPY"}}}, "1200", "JPY"),
        ({"current_total_price_set": {"shop_money": {"amount": "1.2345", "currency_code": "KWD"}}}, "1.234", "KWD"),
        ({"current_total_price_set": {"shop_money": {"amount": 5.125, "currency_code": "USD"}}}, "5.12", "USD"),
    ],
)  # fmt: skip
def test_amount_and_currency(shop: Shop, fields: dict[str, Any], amount: str, currency: str) -> None:
    assert outcome_of(shop, shopify_order(**fields)) == Outcome.CREATED
    assert money(Order.objects.get())[:2] == (Decimal(amount), currency)


def test_old_message_has_only_what_it_was_at_the_checkout(shop: Shop) -> None:
    old = {name: value for name, value in shopify_order().items() if not name.startswith("current_")}
    outcome_of(shop, old | {"total_price": "120.00", "subtotal_price": "100.00"})
    order = Order.objects.get()
    assert (order.amount, order.subtotal) == (Decimal(120), Decimal(100))


@pytest.mark.parametrize(
    ("fields", "number"),
    [({"name": None}, "1234"), ({"name": " "}, "1234"), ({"name": "a@b.example"}, "1234"),
     ({"name": None, "order_number": None, "id": 9007199254740993}, "9007199254740993")],
)  # fmt: skip
def test_number_without_a_name(shop: Shop, fields: dict[str, Any], number: str) -> None:
    outcome_of(shop, shopify_order(**fields))
    assert Order.objects.get().number == number


def test_tax_of_the_shipping_leaves_no_negative_subtotal(shop: Shop) -> None:
    fields = {"current_subtotal_price": "0.00", "current_total_tax": "1.90", "taxes_included": True}
    outcome_of(shop, shopify_order(**fields))
    assert Order.objects.get().subtotal == 0


def test_subtotal_leaves_the_tax_out_if_prices_include_it(shop: Shop) -> None:
    fields = {"current_subtotal_price": "100.00", "current_total_tax": "16.67", "taxes_included": True}
    outcome_of(shop, shopify_order(**fields))
    assert Order.objects.get().subtotal == Decimal("83.33")


# --- whose it is -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("landing", "sub_id"),
    [
        ("https://shop.example/?ref=joe&sub_id=fb", "fb"), ("/p?ref=joe&sub_id=fb", "fb"),
        ("/?ref=JOE&sub_id=a%26b", "a&b"),
        ("/?ref=joe&ref=nobody&sub_id=fb", "fb"), ("/?ref=joe&sub_id=fb&x=" + "y" * 5000, "fb"),
        ("/?sub_id=fb&email=a%40x.example&ref=joe", "fb"),
        ("/wallets/checkouts.json", None), ("/cart/c/x?key=y&ref=joe", None), ("/checkouts/cn/abc?ref=joe", None),
        (None, None), ("/?ref=nobody", None),
        ("/2024/sale?ref=joe&sub_id=fb", "fb"), ("/cart/7088:1?ref=joe&sub_id=fb", "fb"),
        ("/account/login?ref=joe&sub_id=fb", "fb"), ("/account/login?x=1", None),
        *((f"{start}?key=y&ref=joe", None) for start in (
            "/Cart/C/KEY", "https://s.example/548380009/orders/KEY/authenticate", "/en-us/checkouts/KEY",
            "/account/reset/1/KEY", "/gift_cards/1/KEY")),
    ],
)  # fmt: skip
def test_landing_site(shop: Shop, joe: Any, landing: str | None, sub_id: str | None) -> None:
    assert outcome_of(shop, shopify_order(landing_site=landing)) == Outcome.CREATED
    order = Order.objects.get()
    assert (order.affiliate, order.link and order.link.sub_id) == ((joe, sub_id) if sub_id else (None, None))
    if order.link:
        assert order.link.url.startswith(("https://shop.example/", "https://some.myshopify.com/"))
        assert "x.example" not in order.link.url.partition("?")[2]
    assert "KEY" not in str((Message.objects.get().kept, order.attribution))


def test_landing_site_that_is_no_address_still_names_the_affiliate(shop: Shop, joe: Any) -> None:
    assert outcome_of(shop, shopify_order(landing_site="https://[::1/?ref=joe")) == Outcome.CREATED
    assert (Order.objects.get().affiliate, Order.objects.get().link) == (joe, None)


def test_what_shopify_cut_out_of_the_landing_site_is_the_last_resort(shop: Shop, joe: Any) -> None:
    outcome_of(shop, shopify_order(landing_site=None, landing_site_ref="joe"))
    assert Order.objects.get().affiliate == joe
    abc = AffiliateFactory(code="abc")
    body = sample("shopify/order-partially-refunded")
    body["landing_site"] += "&sub_id=fb"  # behind ?source=abc
    outcome_of(shop, body)
    order = Order.objects.latest("pk")
    assert (order.affiliate, order.link and order.link.sub_id) == (abc, "fb")


def test_our_own_cart_attribute_goes_before_the_landing_site(shop: Shop, joe: Any) -> None:
    attributes = [
        {"name": "gift for", "value": "Bob Norman"},
        {"name": "_aff_landing", "value": "https://s.example/?ref=joe#x"},
    ]
    ann = AffiliateFactory(code="ann")
    outcome_of(shop, shopify_order(note_attributes=attributes, landing_site="/?ref=ann"))
    assert Order.objects.get().affiliate == joe != ann
    assert "Bob" not in str(Message.objects.get().kept)


def test_only_a_real_code_is_a_coupon(shop: Shop, joe: Any) -> None:
    ann = AffiliateFactory(code="ann")
    Coupon.objects.create(affiliate=ann, code="TENOFF")
    codes = [{"code": "tenoff", "amount": "10.00", "type": "fixed_amount"}]
    manual = {"type": "manual", "title": "tenoff", "description": "tenoff"}
    outcome_of(shop, shopify_order(landing_site=None, discount_codes=codes, discount_applications=[manual]))
    assert (Order.objects.get().affiliate, Order.objects.get().coupon) == (None, "")
    real = shopify_order(discount_codes=codes, discount_applications=[{"type": "discount_code", "code": "TENOFF"}])
    outcome_of(shop, real | {"id": 2, "name": "#2", "landing_site": None})
    outcome_of(shop, real | {"id": 3, "name": "#3"})
    Shop.objects.update(first="coupon")
    outcome_of(shop, real | {"id": 4, "name": "#4"})
    owners = Order.objects.order_by("pk").values_list("affiliate__code", "source")
    assert list(owners)[1:] == [("ann", "coupon"), ("joe", "link"), ("ann", "coupon")]


def test_customer_who_is_the_affiliate_is_flagged(shop: Shop, joe: Any) -> None:
    outcome_of(shop, shopify_order(email="JOE@blog.example "))
    in_customer = {"email": None, "contact_email": None, "customer": {"email": "joe@blog.example"}}
    outcome_of(shop, shopify_order(id=2, name="#2", **in_customer))
    assert list(Order.objects.values_list("is_self_referral", flat=True)) == [True, True]
    assert "blog.example" not in str([message.kept for message in Message.objects.all()])


# --- the order of messages -------------------------------------------------------------
def test_updated_before_create(shop: Shop) -> None:
    newer, older = shopify_order(updated_at=at(60)), shopify_order(updated_at=at(0), financial_status="pending")
    assert outcome_of(shop, newer, "orders/updated") == Outcome.CREATED
    assert outcome_of(shop, older, "orders/create") == Outcome.OLDER
    assert Order.objects.get().status == "approved"


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("2026-01-10T16:00:00.5Z", "2026-01-10T16:00:00.25Z", Outcome.OLDER),
        ("2026-01-10T16:00:00Z", "2026-01-10T16:00:00.000001Z", Outcome.UPDATED),
        ("2026-01-10T16:00:00.123456789Z", "2026-01-10T16:00:00.1Z", Outcome.OLDER),
        ("2026-01-10T16:00:00.1Z", "2026-01-10T16:00:00.123456789Z", Outcome.UPDATED),
        ("2030-01-10T16:00:00Z", "2026-01-10T16:00:00Z", Outcome.UPDATED),
        ("2026-01-10T16:00:00Z", "nonsense", Outcome.UPDATED), ("", "2026-01-10T16:00:00Z", Outcome.UPDATED),
    ],
)  # fmt: skip
def test_within_a_second_the_trigger_decides(shop: Shop, first: str, second: str, outcome: str) -> None:
    body = shopify_order(updated_at=at(0))
    outcome_of(shop, body, Triggered_At=first)
    assert outcome_of(shop, body | {"financial_status": "pending"}, Triggered_At=second) == outcome


def test_deleted_and_edited(shop: Shop) -> None:
    assert outcome_of(shop, sample("shopify/orders-delete"), "orders/delete") == Outcome.IGNORED
    assert outcome_of(shop, {"id": None}, "orders/delete") == Outcome.REFUSED
    assert outcome_of(shop, shopify_order(updated_at=at(0)), Triggered_At=at(0)) == Outcome.CREATED
    assert outcome_of(shop, sample("shopify/orders-edited"), "orders/edited") == Outcome.IGNORED
    assert outcome_of(shop, sample("shopify/orders-delete"), "orders/delete", Triggered_At=at(9)) == Outcome.UPDATED
    assert Order.objects.get().status == "rejected"
    assert outcome_of(shop, shopify_order(updated_at=at(5)), Triggered_At=at(5)) == Outcome.OLDER
    assert Order.objects.get().status == "rejected"


@pytest.mark.parametrize("deleted_at", [at(5), at(9), ""])
def test_deletion_is_the_last_whatever_the_clocks_say(shop: Shop, deleted_at: str) -> None:
    outcome_of(shop, shopify_order(updated_at=at(9)), Triggered_At=at(9))
    deletion = sample("shopify/orders-delete")
    assert outcome_of(shop, deletion, "orders/delete", Triggered_At=deleted_at) == Outcome.UPDATED
    assert outcome_of(shop, shopify_order(updated_at=at(9)), "orders/paid", Triggered_At=at(9)) == Outcome.OLDER
    if not deleted_at:
        assert outcome_of(shop, shopify_order(updated_at=at(10)), Triggered_At=at(10)) == Outcome.OLDER
    assert outcome_of(shop, deletion, "orders/delete", Triggered_At=deleted_at) == Outcome.UNCHANGED
    assert Order.objects.get().status == "rejected"


# --- refunds -----------------------------------------------------------------------------
def test_partial_refund_in_the_order_is_one_update(shop: Shop, joe: Any) -> None:
    outcome_of(shop, rest_order(refunds=[], current_total_price_set=None, current_total_price="598.94"))
    assert outcome_of(shop, rest_order(financial_status="partially_refunded")) == Outcome.UPDATED
    assert outcome_of(shop, rest_order(financial_status="partially_refunded")) == Outcome.UNCHANGED
    told = [(delivery.event, delivery.variables["order.amount"]) for delivery in Delivery.objects.order_by("pk")]
    assert told == [("order.created", "598.94"), ("order.updated", "199.65")]


def test_full_refund_is_rejected(shop: Shop) -> None:
    zero = {"current_total_price_set": {"shop_money": {"amount": "0.00", "currency_code": "USD"}}}
    outcome_of(shop, rest_order(**zero, financial_status="partially_refunded"))
    assert Order.objects.get().status == "rejected"
    outcome_of(shop, shopify_order(id=2, name="#2", **zero))  # a gift; nothing went back
    assert Order.objects.latest("pk").status == "approved"
    outcome_of(
        shop, shopify_order(id=3, name="#3", **zero, refunds=[{"id": 1, "transactions": []}])
    )  # before it was paid
    assert Order.objects.latest("pk").status == "rejected"


def test_refund_alone_lowers_the_amount_once(shop: Shop, joe: Any) -> None:
    outcome_of(shop, rest_order(refunds=[], updated_at=at(0)), "orders/create")
    assert outcome_of(shop, refund(), "refunds/create") == Outcome.UPDATED
    order = Order.objects.get()
    assert money(order) == (Decimal("114.65"), "USD", Decimal("85.00"))
    assert outcome_of(shop, refund(), "refunds/create") == Outcome.UNCHANGED  # the same one, in another message
    assert money(order)[0] == Decimal("114.65")
    assert outcome_of(shop, refund(id=12, transactions=[]), "refunds/create") == Outcome.IGNORED
    all_of_it = [{"kind": "refund", "status": "success", "amount": "500.00", "currency": "USD"}]
    assert outcome_of(shop, refund(id=13, transactions=all_of_it), "refunds/create") == Outcome.UPDATED
    assert (money(order)[0], order.status) == (Decimal(0), "rejected")
    outcome_of(shop, rest_order(updated_at=at(60)), "orders/paid")
    assert money(order)[0] == Decimal("199.65")
    assert Delivery.objects.filter(event="order.updated").count() == 3


def test_refund_alone_without_lines_or_in_another_currency(shop: Shop) -> None:
    outcome_of(shop, rest_order(refunds=[]), "orders/create")
    only_amount = refund(refund_line_items=[], order_adjustments=[{"kind": "refund_discrepancy", "amount": "-5.00"}])
    assert outcome_of(shop, only_amount, "refunds/create") == Outcome.UPDATED
    foreign = [{"kind": "refund", "status": "success", "amount": "5.00", "currency": "EUR"}]
    assert outcome_of(shop, refund(id=14, transactions=foreign), "refunds/create") == Outcome.REFUSED
    assert Message.objects.latest("pk").reason == "The refund is in EUR, and the order in USD."
    others = [
        {"kind": "void", "status": "success", "amount": "5"},
        {"kind": "refund", "status": "pending", "amount": "5"},
    ]
    assert outcome_of(shop, refund(id=15, transactions=others), "refunds/create") == Outcome.IGNORED
    assert money(Order.objects.get())[0] == Decimal("114.65")


def test_refund_is_only_announced_if_updates_come_too(shop: Shop) -> None:
    outcome_of(shop, rest_order(refunds=[]), "orders/updated")
    assert outcome_of(shop, refund(), "refunds/create") == Outcome.IGNORED
    assert "announced" in Message.objects.latest("pk").reason
    assert (money(Order.objects.get())[0], Refund.objects.count()) == (Decimal("199.65"), 0)


def test_refund_after_a_quiet_time_is_only_announced_if_updates_came_before(
    shop: Shop, joe: Any, time_machine: Any
) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    outcome_of(shop, rest_order(refunds=[], current_total_price_set=None, current_total_price="598.94"))
    time_machine.shift(timedelta(days=30))
    Message.objects.all().delete()  # as after a week
    assert outcome_of(shop, refund(), "refunds/create") == Outcome.IGNORED
    assert outcome_of(shop, rest_order(updated_at=at(60))) == Outcome.UPDATED
    assert [row.variables["order.amount"] for row in Delivery.objects.order_by("pk")] == ["598.94", "199.65"]
    assert Shop.objects.get().updates_received_at == timezone.now()
    Message.objects.all().delete()
    outcome_of(shop, rest_order(id=7, name="#7", refunds=[]), "orders/create")  # and no orders/updated
    assert outcome_of(shop, refund(7), "refunds/create") == Outcome.UPDATED
    time_machine.shift(timedelta(days=90))
    Message.objects.all().delete()
    assert outcome_of(shop, refund(7, id=12), "refunds/create") == Outcome.UPDATED


def test_refund_before_its_order_waits_for_it(shop: Shop, joe: Any) -> None:
    assert outcome_of(shop, refund(), "refunds/create") == Outcome.WAITING
    assert outcome_of(shop, rest_order(refunds=[], id=7, name="#7"), "orders/create") == Outcome.CREATED
    assert outcome_of(shop, rest_order(refunds=[]), "orders/create") == Outcome.CREATED
    assert Message.objects.get(topic="refunds/create").outcome == Outcome.UPDATED
    order = Order.objects.get(external_id=ID)
    assert money(order) == (Decimal("114.65"), "USD", Decimal("85.00"))
    assert order.messages.count() == 2


def test_refund_that_the_order_tells_already_is_not_taken_twice(shop: Shop) -> None:
    assert outcome_of(shop, refund(id=509562969), "refunds/create") == Outcome.WAITING
    outcome_of(shop, rest_order(), "orders/create")
    assert money(Order.objects.get()) == (Decimal("199.65"), "USD", Decimal("209.00"))


def test_messages_of_another_shop_do_not_count(shop: Shop) -> None:
    other = make_shop("shopify")
    outcome_of(other, rest_order(refunds=[]), "orders/updated")
    outcome_of(shop, rest_order(refunds=[]), "orders/create")
    assert outcome_of(shop, refund(), "refunds/create") == Outcome.UPDATED
    assert sorted(Order.objects.values_list("amount", flat=True)) == [Decimal("114.65"), Decimal("199.65")]


def test_time_of_a_test_that_never_comes_is_not_needed(shop: Shop) -> None:
    outcome_of(shop, shopify_order(processed_at=None, created_at="2026-02-30T00:00:00Z", updated_at=None))
    order = Order.objects.get()
    assert (order.ordered_at, order.source_updated_at) == (None, None)
    assert order.created_at < timezone.now()

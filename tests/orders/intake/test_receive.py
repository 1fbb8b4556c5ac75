"""The door of shops: who may come in, what is stored of a message, and what is answered whatever it holds."""

import json
import subprocess
import time
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from orders.intake.receive import apply
from orders.models import Message, Order, Shop
from tests.callbacks.panel import at_once
from tests.factories import AffiliateFactory
from tests.queries import count_queries
from tests.shop_messages import (
    as_bytes,
    headers_of,
    hmac_of,
    make_shop,
    post,
    send,
    shopify_order,
)

pytestmark = pytest.mark.django_db
Outcome = Message.Outcome


@pytest.fixture
def shop() -> Shop:
    return make_shop("shopify")


@pytest.fixture
def woocommerce() -> Shop:
    return make_shop("woocommerce")


def code_of(answer: Any) -> str:
    return answer.json()["errors"][0]["code"]


# --- who may come in -----------------------------------------------------------
def test_message_of_openssl_makes_the_order(shop: Shop) -> None:
    body = as_bytes(shopify_order())
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", shop.secret, "-binary"], input=body, capture_output=True, check=True
    ).stdout
    coded = subprocess.run(["openssl", "base64"], input=made, capture_output=True, check=True).stdout.decode()
    answer = send(shop, body, headers={"X-Shopify-Hmac-Sha256": coded.strip()})
    assert (answer.status_code, answer.content) == (200, b"")
    assert Order.objects.get().number == "#9999"


@pytest.mark.parametrize("respell", [str.lower, str.upper, lambda name: name.removeprefix("X-")])
def test_headers_of_shopify_in_any_spelling(shop: Shop, respell: Any) -> None:
    body = as_bytes(shopify_order())
    headers = {respell(name): value for name, value in headers_of(shop, "orders/create", body).items()}
    assert post(shop.path, body, headers).status_code == 200
    message = Message.objects.get()
    assert (message.outcome, message.topic, message.api_version) == (Outcome.CREATED, "orders/create", "2026-04")


@pytest.mark.parametrize("kind", Shop.Kind.values)
@pytest.mark.parametrize("fault", ["byte", "hex", "empty", "missing", "long", "not_base64", "no_ascii", "short"])
def test_bad_signature_is_counted_and_nothing_else_stored(kind: str, fault: str) -> None:
    shop = make_shop(kind)
    body = as_bytes(shopify_order())
    headers = headers_of(shop, "orders/create", body)
    name = next(name for name in headers if "ignature" in name or "Hmac" in name)
    right = headers[name]
    wrong = {
        "byte": right, "hex": hmac_of(shop.secret, body).encode().hex(), "empty": "", "long": right * 99,
        "not_base64": "!" * 44, "no_ascii": "é" * 44, "short": right[:20], "missing": None,
    }[fault]  # fmt: skip
    headers = {other: value for other, value in headers.items() if other != name}
    answer = post(shop.path, body + b" " * (fault == "byte"), headers | ({} if wrong is None else {name: wrong}))
    assert (answer.status_code, code_of(answer)) == (401, "bad_signature")
    shop.refresh_from_db()
    assert (shop.refused_count, shop.last_received_at, shop.domain) == (1, None, "")
    assert shop.last_refused_at is not None
    assert not Message.objects.exists()
    assert not Order.objects.exists()


def test_shop_without_a_secret_takes_nothing(shop: Shop) -> None:
    body = b"{}"
    headers = headers_of(shop, "orders/create", body, {"X-Shopify-Hmac-Sha256": hmac_of("", body)})
    Shop.objects.update(secret="")
    assert post(shop.path, body, headers).status_code == 401


def test_both_secrets_are_valid_for_a_day(shop: Shop, time_machine: Any) -> None:
    body = as_bytes(shopify_order())
    former = headers_of(shop, "orders/create", body)
    time_machine.move_to(timezone.now())
    shop.rotate(" shpss_new ")
    assert shop.secret == "shpss_new"
    time_machine.shift(timedelta(hours=23))
    assert post(shop.path, body, former).status_code == 200
    assert send(shop, body).status_code == 200
    time_machine.shift(timedelta(hours=2))
    assert post(shop.path, body, former | {"X-Shopify-Webhook-Id": "other"}).status_code == 401
    assert send(shop, body).status_code == 200


def test_addresses_of_no_shop_and_other_methods(shop: Shop) -> None:
    body = as_bytes(shopify_order())
    headers = headers_of(shop, "orders/create", body)
    for path in (
        f"/intake/shopify/{uuid4()}", f"/intake/woocommerce/{shop.uuid}", f"/intake/shopify/{shop.pk}",
        "/intake/shopify/", "/intake/", f"/intake/%00/{shop.uuid}", f"/intake/shopify/{'9' * 500}",
    ):  # fmt: skip
        assert post(path, body, headers).status_code in {400, 404}, path
    for method in ("get", "head", "put", "delete", "options", "patch"):
        answer = getattr(Client(), method)(shop.path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    shop.refresh_from_db()
    assert (shop.refused_count, Message.objects.count()) == (0, 0)


# --- what is stored --------------------------------------------------------------
def test_repetition_does_nothing(shop: Shop) -> None:
    for _again in range(2):
        assert send(shop, shopify_order(), headers={"X-Shopify-Webhook-Id": "one"}).status_code == 200
    assert Message.objects.count() == 1
    assert send(make_shop("shopify"), shopify_order(), headers={"X-Shopify-Webhook-Id": "one"}).status_code == 200
    assert Message.objects.count() == 2


def test_topics_of_one_event_are_all_applied(shop: Shop) -> None:
    for topic in ("orders/create", "orders/paid", "orders/updated"):
        send(shop, shopify_order(), topic, {"X-Shopify-Event-Id": "one"})
    outcomes = Message.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == [Outcome.CREATED, Outcome.UNCHANGED, Outcome.UNCHANGED]


def test_shop_of_another_domain_is_refused_and_noted(shop: Shop) -> None:
    send(shop, shopify_order())
    shop.refresh_from_db()
    assert (shop.domain, shop.api_version) == ("some.myshopify.com", "2026-04")
    assert send(shop, shopify_order(id=5), headers={"X-Shopify-Shop-Domain": "other.myshopify.com"}).status_code == 200
    message = Message.objects.latest("pk")
    assert (message.outcome, Order.objects.count()) == (Outcome.REFUSED, 1)
    assert message.reason == "The message came from other.myshopify.com, but this shop is some.myshopify.com."


def test_other_version_of_the_api_is_noted_once(shop: Shop) -> None:
    versions = ("2026-04", "2026-07", "2026-07")
    for version in versions:
        send(shop, shopify_order(), headers={"X-Shopify-API-Version": version})
    reasons = Message.objects.order_by("pk").values_list("reason", "api_version")
    assert [bool("version" in reason) for reason, _ in reasons] == [False, True, False]
    assert [version for _, version in reasons] == list(versions)


def test_shop_that_is_not_active_keeps_its_messages(shop: Shop) -> None:
    Shop.objects.update(is_active=False)
    assert send(shop, shopify_order()).status_code == 200
    message = Message.objects.get()
    assert (message.outcome, message.reason) == (Outcome.IGNORED, "The shop is not active.")
    Shop.objects.update(is_active=True)
    assert apply(Message.objects.get()).outcome == Outcome.CREATED


def test_apply_again_after_a_mend(shop: Shop) -> None:
    send(shop, shopify_order(financial_status="weird"))
    message = Message.objects.get()
    assert message.reason.startswith("The status “weird” has no meaning yet")
    assert Order.objects.get().status == "new"
    Shop.objects.update(status_map={"weird": "approved"})
    message = apply(Message.objects.get())
    assert (message.outcome, message.reason.startswith("The status"), Order.objects.get().status) == (
        Outcome.UPDATED, False, "approved",
    )  # fmt: skip
    message.refresh_from_db()
    assert message.outcome == Outcome.UPDATED


def test_unknown_status_is_noted_on_the_first_message_of_the_shop_that_has_it(shop: Shop) -> None:
    def sent(number: int, status: str, to: Shop = shop, **fields: Any) -> bool:
        send(to, shopify_order(id=number, name=f"#{number}", financial_status=status, **fields))
        return "has no meaning yet" in Message.objects.latest("pk").reason

    assert not sent(1, "weird", cancelled_at="2026-01-10T11:00:00-05:00")  # it is rejected, whatever that means
    statuses = ("weird", "weird", "odd", "paid", "Weird", "odd", "weird")
    noted = [sent(number, status) for number, status in enumerate(statuses, 2)]
    assert noted == [True, False, True, False, True, False, False]
    assert sent(1, "weird", make_shop("shopify"))
    shop.refresh_from_db()
    assert shop.status_map == {"weird": "", "odd": "", "Weird": ""}


def test_unknown_statuses_of_a_shop_that_has_hundreds_are_noted_and_not_listed(shop: Shop) -> None:
    listed = {f"status {number}": "" for number in range(100)}
    Shop.objects.update(status_map=listed)
    for number in range(2):
        send(shop, shopify_order(id=number, name=f"#{number}", financial_status="weird"))
    assert ["weird" in reason for reason in Message.objects.values_list("reason", flat=True)] == [True, True]
    assert Shop.objects.get().status_map == listed


def test_message_from_the_future_that_is_applied_again_is_of_when_it_was_received(
    shop: Shop, time_machine: Any
) -> None:
    now = timezone.now().replace(microsecond=0)
    time_machine.move_to(now)
    send(shop, shopify_order(updated_at=(now + timedelta(days=3)).isoformat()))
    time_machine.move_to(now + timedelta(hours=1))
    send(shop, shopify_order(updated_at=timezone.now().isoformat(), financial_status="refunded"))
    time_machine.move_to(now + timedelta(hours=2))
    assert apply(Message.objects.earliest("pk")).outcome == Outcome.OLDER
    assert Order.objects.get().status == "rejected"


def test_error_of_ours_loses_no_message(shop: Shop, monkeypatch: Any, caplog: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("orders.intake.shopify.translate", lambda _message: 1 / 0)
        assert send(shop, shopify_order()).status_code == 200
    message = Message.objects.get()
    assert (message.outcome, "message_not_applied" in caplog.text) == (Outcome.REFUSED, True)
    assert apply(message).outcome == Outcome.CREATED


def test_unknown_topic_is_noted(shop: Shop, woocommerce: Shop) -> None:
    assert send(shop, {"id": 1, "email": "joe@x.example"}, "products/create").status_code == 200
    assert send(woocommerce, {"id": 1}, "coupon.created").status_code == 200
    found = Message.objects.order_by("pk").values_list("outcome", "reason", "external_id")
    assert list(found) == [
        (Outcome.IGNORED, "Nothing is done for the topic “products/create”.", "1"),
        (Outcome.IGNORED, "Nothing is done for the topic “coupon.created”.", "1"),
    ]


# --- bodies ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"), (b"\xff\xfe", "not UTF-8"), (b"{", "not JSON"), (b'{"id": NaN}', "NaN"),
        (b'{"id": 1, "id": 2}', "same field twice"), (b"[" * 100_000, "nested too deeply"),
        (b"[]", "names no order"), (b"null", "names no order"), (b"1", "names no order"), (b'"x"', "names no order"),
        (b'{"id": 1e3}', "names no order"), (b'{"id": -1}', "names no order"), (b'{"id": "\\u0000"}', "names no order"),
        (b'{"id": ' + b"9" * 5000 + b"}", "names no order"), (b'{"id": {"id": 1}}', "names no order"),
        (b'{"id": 1, "name": "#1", "currency": "USD"}', "Amount: A new order needs an amount."),
    ],
)  # fmt: skip
def test_signed_nonsense_is_noted_with_the_reason(shop: Shop, body: bytes, reason: str) -> None:
    assert send(shop, body).status_code == 200
    message = Message.objects.get()
    assert (message.outcome, reason in message.reason) == (Outcome.REFUSED, True), message.reason
    assert not Order.objects.exists()


def test_order_in_a_strange_body_is_read(shop: Shop) -> None:
    odd = shopify_order(id=9007199254740993, name="#1", extra=json.loads("[" * 200 + "]" * 200))
    odd |= {"discount_codes": [{"code": "A\ud800B", "type": "x"}], "line_items": [{"quantity": 2.5}, {"quantity": 3}]}
    odd |= {"discount_applications": [{"type": "discount_code", "code": "A\ud800B"}], "landing_site": "/?ref=a\ud800\0"}
    assert send(shop, b"\xef\xbb\xbf" + as_bytes(odd)).status_code == 200
    message = Message.objects.get()
    assert message.outcome == Outcome.CREATED
    assert Order.objects.get().external_id == "9007199254740993"


def test_body_of_10_mib_is_read_and_more_is_not(shop: Shop) -> None:
    body = as_bytes(shopify_order(note=""))
    full = body.replace(b'"note": ""', b'"note": "' + b"x" * (10 * 2**20 - len(body)) + b'"')
    assert len(full) == 10 * 2**20
    assert send(shop, full).status_code == 200
    assert Message.objects.get().outcome == Outcome.CREATED
    assert send(shop, full + b" ").status_code == 413


# --- the database --------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_without_the_database_the_shop_is_told_to_come_back(shop: Shop, database_away: None) -> None:
    began = time.monotonic()
    answer = send(shop, shopify_order())
    assert (answer.status_code, answer.headers["Retry-After"], code_of(answer)) == (503, "30", "unavailable")
    assert time.monotonic() - began < 1


@pytest.mark.django_db(transaction=True)
def test_messages_about_one_order_at_once_make_one(shop: Shop, woocommerce: Shop, monkeypatch: Any) -> None:
    """Shopify tells of a new order by several topics in the same moment, and repeats what it got no answer for."""
    monkeypatch.setattr("orders.intake.receive.AT_ONCE", 99)  # or a worker would apply some of them

    def tell(number: int) -> int:
        topic = ("orders/create", "orders/paid", "refunds/create")[number % 3]
        paid_back = {"kind": "refund", "status": "success", "amount": "5.00", "currency": None}
        refund = {"id": 7, "order_id": shopify_order()["id"], "transactions": [paid_back]}
        body = refund if topic == "refunds/create" else shopify_order()
        while (answer := send(shop, body, topic, {"X-Shopify-Webhook-Id": f"key {number % 6}"})).status_code == 503:
            pass  # the machine is slow, and Shopify comes again
        return answer.status_code

    assert at_once([partial(tell, number) for number in range(12)]) == [200] * 12
    order = Order.objects.get()
    paid_back = sum(order.refunds.values_list("amount", flat=True))  # the last message is an order's or the refund's
    assert (order.refunded, order.amount, Message.objects.count()) == (paid_back, Decimal("414.95") - paid_back, 6)
    assert sorted(Message.objects.values_list("outcome", flat=True)).count(Outcome.CREATED) == 1
    assert Outcome.WAITING not in Message.objects.values_list("outcome", flat=True)


def test_queries_of_a_message_are_few(shop: Shop, woocommerce: Shop) -> None:
    AffiliateFactory(code="joe")
    send(shop, shopify_order(id=1, name="#1"))
    assert count_queries(lambda: send(shop, shopify_order(id=2, name="#2"))) <= 30
    assert count_queries(lambda: send(shop, shopify_order(id=2, name="#2"))) <= 30


# --- the command -----------------------------------------------------------------------
def test_create_shop_prints_the_url_and_the_secret(capsys: Any) -> None:
    for kind in Shop.Kind.values:
        call_command("create_shop", kind, kind)
        url, secret = capsys.readouterr().out.splitlines()
        shop = Shop.objects.get(name=kind)
        assert url.endswith(f"/intake/{kind}/{shop.uuid}")
        assert secret == (shop.secret or "No key yet: save Shopify's key in the panel, or messages are refused.")
    assert Shop.objects.get(kind="woocommerce").secret.isalnum()
    assert Shop.objects.get(kind="signed").secret.startswith("whsec_")
    call_command("create_shop", "shopify", "With a secret", secret=" abc ")
    assert capsys.readouterr().out.splitlines()[1] == "abc"
    with pytest.raises(CommandError, match="Another shop already has this name"):
        call_command("create_shop", "shopify", "With a secret")
    for kind, name, secret in (
        ("signed", "Other", "whsec_é"),
        ("shopify", "x\0", ""),
    ):
        with pytest.raises(CommandError):
            call_command("create_shop", kind, name, secret=secret)

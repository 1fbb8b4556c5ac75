"""A form that is refused is drawn from what is stored and what was typed, whatever was typed."""

import pytest
from django.urls import reverse
from django.utils.html import escape

from affiliates.models import Affiliate, Link
from callbacks.models import Delivery
from orders.models import Order
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory, callbacks_for

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NONSENSE = [
    "", " ", "58,00", "-", "1e5000", "1e-30", "sNaN", "Infinity", "١٢", "9" * 5000, "a\0b", "\t", "<b>", "💥" * 60,
    "x" * 3000, "-0", "999999999999999999.99", "https://[", "https://shop.example/?ref=nobody", "%00",
]  # fmt: skip
ORDER = {"number": "#7", "status": "new", "link": "", "affiliate": "joe", "amount": "58.00", "currency": "USD"}
ORDER |= {"commission": ""}
AFFILIATE = {"name": "Joe", "email": "joe@blog.example", "code": "joe", "status": "approved", "commission_rate": "15"}


@pytest.fixture
def joe():
    affiliate = AffiliateFactory(code="joe", name="Joe")
    callbacks_for(affiliate, "https://tracker.example/?o={{order.number}}")
    return affiliate


def order_in(state: str, joe: Affiliate) -> Order:
    """With or without a link, an affiliate, a commission of its own, a delivery."""
    fields = {
        "bare": {"affiliate": None},
        "delivered": {"affiliate": joe},
        "linked": {"affiliate": joe, "link": LinkFactory(affiliate=joe)},
        "own commission": {"affiliate": joe, "commission": 3},
    }
    return OrderFactory(number="#7", **fields[state])


@pytest.mark.parametrize("state", ["bare", "delivered", "linked", "own commission"])
@pytest.mark.parametrize("field", ORDER)
def test_order_page_takes_any_nonsense(admin_client, joe, state, field):
    order = order_in(state, joe)
    path, add = reverse("admin:orders_order_change", args=[order.pk]), reverse("admin:orders_order_add")
    for typed in NONSENSE:
        for page in (path, add) if state == "bare" else (path,):
            before = Order.objects.values().get(pk=order.pk)
            answer = admin_client.post(page, ORDER | {field: typed})
            assert answer.status_code in {200, 302}, (page, typed)
            if answer.status_code == 200:
                assert Order.objects.values().get(pk=order.pk) == before
                if page == path:
                    assert f"<h1>Order {before['number']} <" in answer.content.decode()
            Order.objects.exclude(pk=order.pk).delete()
            Order.objects.filter(pk=order.pk).update(**before)


@pytest.mark.parametrize("field", AFFILIATE)
def test_affiliate_page_takes_any_nonsense(admin_client, joe, field):
    pages = [reverse("admin:affiliates_affiliate_change", args=[joe.pk]), reverse("admin:affiliates_affiliate_add")]
    before = Affiliate.objects.values().get()
    for typed in NONSENSE:
        for page in pages:
            answer = admin_client.post(page, AFFILIATE | {field: typed})
            assert answer.status_code in {200, 302}, (page, typed)
            Affiliate.objects.exclude(pk=joe.pk).delete()
            Affiliate.objects.filter(pk=joe.pk).update(**before)


@pytest.mark.parametrize("has_orders", [True, False])
@pytest.mark.parametrize("field", ["affiliate", "url"])
def test_link_page_takes_any_nonsense(admin_client, joe, field, has_orders):
    link = LinkFactory(affiliate=joe)
    if has_orders:
        OrderFactory(affiliate=joe, link=link)
    pages = [reverse("admin:affiliates_link_change", args=[link.pk]), reverse("admin:affiliates_link_add")]
    for typed in NONSENSE:
        for page in pages:
            answer = admin_client.post(
                page, {"affiliate": "joe", "url": "https://shop.example/?ref=joe"} | {field: typed}
            )
            assert answer.status_code in {200, 302}, (page, typed)
            Link.objects.exclude(pk=link.pk).delete()


def test_refused_order_keeps_what_was_typed_and_shows_what_is_stored(admin_client, joe):
    order = order_in("linked", joe)
    typed = ORDER | {"amount": "58,00", "number": "#typed", "link": "", "affiliate": "", "status": "rejected"}
    answer = admin_client.post(reverse("admin:orders_order_change", args=[order.pk]), typed)
    shown = answer.content.decode()
    assert answer.status_code == 200
    for value in ("58,00", "#typed"):
        assert f'value="{escape(value)}"' in shown
    assert '<option value="rejected" selected>' in shown
    assert "<h1>Order #7 " in shown
    assert "Joe · received" in shown
    assert "The order is not what was last told of it" not in shown
    assert Delivery.objects.count() == 1

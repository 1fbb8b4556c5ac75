"""Orders and links that somebody deletes or changes: what trackers were told stays true, and the pages say how."""

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.urls import reverse

from affiliates.models import Affiliate, Link
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db
ORDERS, LINKS, AFFILIATES = (f"/admin/{name}/" for name in ("orders/order", "affiliates/link", "affiliates/affiliate"))
SURE = {"post": "yes"}


@pytest.fixture
def joe():
    affiliate = AffiliateFactory(code="joe", name="Joe")
    callbacks_for(affiliate, "https://tracker.example/?cid={{link.sub_id}}")
    return affiliate


@pytest.fixture
def order(joe):
    return OrderFactory(number="#7", affiliate=joe, link=LinkFactory(affiliate=joe))


def page(response):
    return " ".join(response.content.decode().split())


def selected(*rows):
    return {"action": "delete_selected", "_selected_action": [row.pk for row in rows]}


def statuses():
    return list(Delivery.objects.order_by("pk").values_list("event", "variables__order.status"))


# --- orders --------------------------------------------------------------------
def test_order_page_says_who_is_told_and_tells_them(admin_client, order):
    path = reverse("admin:orders_order_delete", args=[order.pk])
    assert "the order is reported as rejected to the trackers of: <strong>Joe</strong>." in page(admin_client.get(path))
    admin_client.post(path, SURE)
    assert not Order.objects.exists()
    assert statuses() == [("order.created", "new"), ("order.updated", "rejected")]
    last = Delivery.objects.latest("pk")
    shown = page(admin_client.get(last.get_absolute_url()))
    assert "This order was deleted." in shown
    for query in ("", "?q=%237", "?q=7"):
        assert len(admin_client.get(f"/admin/callbacks/delivery/{query}").context["cl"].result_list) == 2, query


@pytest.mark.parametrize("why", ["nothing sent", "rejected", "no callback", "paused", "blocked"])
def test_order_page_says_that_nobody_is_told(admin_client, order, why):
    if why == "nothing sent":
        Delivery.objects.all().delete()
    elif why == "rejected":
        order.status = "rejected"
        order.save()
    elif why == "no callback":
        CallbackSetting.objects.filter(event="order.updated").delete()
    elif why == "paused":
        CallbackSetting.objects.update(is_active=False)
    else:
        Affiliate.objects.update(status="blocked")
    path = reverse("admin:orders_order_delete", args=[order.pk])
    assert "No postback is sent:" in page(admin_client.get(path))
    before = Delivery.objects.filter(status="pending").count()
    admin_client.post(path, SURE)
    assert not Order.objects.exists()
    assert Delivery.objects.filter(status="pending").count() == before


def test_order_list_action_says_so_and_tells_each(admin_client, order, joe):
    other = OrderFactory(affiliate=joe)
    asked = admin_client.post(ORDERS, selected(order, other))
    assert "are reported as rejected" in page(asked)
    admin_client.post(ORDERS, selected(order, other) | SURE)
    assert not Order.objects.exists()
    assert statuses().count(("order.updated", "rejected")) == 2


def test_page_of_a_delivery_from_before_keys_were_kept_says_that_its_order_is_gone(admin_client, order):
    Delivery.objects.update(order=None)
    Order.objects.all().delete()
    assert "This order was deleted." in page(admin_client.get(Delivery.objects.get().get_absolute_url()))


# --- links ---------------------------------------------------------------------
def test_link_with_orders_cannot_be_deleted_anywhere(admin_client, order, joe):
    link = order.link
    path = reverse("admin:affiliates_link_delete", args=[link.pk])
    for answer in (admin_client.get(path), admin_client.post(path, SURE)):
        assert "Orders came through <strong>" in page(answer)
        assert "#7" in page(answer)
    for data in (selected(link), selected(link) | SURE):
        assert "Keep those, and select only links without orders" in page(admin_client.post(LINKS, data))
    path = reverse("admin:affiliates_affiliate_delete", args=[joe.pk])
    assert "Block the affiliate instead" in page(admin_client.post(path, SURE))
    for delete in (link.delete, Link.objects.all().delete, joe.delete, Affiliate.objects.all().delete):
        with pytest.raises(ProtectedError):
            delete()
    assert Order.objects.get().link == link


def test_link_of_an_order_that_is_somebody_elses_stays_when_its_affiliate_is_deleted(joe):
    stray = LinkFactory(affiliate=AffiliateFactory(code="ann"))
    Order.objects.create(number="#8", affiliate=joe, link=stray, amount=1)
    with pytest.raises(ProtectedError):
        stray.affiliate.delete()


def test_link_without_orders_is_deleted_and_changed(admin_client, joe):
    link = LinkFactory(affiliate=joe)
    admin_client.post(reverse("admin:affiliates_link_change", args=[link.pk]), {"url": "https://shop.example/?ref=joe"})
    link.refresh_from_db()
    assert link.url == "https://shop.example/?ref=joe"
    admin_client.post(reverse("admin:affiliates_link_delete", args=[link.pk]), SURE)
    assert not Link.objects.exists()


def test_link_with_orders_keeps_its_url(admin_client, order):
    link, said = order.link, "This link cannot be changed"
    path = reverse("admin:affiliates_link_change", args=[link.pk])
    assert said in page(admin_client.get(path))
    admin_client.post(path, {"url": "https://shop.example/?ref=joe&sub_id=other"})
    link.refresh_from_db()
    assert link.sub_id == "fb"
    link.full_clean()
    link.url += "&more=1"
    with pytest.raises(ValidationError) as caught:
        link.full_clean()
    assert caught.value.error_dict["url"][0].code == "link_has_orders"

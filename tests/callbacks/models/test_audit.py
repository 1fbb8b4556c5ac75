"""Who sent it again, who sent the test: named on the page of a delivery, to staff, and nobody is named wrongly."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from affiliates.models import Affiliate
from callbacks.delivery import dispatcher, resend
from callbacks.models import Delivery
from tests.callbacks.panel import of, text_of
from tests.factories import CallbackSettingFactory, OrderFactory
from tests.receiver import Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker", "loopback")]


@pytest.fixture
def sam(client: Client) -> Client:
    user = User.objects.create_user("sam", first_name="Sam", last_name="Support", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_delivery", "resend_delivery"]))
    client.force_login(user)
    return client


@pytest.fixture
def sent(joe: Affiliate, receiver: Receiver) -> Delivery:
    CallbackSettingFactory(affiliate=joe, url=receiver.url("/?s={{link.sub_id}}"))
    OrderFactory(affiliate=joe)
    dispatcher.run()
    return Delivery.objects.get()


def test_resend_names_who_pressed_for_each_attempt(sam: Client, admin_user: User, sent: Delivery) -> None:
    page = sent.get_absolute_url()
    assert "Attempt 1 · initial · 200" in text_of(sam, page)
    sam.post(f"/admin/callbacks/delivery/{sent.pk}/resend/")
    assert "resent by Sam Support, pending" in text_of(sam, page)
    dispatcher.run()
    assert "manual by Sam Support" in text_of(sam, page)

    admin = Client()
    admin.force_login(admin_user)
    picked = {"action": "resend_selected", "_selected_action": [sent.pk]}
    admin.post("/admin/callbacks/delivery/", picked)
    dispatcher.run()
    resend.resend([sent.pk])  # by a job, which has the name itself
    dispatcher.run()
    text = text_of(sam, page)
    assert "Attempt 4 · manual · 200" in text
    assert "Attempt 3 · manual by admin · 200" in text
    assert "Attempt 2 · manual by Sam Support · 200" in text
    assert "Attempt 1 · initial · 200" in text


def test_resend_that_was_refused_is_nobodys(sam: Client, sent: Delivery) -> None:
    Delivery.objects.filter(pk=sent.pk).update(setting=None)
    sam.post(f"/admin/callbacks/delivery/{sent.pk}/resend/")
    assert "No changes in the panel" in text_of(sam, f"/admin/callbacks/delivery/{sent.pk}/history/")


def test_test_names_who_sent_it(admin_client: Client, joe: Affiliate, receiver: Receiver) -> None:
    typed = {"method": "GET", "url": receiver.url("/?s={{link.sub_id}}")}
    admin_client.post(of(joe, "created/test/"), typed)
    assert "test by admin" in text_of(admin_client, Delivery.objects.get().get_absolute_url())

"""A page that is older than its row: what was saved meanwhile is not overwritten unseen."""

import re
import threading
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from affiliates.models import Affiliate
from callbacks.models import Delivery
from orders.intake.place import place
from tests.factories import AffiliateFactory, LinkFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db
CHANGED = "while this page was open"


@pytest.fixture
def joe():
    affiliate = AffiliateFactory(code="joe", name="Joe")
    callbacks_for(affiliate, "https://tracker.example/?o={{order.number}}")
    return affiliate


@pytest.fixture
def order(joe):
    return OrderFactory(number="#7", affiliate=joe, link=LinkFactory(affiliate=joe))


def opened(client, row):
    """The address of a row's page, and what its form sends if nobody types anything."""
    path = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    answer = client.get(path)
    form = answer.context["adminform"].form
    return path, {name: form[name].value() or "" for name in form.fields} | seen_in(answer)


def seen_in(answer):
    return {"seen": re.search(r'name="seen" value="([^"]*)"', answer.content.decode())[1]}


def told(answer):
    """What the refusal says: field, what is saved now, what was typed."""
    text = " ".join(answer.content.decode().split())
    assert CHANGED in text
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td[^>]*>(.*?)</td><td[^>]*>(.*?)</td></tr>', text)
    return {label: (theirs, yours) for label, theirs, yours in rows}


def test_order_that_the_api_changed_is_refused_field_by_field_and_saved_on_purpose(admin_client, order):
    path, data = opened(admin_client, order)
    place("#7", {"status": "approved", "amount": "80.00", "commission": "9"}, affiliate_code=None, link_url=None)
    refused = admin_client.post(path, data | {"amount": "60.00", "number": "#8"})
    assert told(refused) == {
        "Status": ("Approved", "New"), "Amount": ("80.00", "60.00"), "Commission": ("9.00", "empty"),
    }  # fmt: skip
    assert 'value="60.00"' in refused.content.decode()
    assert 'value="#8"' in refused.content.decode()
    order.refresh_from_db()
    assert (order.number, order.amount, order.status) == ("#7", 80, "approved")
    saved = admin_client.post(path, data | {"amount": "60.00", "number": "#8"} | seen_in(refused))
    assert saved.status_code == 302
    order.refresh_from_db()
    assert (order.number, order.amount, order.status, order.commission) == ("#8", 60, "new", Decimal("9.0000"))


def test_order_changed_again_after_the_refusal_is_refused_again(admin_client, order):
    path, data = opened(admin_client, order)
    place("#7", {"amount": "80.00"}, affiliate_code=None, link_url=None)
    refused = admin_client.post(path, data)
    place("#7", {"amount": "90.00"}, affiliate_code=None, link_url=None)
    assert told(admin_client.post(path, data | seen_in(refused))) == {"Amount": ("90.00", "58.00")}


@pytest.mark.parametrize("meanwhile", [{}, {"amount": "60.00"}])
def test_order_is_saved_if_nothing_of_others_is_lost(admin_client, order, meanwhile):
    path, data = opened(admin_client, order)
    place("#7", meanwhile, affiliate_code=None, link_url=None)
    assert admin_client.post(path, data | {"amount": "60.00", "status": "approved"}).status_code == 302
    order.refresh_from_db()
    assert (order.amount, order.status) == (60, "approved")


def test_order_given_to_another_meanwhile_is_refused(admin_client, order):
    path, data = opened(admin_client, order)
    place("#7", {}, affiliate_code=AffiliateFactory(code="ann", name="Ann").code, link_url="")
    assert told(admin_client.post(path, data)) == {
        "Affiliate": ("Ann (ann)", "Joe (joe)"), "Referral link": ("empty", "https://shop.example/?ref=joe&amp;sub_id=fb"),
    }  # fmt: skip
    assert Delivery.objects.filter(affiliate__code="ann").count() == 0


def test_order_changed_meanwhile_and_typed_wrongly_shows_both(admin_client, order):
    path, data = opened(admin_client, order)
    place("#7", {"status": "approved"}, affiliate_code=None, link_url=None)
    refused = admin_client.post(path, data | {"amount": "58,00"})
    assert told(refused) == {"Status": ("Approved", "New")}
    assert "amount" in refused.context["adminform"].form.errors
    assert 'value="58,00"' in refused.content.decode()


def test_affiliate_changed_meanwhile_is_refused_field_by_field_and_saved_on_purpose(admin_client, joe):
    path, data = opened(admin_client, joe)
    Affiliate.objects.update(status="blocked", commission_rate="0.2", name="Joseph")
    refused = admin_client.post(path, data | {"code": "joey"})
    assert told(refused) == {
        "Name": ("Joseph", "Joe"),
        "Status": ("Blocked", "Approved"),
        "Commission rate": ("0.2", "0.15"),
    }
    assert Affiliate.objects.get().code == "joe"
    assert admin_client.post(path, data | {"code": "joey"} | seen_in(refused)).status_code == 302
    assert Affiliate.objects.values_list("name", "code", "status").get() == ("Joe", "joey", "approved")


@pytest.mark.parametrize("seen", ["", "x", "\0", ":::", "e30:1:1", "9" * 5000, "[" * 5000])
def test_seen_that_is_not_ours_is_no_error(admin_client, order, seen):
    path, data = opened(admin_client, order)
    assert admin_client.post(path, data | {"seen": seen, "amount": "60.00"}).status_code == 302
    order.refresh_from_db()
    assert order.amount == 60


def test_row_deleted_meanwhile_is_said_so(admin_client, order):
    path, data = opened(admin_client, order)
    order.delete()
    answer = admin_client.post(path, data, follow=True)
    assert "Perhaps it was deleted?" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_who_save_at_once_come_one_after_the_other(joe):
    order = OrderFactory(number="#7", affiliate=joe)
    user = User.objects.create_superuser("boss")
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(user)
    path, data = opened(clients[0], order)
    answers = []

    def save(client, amount):
        answers.append(client.post(path, data | {"amount": amount}).status_code)
        connection.close()

    threads = [threading.Thread(target=save, args=(c, a)) for c, a in zip(clients, ("60.00", "70.00"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 302]


@pytest.mark.parametrize("decimals", ["58", "58.00", "58.0000"])
def test_history_names_only_the_fields_that_were_changed(admin_client, order, joe, decimals):
    path, data = opened(admin_client, order)
    admin_client.post(path, data | {"amount": decimals, "status": "approved"})
    path, data = opened(admin_client, joe)
    admin_client.post(path, data | {"name": "Joe's"})
    says = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert says == ["Changed Status.", "Changed Name."]

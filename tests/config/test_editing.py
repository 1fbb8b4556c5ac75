"""A page that is older than its row: what was saved meanwhile is not overwritten unseen."""

import re
import threading
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from affiliates.models import Affiliate
from callbacks.models import Delivery
from orders.intake.incoming import IncomingOrder
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
    shown = {name: form[name].value() for name in form.fields}
    sent = {name: value or "" for name, value in shown.items() if value is not False and value != []}
    return path, sent | seen_in(answer)


def seen_in(answer):
    return {"seen": re.search(r'name="seen" value="([^"]*)"', answer.content.decode())[1]}


def told(answer):
    """What the refusal says: field, what is saved now, what was typed."""
    text = " ".join(answer.content.decode().split())
    assert CHANGED in text
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    rows = re.findall(
        r'<tr><th scope="row">(.*?)</th><td[^>]*>(.*?)</td><td[^>]*>(.*?)</td></tr>',
        text.partition(CHANGED)[2].partition("</table>")[0],
    )
    return {label: (theirs, yours) for label, theirs, yours in rows}


def test_order_that_the_api_changed_is_refused_field_by_field_and_saved_on_purpose(admin_client, order):
    path, data = opened(admin_client, order)
    place(IncomingOrder(number="#7", status="approved", amount="80.00", commission="9"))
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
    place(IncomingOrder(number="#7", amount="80.00"))
    refused = admin_client.post(path, data)
    place(IncomingOrder(number="#7", amount="90.00"))
    assert told(admin_client.post(path, data | seen_in(refused))) == {"Amount": ("90.00", "58.00")}


@pytest.mark.parametrize("meanwhile", [{}, {"amount": "60.00"}])
def test_order_is_saved_if_nothing_of_others_is_lost(admin_client, order, meanwhile):
    path, data = opened(admin_client, order)
    place(IncomingOrder(number="#7", **meanwhile))
    assert admin_client.post(path, data | {"amount": "60.00", "status": "approved"}).status_code == 302
    order.refresh_from_db()
    assert (order.amount, order.status) == (60, "approved")


def test_order_given_to_another_meanwhile_is_refused(admin_client, order):
    path, data = opened(admin_client, order)
    place(IncomingOrder(number="#7", affiliate_code=AffiliateFactory(code="ann", name="Ann").code, link=""))
    assert told(admin_client.post(path, data)) == {
        "Affiliate": ("Ann (ann)", "Joe (joe)"), "Referral link": ("empty", "https://shop.example/?ref=joe&amp;sub_id=fb"),
    }  # fmt: skip
    assert Delivery.objects.filter(affiliate__code="ann").count() == 0


def test_order_changed_meanwhile_and_typed_wrongly_shows_both(admin_client, order):
    path, data = opened(admin_client, order)
    place(IncomingOrder(number="#7", status="approved"))
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
        "Commission rate": ("20 %", "15 %"),
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


def history():
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


@pytest.mark.parametrize("decimals", ["58", "58.00", "58.0000"])
def test_history_says_what_was_changed_and_nothing_else(admin_client, order, joe, decimals):
    path, data = opened(admin_client, order)
    admin_client.post(path, data | {"amount": decimals, "status": "approved"})
    path, data = opened(admin_client, joe)
    admin_client.post(path, data | {"name": "Joe's", "commission_rate": "12,5"})
    path, data = opened(admin_client, order)
    admin_client.post(path, data | {"amount": "60", "commission": "9"})
    assert history() == [
        "Status: New → Approved.",
        "Name: Joe → Joe's. Commission rate: 15\N{NO-BREAK SPACE}% → 12.5\N{NO-BREAK SPACE}%.",
        "Amount: 58.00 → 60.00. Commission: empty → 9.00.",
    ]


@pytest.mark.parametrize("what", ["order", "affiliate", "link", "user"])
def test_history_has_no_entry_of_a_save_that_changed_nothing(admin_client, order, joe, what):
    user = User.objects.create_user("clerk", "c@shop.example", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_order"))
    row = {
        "order": order,
        "affiliate": joe,
        "link": LinkFactory(affiliate=joe, url="https://shop.example/?ref=joe"),
        "user": user,
    }[what]
    path, data = opened(admin_client, row)
    data |= {"number": " #7 ", "amount": "58"} if what == "order" else {}
    text = admin_client.post(path, data, follow=True).content.decode()
    assert history() == []
    assert "Nothing was changed." in text
    assert "changed successfully" not in text


def test_history_of_a_user_says_the_role_and_keeps_no_secret(admin_client):
    user = User.objects.create_user("clerk", "c@shop.example", "a quite long passphrase", is_staff=True)
    path, data = opened(admin_client, user)
    admin_client.post(path, data | {"role": "support", "is_active": ""})
    admin_client.post(
        path.replace("change", "password"), {"password1": "another long one", "password2": "another long one"}
    )
    assert history() == ["Can log in: True → False. Role: Custom → Support.", "Changed password."]
    assert user.password not in admin_client.get(path).content.decode()


# --- what is refused ---------------------------------------------------------------
@pytest.mark.parametrize("what", ["order", "affiliate", "user"])
def test_refused_save_says_so_at_the_top_and_leads_to_the_fields(admin_client, order, joe, what):
    row = {"order": order, "affiliate": joe, "user": User.objects.create_user("clerk")}[what]
    name = {"order": "number", "affiliate": "name", "user": "username"}[what]
    stored = str(row)
    path, data = opened(admin_client, row)
    bad = {"order": {"amount": "1" * 40 + "." + "1" * 9}, "affiliate": {"code": "a b"}, "user": {"email": "x"}}[what]
    answer = admin_client.post(f"{path}?q=1", data | bad | {name: "typed"})
    text = answer.content.decode()
    summary = text[text.index('id="errors"') :].partition("</ul>")[0]
    (field,) = bad
    assert "autofocus" in summary
    assert summary.count("<li>") == 1
    assert f'<a href="#id_{field}">' in summary
    assert text.count("data-code=") == 1
    assert f'action="{path}?q=1"' in text  # without the fragment of the address, which the browser would go to
    head = text[text.index("<h1") : text.index("</h1>")]
    assert stored in head
    assert "typed" not in head

"""All orders and the form of one, through the admin's own pages."""

import itertools
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils.html import escape

from affiliates.models import Affiliate, Link
from callbacks.models import CallbackSetting, Delivery
from orders.intake.incoming import IncomingOrder
from orders.intake.place import place
from orders.models import Order, Shop
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/orders/order/", "/admin/orders/order/add/"
LINK = "https://shop.example/p?ref=joe&sub_id=fb#top"


@pytest.fixture
def joe():
    return AffiliateFactory(code="joe", name="Joe's Coffee Blog")


def typed(**changes):
    data = {
        "number": "#100001",
        "status": "new",
        "link": "",
        "affiliate": "",
        "amount": "58.00",
        "currency": "USD",
        "commission": "",
    }
    return data | changes


def change_url(order):
    return reverse("admin:orders_order_change", args=[order.pk])


def page(response):
    return response.content.decode()


# --- the form ----------------------------------------------------------------
def test_order_form_link_names_the_affiliate_and_makes_the_link(admin_client, joe):
    assert admin_client.post(ADD, typed(link=f" {LINK} ")).status_code == 302
    order = Order.objects.get()
    assert (order.affiliate, order.link.url) == (joe, LINK)
    assert order.commission == Decimal("8.70")
    assert not order.commission_given


def test_order_form_commission_typed_is_kept(admin_client, joe):
    admin_client.post(ADD, typed(affiliate=joe.code, commission="3.21"))
    order = Order.objects.get()
    assert order.commission == Decimal("3.21")
    assert order.commission_given


def test_order_form_without_affiliate_and_link_is_nobodys(admin_client):
    admin_client.post(ADD, typed())
    assert Order.objects.get().affiliate is None


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("currency", "ZZZ", "unknown_currency"),
        ("amount", "NaN", "invalid"),
        ("amount", "Infinity", "invalid"),
        ("amount", "9" * 30, "max_digits"),
        ("amount", "58,00", "invalid"),
        ("amount", "1_000", "invalid"),
        ("amount", "\u0661\u0662", "invalid"),
        ("amount", "1e3", "invalid"),
        ("amount", "+5", "invalid"),
        ("amount", "9" * 200_000, "invalid"),
        ("commission", "1e3", "invalid"),
        ("number", "..", "dots_only"),
        ("number", "\u200b\u3000", "blank"),
        ("amount", "", "required"),
        ("amount", "1.005", "too_many_decimals"),
        ("commission", "1.005", "too_many_decimals"),
        ("number", "#TAKEN", "unique"),
        ("number", "", "required"),
        ("link", "no link", "bad_link"),
        ("link", "https://shop.example/?ref=nobody", "unknown_referral"),
        ("status", "paid", "invalid_choice"),
    ],
)
def test_order_form_bad_value_is_refused_beside_its_field_and_nothing_is_lost(admin_client, joe, field, value, code):
    OrderFactory(number="#TAKEN", affiliate=joe)
    response = admin_client.post(ADD, typed(**{field: value}))
    form = response.context["adminform"].form
    assert [error.code for error in form.errors.as_data()[field]] == [code]
    assert f'id="id_{field}_error"' in page(response)
    assert f'data-code="{code}"' in page(response)
    if field != "status":
        assert form[field].value() == value
    assert Order.objects.count() == 1


@pytest.mark.parametrize("url", [ADD, "/admin/affiliates/link/add/"])
def test_refused_form_is_kept_by_the_browser_to_go_back_to(admin_client, url):
    assert "no-store" in admin_client.get(url)["Cache-Control"]
    assert admin_client.post(url, typed(amount="NaN"))["Cache-Control"] == "private, no-cache"


def test_order_form_link_of_another_affiliate_is_refused_beside_the_link(admin_client, joe):
    marta = AffiliateFactory(code="marta")
    response = admin_client.post(ADD, typed(affiliate=marta.code, link=LINK))
    errors = response.context["adminform"].form.errors.as_data()
    assert [error.code for error in errors["link"]] == ["link_of_another_affiliate"]
    assert "This link belongs to Joe&#x27;s Coffee Blog" in page(response)
    assert not Order.objects.exists()
    assert not Link.objects.exists()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?ref=nobody", "No affiliate has the code “nobody” in this link."),
        ("", "This link contains no affiliate code."),
    ],
)
def test_order_form_link_of_nobody_is_refused_with_its_code(admin_client, joe, query, said):
    assert said in page(admin_client.post(ADD, typed(link=f"https://shop.example/{query}")))


@pytest.mark.parametrize(
    "link",
    ["joe", "/?ref=joe", "shop.example/?ref=joe", "ftp://shop.example/?ref=joe", "https://shop.example/ ?ref=joe",
     "https://shop.example/?ref=joe&x=" + "x" * 2000, "https://[", "javascript:alert(1)"],
)  # fmt: skip
@pytest.mark.parametrize("affiliate", ["", "joe", "nobody"])
def test_order_form_refuses_a_bad_link_beside_its_field(admin_client, joe, link, affiliate):
    errors = admin_client.post(ADD, typed(link=link, affiliate=affiliate)).context["adminform"].form.errors.as_data()
    assert [error.code for error in errors["link"]] == ["bad_link"]
    assert ("affiliate" in errors) == (affiliate == "nobody")
    assert not Link.objects.exists()


def test_order_form_refused_for_another_reason_makes_no_link(admin_client, joe):
    admin_client.post(ADD, typed(link=LINK, amount="NaN"))
    assert not Link.objects.exists()


def test_order_form_of_a_saved_order_shows_what_is_there(admin_client, joe):
    admin_client.post(ADD, typed(link=LINK, currency="JPY", amount="1200"))
    response = admin_client.get(change_url(Order.objects.get()))
    form = response.context["adminform"].form
    assert form["link"].value() == LINK
    assert form["amount"].value() == "1200"
    assert form["commission"].value() is None
    assert "affiliate's rate: 180" in page(response)


def test_order_form_saved_as_it_was_sends_nothing(admin_client, joe):
    CallbackSettingFactory(affiliate=joe, event="order.updated")
    admin_client.post(ADD, typed(link=LINK))
    order = Order.objects.get()
    admin_client.post(change_url(order), typed(link=LINK, affiliate=joe.code))
    assert not Delivery.objects.exists()
    admin_client.post(change_url(order), typed(link=LINK, affiliate=joe.code, status="approved"))
    assert Delivery.objects.get().variables["order.status"] == "approved"


def test_order_form_link_cleared_leaves_the_order_without(admin_client, joe):
    admin_client.post(ADD, typed(link=LINK))
    order = Order.objects.get()
    admin_client.post(change_url(order), typed(link="", affiliate=joe.code))
    order.refresh_from_db()
    assert (order.link, order.affiliate) == (None, joe)


def test_order_form_number_loses_blanks_and_an_old_one_stays(admin_client):
    admin_client.post(ADD, typed(number="\u200b#1\u3000 "))
    order = Order.objects.get()
    assert order.number == "#1"
    Order.objects.update(number="#1 ")
    admin_client.post(change_url(order), typed(number="#1", status="approved"))
    order.refresh_from_db()
    assert (order.number, order.status) == ("#1 ", "approved")


def test_order_form_partial_refund_keeps_the_rate_of_the_order(admin_client, joe):
    order = OrderFactory(number="#1", affiliate=joe, amount=100)
    Affiliate.objects.update(commission_rate="0.05")
    admin_client.post(change_url(order), typed(number="#1", affiliate="joe", amount="100"))
    order.refresh_from_db()
    assert order.commission == 15
    admin_client.post(change_url(order), typed(number="#1", affiliate="joe", amount="80"))
    order.refresh_from_db()
    assert order.commission == 12


# --- orders of a shop ----------------------------------------------------------
@pytest.fixture
def shop():
    return Shop.objects.create(kind="shopify", name="First", address="https://shop.example")


def from_shop(shop, **fields):
    return place(IncomingOrder(**{"shop": shop, "external_id": "11", "number": "#1", "amount": "58.00"} | fields)).order


def test_order_form_number_that_another_order_of_the_shop_has_is_refused_beside_it(admin_client, shop):
    from_shop(shop)
    order = from_shop(shop, external_id="12", number="#2")
    response = admin_client.post(change_url(order), typed(number="#1"))
    assert [e.code for e in response.context["adminform"].form.errors.as_data()["number"]] == ["unique"]
    assert admin_client.post(ADD, typed(number="#1")).status_code == 302  # an order of no shop


def test_order_form_affiliate_chosen_by_a_person_is_not_undone_by_the_shop(admin_client, joe, shop):
    marta = AffiliateFactory(code="marta")
    order = from_shop(shop, landing="/?ref=joe")
    for code, whom in (("marta", marta), ("", None)):
        assert admin_client.post(change_url(order), typed(number="#1", affiliate=code)).status_code == 302
        from_shop(shop, landing="/?ref=joe", status="approved")
        from_shop(shop, landing="/?ref=joe&x=1", coupons=("X",))
        order.refresh_from_db()
        assert (order.affiliate, order.source, order.status) == (whom, "manual", "approved")
    decided = [(entry["source"], entry["given"]) for entry in order.attribution if entry["decided"]]
    assert decided == [("affiliate", "")]


def test_order_form_source_is_the_person_or_the_typed_link(admin_client, joe):
    admin_client.post(ADD, typed(number="#1", link=LINK))
    admin_client.post(ADD, typed(number="#2", link=LINK, affiliate="joe"))
    admin_client.post(ADD, typed(number="#3"))
    assert dict(Order.objects.values_list("number", "source")) == {"#1": "link", "#2": "manual", "#3": "manual"}


def test_order_form_amount_typed_is_what_the_commission_is_of(admin_client, joe, shop):
    order = from_shop(shop, landing="/?ref=joe", subtotal="50")
    fields = {"number": "#1", "affiliate": "joe", "link": order.link.url}
    admin_client.post(change_url(order), typed(status="approved", **fields))
    order.refresh_from_db()
    assert (order.commission, order.commission_on) == (Decimal("7.50"), 50)
    admin_client.post(change_url(order), typed(amount="40", **fields))
    order.refresh_from_db()
    assert (order.commission, order.commission_on) == (6, None)
    admin_client.post(change_url(order), typed(amount="20", commission="1.50", **fields))
    order.refresh_from_db()
    assert (order.commission, order.commission_given) == (Decimal("1.50"), True)


# --- orders without an affiliate -----------------------------------------------
def test_order_without_affiliate_says_why_and_is_told_once_it_has_one(admin_client, joe):
    CallbackSettingFactory(affiliate=joe)
    place(IncomingOrder(number="#1", amount=Decimal(5), link="https://shop.example/<b>x y?ref=joe&sub_id=fb"))
    order = Order.objects.get()
    for url in (LIST, change_url(order)):
        assert "The link contains a space." in page(admin_client.get(url))
    shown = page(admin_client.get(change_url(order)))
    assert "https://shop.example/&lt;b&gt;x%20y?ref=joe&amp;sub_id=fb" in shown
    assert "The code belongs to Joe&#x27;s Coffee Blog (joe)." in shown
    admin_client.post(change_url(order), typed(number="#1", affiliate="joe", amount="5"))
    delivery = Delivery.objects.get()
    assert (delivery.event, delivery.variables["link.sub_id"]) == ("order.created", "fb")
    assert "has a space" not in page(admin_client.get(change_url(order)))


def test_order_of_an_unknown_coupon_says_to_whom_it_belongs_now(admin_client, joe):
    place(IncomingOrder(number="#1", amount=Decimal(5), coupons=("joe10",)))
    shown = page(admin_client.get(change_url(Order.objects.get())))
    assert "The coupon belongs to no affiliate." in shown
    assert "The code belongs to" not in shown
    joe.coupons.create(code="JOE10")
    shown = page(admin_client.get(change_url(Order.objects.get())))
    assert "The code belongs to Joe&#x27;s Coffee Blog (joe)." in shown


def test_orders_without_an_affiliate_are_a_filter_and_a_figure(admin_client, joe):
    CallbackSettingFactory(affiliate=joe)
    OrderFactory(affiliate=joe, number="#joe")
    OrderFactory(affiliate=None, number="#direct", no_affiliate_reason="nothing_given")
    place(IncomingOrder(number="#lost", amount=Decimal(5), affiliate_code="nobody"))

    def found(query):
        return [order.number for order in admin_client.get(LIST + query).context["cl"].result_list]

    assert found("?no_affiliate=all") == ["#lost", "#direct"]
    assert found("?no_affiliate=named") == ["#lost"]
    assert found("?no_affiliate=nonsense") == ["#lost", "#direct", "#joe"]
    overview = page(admin_client.get("/admin/"))
    assert "Orders without an affiliate" in overview
    assert "?no_affiliate=all" in overview
    assert admin_client.get("/admin/").context["without_affiliate"] == (2, False, 1)


# --- what was sent -----------------------------------------------------------
def test_order_page_with_deliveries_lists_them(admin_client, joe):
    CallbackSettingFactory(affiliate=joe)
    order = OrderFactory(affiliate=joe)
    response = admin_client.get(change_url(order))
    delivery = Delivery.objects.get()
    assert reverse("admin:callbacks_delivery_change", args=[delivery.pk]) in page(response)
    assert 'data-state="pending"' in page(response)


def test_order_page_without_deliveries_says_why(admin_client, joe):
    response = admin_client.get(change_url(OrderFactory(affiliate=joe)))
    assert "has no callback for this event" in page(response)
    assert reverse("admin:affiliates_affiliate_settings", args=[joe.pk]) in page(response)


def test_order_page_of_nobody_says_that_nothing_is_sent(admin_client):
    response = admin_client.get(change_url(OrderFactory(affiliate=None)))
    assert "This order has no affiliate, so nothing is sent." in page(response)


# --- the list ----------------------------------------------------------------
def test_order_list_shows_money_in_its_currency_and_the_state_of_deliveries(admin_client, joe):
    CallbackSettingFactory(affiliate=joe)
    OrderFactory(affiliate=joe, number="#JPY", amount=Decimal(120000), currency="JPY")
    OrderFactory(affiliate=joe, number="#KWD", amount=Decimal("1284.5"), currency="KWD")
    Delivery.objects.filter(order__number="#KWD").update(status="failed", next_attempt_at=None)
    text = page(admin_client.get(LIST))
    assert "¥120,000" in text
    assert "KWD\xa01,284.500" in text
    assert text.count('data-state="pending"') == 1
    assert text.count('data-state="failed"') == 1


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?q=%23A2", ["#A2"]),
        ("?q=coffee", ["#A1"]),
        ("?status__exact=approved", ["#A2"]),
        ("?deliveries=none", ["#A2"]),
        ("?deliveries=failed", []),
        ("?deliveries=retrying", ["#A1"]),
        ("?currency=EUR", ["#A2"]),
    ],
)
def test_order_list_search_and_filters_find(admin_client, joe, query, numbers):
    CallbackSettingFactory(affiliate=joe)
    OrderFactory(affiliate=joe, number="#A1")
    Delivery.objects.update(last_error_kind="dns")
    OrderFactory(number="#A2", status="approved", currency="EUR")
    response = admin_client.get(LIST + query)
    assert [order.number for order in response.context["cl"].result_list] == numbers


@pytest.mark.parametrize("url", [LIST, "/admin/affiliates/link/"])
def test_list_takes_as_many_queries_for_thirty_as_for_one(admin_client, joe, url):
    CallbackSettingFactory(affiliate=joe)
    numbers = itertools.count()

    def add():
        number = next(numbers)
        admin_client.post(ADD, typed(number=f"#{number}", link=f"{LINK}{number}"))

    assert_same_queries(lambda: admin_client.get(url), add)


def test_order_list_empty_says_what_to_do_next(admin_client):
    text = page(admin_client.get(LIST))
    assert "No orders yet" in text
    assert ADD in text
    assert "No matches" in page(admin_client.get(LIST + "?q=zzz"))


def test_order_list_pages_by_fifty(admin_client, joe):
    Order.objects.bulk_create([OrderFactory.build(number=f"#{n}", affiliate=joe, commission=0) for n in range(51)])
    first = admin_client.get(LIST)
    assert "50 on this page" in page(first)
    second = admin_client.get(LIST + first.context["cl"].older_link)
    assert [order.number for order in second.context["cl"].result_list] == ["#0"]
    assert 'rel="prev"' in page(second)


def test_order_can_be_deleted_and_its_deliveries_stay(admin_client, joe):
    CallbackSettingFactory(affiliate=joe)
    order = OrderFactory(affiliate=joe)
    url = reverse("admin:orders_order_delete", args=[order.pk])
    assert "This cannot be undone" in page(admin_client.get(url))
    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert not Order.objects.exists()
    delivery = Delivery.objects.get()
    assert (delivery.order, delivery.order_number) == (None, order.number)
    assert CallbackSetting.objects.exists()


def test_order_form_is_as_short_for_five_hundred_affiliates(admin_client, joe):
    before = len(page(admin_client.get(f"{ADD}?affiliate={joe.pk}")))
    AffiliateFactory.create_batch(500)
    shown = page(admin_client.get(f"{ADD}?affiliate={joe.pk}"))
    assert 'value="Joe&#x27;s Coffee Blog (joe)"' in shown
    assert len(shown) == before


@pytest.mark.parametrize("text", ["Joe's Coffee", "nobody"])
def test_order_form_affiliate_not_known_is_refused_and_stays_typed(admin_client, joe, text):
    answer = admin_client.post(ADD, typed(affiliate=text))
    assert answer.context["adminform"].form.errors.as_data()["affiliate"][0].code == "unknown_affiliate"
    assert f'value="{escape(text)}"' in page(answer)
    assert not Order.objects.exists()


def test_order_form_submitted_as_it_is_shown_keeps_the_affiliate(admin_client, joe):
    order = OrderFactory(affiliate=joe, amount="58")
    form = admin_client.get(change_url(order)).context["adminform"].form
    shown = {name: form[name].value() or "" for name in form.fields}
    assert shown["affiliate"] == "Joe's Coffee Blog (joe)"
    assert admin_client.post(change_url(order), shown).status_code == 302
    order.refresh_from_db()
    assert order.affiliate == joe

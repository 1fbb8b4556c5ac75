"""What a callback would send: for a real order of this affiliate, or for example values; in a form and while typing."""

from typing import Any

import pytest
from django.test import Client

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, Delivery
from callbacks.postback.variables import VARIABLES
from callbacks.setup.preview import EXAMPLES, Preview, examples, preview, values_of
from tests.callbacks.panel import check, of
from tests.factories import CallbackSettingFactory, LinkFactory, OrderFactory, client_with

pytestmark = pytest.mark.django_db

URL = "https://t.example/p?o={{order.number}}&c={{link.sub_id}}"


def previewed(joe: Affiliate, url: str, order: Any = None, **fields: Any) -> Preview:
    return preview(CallbackSetting(affiliate=joe, event="order.created", url=url, **fields), url, order)


def sent(found: Preview) -> str:
    assert found.request
    return found.request.url


# --- the request -------------------------------------------------------------------
def test_preview_of_an_order_is_what_its_delivery_holds(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    order = OrderFactory(affiliate=joe, link=LinkFactory(affiliate=joe), number="#1 &")
    values = dict(Delivery.objects.get().variables)
    assert values_of(setting, order) == values | {"event.id": EXAMPLES["event.id"]}
    assert sent(previewed(joe, URL, order)) == "https://t.example/p?o=%231%20%26&c=fb"


def test_preview_without_an_order_shows_examples_of_this_affiliate(joe: Affiliate) -> None:
    found = previewed(joe, URL + "&a={{affiliate.code}}&q={{link.query.utm}}&e={{event}}")
    assert sent(found).endswith("?o=%23100001&c=fb&a=joe&q=summer&e=order.created")
    assert {value.why_empty for value in found.values} == {""}


@pytest.mark.parametrize(
    ("variable", "link", "why"),
    [
        ("link.sub_id", None, "this order has no link"),
        ("link.query.x", None, "this order has no link"),
        (
            "link.sub_id",
            "https://shop.example/?ref=joe&click=7",
            (
                "the link of this order has no sub_id. It has ref, click. "
                "Use {{link.query.click}} if that is the click ID."
            ),
        ),
        (
            "link.sub_id",
            "https://shop.example/?ref=joe&utm_source=x",
            "the link of this order has no sub_id. It has ref, utm_source.",
        ),
        ("link.sub_id", "https://shop.example/", "the link of this order has no sub_id"),
        ("link.query.x", "https://shop.example/?ref=joe", "the link of this order has no parameter x"),
        ("link.hash", "https://shop.example/?ref=joe", "the link of this order has no part after #"),
    ],
)
def test_preview_says_why_a_variable_is_empty(joe: Affiliate, variable: str, link: str | None, why: str) -> None:
    order = OrderFactory(affiliate=joe, link=LinkFactory(affiliate=joe, url=link) if link else None)
    (value,) = previewed(joe, f"https://t.example/?c={{{{{variable}}}}}", order).values
    assert (value.value, value.why_empty) == ("", why)


def test_preview_shows_what_filters_make_of_a_value(joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe, status="new")
    url = 'https://t.example/?s={{order.status|map:"new=hold"}}&c={{link.sub_id|default:"none"}}'
    found = previewed(joe, url, order)
    assert [(value.value, value.sent) for value in found.values] == [("new", "hold"), ("", "none")]
    assert sent(found) == "https://t.example/?s=hold&c=none"


def test_preview_of_post_has_the_body(joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe, number="#7")
    assert previewed(joe, URL, order, method="POST").body == "o=%237&c="
    assert '"number":"#7"' in previewed(joe, URL, order, method="POST", body_format="json").body
    assert previewed(joe, URL, order).body == ""


def test_preview_of_what_cannot_be_sent_for_this_order_says_so(joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe, number="..")
    found = previewed(joe, "https://t.example/{{order.number}}/x", order)
    assert found.request is None
    assert "changes the path of the URL" in found.problem


# --- the list of variables -----------------------------------------------------------
def test_examples_are_the_values_of_the_order_with_its_links_parameters(joe: Affiliate) -> None:
    link = LinkFactory(affiliate=joe, url="https://shop.example/x?click=7&odd%20name=1&a%7Cb=1&c%7D%7D=1#top")
    order = OrderFactory(affiliate=joe, link=link, number="#7", amount=20)
    rows = {row.name: row.value for row in examples(CallbackSetting(affiliate=joe, event="x"), order)}
    assert (rows["order.number"], rows["order.amount"], rows["link.hash"]) == ("#7", "20.00", "top")
    assert (rows["link.query.click"], rows["link.sub_id"], rows["link.query.NAME"]) == ("7", "", "")
    own = {name for name in rows if name.startswith("link.query.")}
    assert own == {"link.query.NAME", "link.query.click"}  # the others cannot be written between braces


def test_examples_without_an_order_are_those_of_the_table(joe: Affiliate) -> None:
    rows = examples(CallbackSetting(affiliate=joe, event="order.updated"), None)
    expected = {v.name: v.example for v in VARIABLES} | {"affiliate.code": "joe", "event": "order.updated"}
    assert {row.name: row.value for row in rows} == expected


def test_examples_begin_with_the_click_id_and_the_link(joe: Affiliate) -> None:
    names = [row.name for row in examples(CallbackSetting(affiliate=joe, event="order.created"), None)]
    assert names[:4] == ["link.sub_id", "link.query.NAME", "link.path", "link.hash"]
    assert names[4:] == [v.name for v in VARIABLES if not v.name.startswith("link.")]


# --- in the form -------------------------------------------------------------------
def look(client: Client, joe: Affiliate, url: str = URL, **fields: Any) -> str:
    return check(client, joe, url, **fields)


def test_check_previews_the_newest_order_or_the_chosen_one(admin_client: Client, joe: Affiliate) -> None:
    old, new = (OrderFactory(affiliate=joe, number=number) for number in ("OLD", "NEW"))
    foreign = OrderFactory(number="FOREIGN")
    assert "t.example/p?o=NEW&amp;c=<" in look(admin_client, joe)
    assert "t.example/p?o=OLD&amp;c=<" in look(admin_client, joe, preview_order=old.pk)
    for nothing in (foreign.pk, "x", "", 10**30):
        assert "t.example/p?o=NEW&amp;c=<" in look(admin_client, joe, preview_order=nothing)
    new.delete()
    assert "t.example/p?o=OLD&amp;c=<" in look(admin_client, joe)


def test_check_previews_the_corrected_url_and_says_so(admin_client: Client, joe: Affiliate) -> None:
    text = look(admin_client, joe, url="https://t.example/?c={sub1}")
    assert "With the suggested variables:" in text
    assert "https://t.example/?c=fb</code>" in text
    assert "A preview appears once the URL is valid." in look(
        admin_client, joe, url="https://t.example/?c={{order.number"
    )


def test_setup_page_offers_the_newest_twenty_orders_of_this_affiliate(admin_client: Client, joe: Affiliate) -> None:
    OrderFactory(number="FOREIGN")
    orders = [OrderFactory(affiliate=joe, number=f"N{n}") for n in range(21)]
    page = admin_client.get(of(joe, "created/"))
    assert page.context["orders"] == orders[:0:-1]
    text = page.content.decode()
    assert text.index(">N20 ·") < text.index(">N1 ·")
    assert ">N0 ·" not in text
    assert "FOREIGN" not in text


def test_setup_page_without_a_script_shows_the_preview_on_request(admin_client: Client, joe: Affiliate) -> None:
    order = OrderFactory(affiliate=joe, number="OLD")
    OrderFactory(affiliate=joe, number="NEW")
    fields = {"method": "GET", "url": URL, "look": "1", "preview_order": order.pk}
    page = admin_client.post(of(joe, "created/"), fields)
    assert page.status_code == 200
    assert "t.example/p?o=OLD&amp;c=<" in page.content.decode()
    assert not CallbackSetting.objects.exists()


def test_preview_for_who_may_not_see_orders_is_of_examples(joe: Affiliate) -> None:
    OrderFactory(affiliate=joe, number="SECRET")
    client = client_with("add_callbacksetting")
    for text in (look(client, joe), client.get(of(joe, "created/")).content.decode()):
        assert "SECRET" not in text
    assert "o=%23100001" in look(client, joe)
    assert "o=SECRET" in look(client_with("add_callbacksetting", "view_order"), joe)


@pytest.mark.parametrize("count", [1, 30])
def test_check_costs_as_many_queries_for_many_orders(
    admin_client: Client, joe: Affiliate, django_assert_max_num_queries: Any, count: int
) -> None:
    for n in range(count):
        OrderFactory(affiliate=joe, link=LinkFactory(affiliate=joe, url=f"https://shop.example/{n}?sub_id=fb"))
    with django_assert_max_num_queries(17):
        assert "c=fb" in look(admin_client, joe)

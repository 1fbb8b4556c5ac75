"""Keys above a thousand: what a browser sends back or follows has no separators, whatever the pages show to people."""

import re
from html.parser import HTMLParser

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse

from tests.factories import OrderFactory, callbacks_for
from tests.roles import world as worlds
from tests.roles.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FIRST = 1_234_567
SEPARATED = re.compile(r"\d,\d{3}\b|\d[\s\u00a0\u202f]\d{3}\b")


@pytest.fixture
def world(broker) -> World:
    """All rows of all tables have keys above a million."""
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [model._meta.db_table, FIRST])
    world = worlds.make()
    assert min(world.order.pk, world.joe.pk, world.delivery.pk, world.setting.pk) > FIRST
    return world


class Attributes(HTMLParser):
    """Every attribute of a page, and what its scripts are given as data."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.is_script = False

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name, value or "") for name, value in attrs]
        self.is_script = tag == "script"

    def handle_data(self, data):
        if self.is_script:
            self.found.append(("script", "", data))
            self.is_script = False


def separated(text: str) -> list[tuple[str, str, str]]:
    parser = Attributes()
    parser.feed(text)
    return [found for found in parser.found if SEPARATED.search(found[2]) and found[1] not in {"d", "content"}]


def test_no_page_has_a_separated_number_where_a_browser_reads_it(world: World) -> None:
    callbacks_for(world.marta, "https://tracker.example/?o={{order.number}}")
    OrderFactory.create_batch(3, affiliate=world.marta, link=world.link)
    seen = 0
    for person in ("administrator", "affiliate"):
        client = world.client(person)
        for route in worlds.views():
            answer = client.get(worlds.path_of(route, world))
            if answer.status_code == 200 and "html" in answer["Content-Type"] and not answer.streaming:
                assert separated(answer.content.decode()) == [], route
                seen += 1
    assert seen > 40


def test_preview_takes_the_order_that_was_chosen(world: World) -> None:
    older = OrderFactory(affiliate=world.joe, number="#older")
    OrderFactory(affiliate=world.joe, number="#newest")
    path = reverse("callbacks:set-up", args=[world.joe.pk, "order.created", world.setting.pk])
    client = world.client("merchant")
    shown = client.get(path).content.decode()
    values = re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)', shown)
    option = next(value for value, label in values if "#older" in label)
    data = {"method": "GET", "url": "https://tracker.example/?o={{order.number}}", "preview_order": option}
    checked = client.post(reverse("callbacks:check", args=[world.joe.pk, "order.created", world.setting.pk]), data)
    assert checked.context["order"] == older

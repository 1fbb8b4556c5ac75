"""The same form sent several times at the same moment makes one thing, and is no error."""

import re

import pytest
from django.test import Client

from affiliates.models import Link
from callbacks.models import CallbackSetting, Job
from orders.models import ApiToken, Order, Shop
from tests.callbacks.panel import URL, at_once, of
from tests.roles import world as worlds
from tests.roles.world import World

pytestmark = pytest.mark.django_db(transaction=True)
TIMES = 5
TOKEN = re.compile(r'name="form_token" value="([0-9a-f-]{36})"')


def sent_at_once(world: World, path: str, typed: dict[str, object]) -> list[int]:
    clients = [world.client("administrator") for _ in range(TIMES)]
    return [answer.status_code for answer in at_once([lambda c=c: c.post(path, typed) for c in clients])]


def token_in(client: Client, path: str) -> str:
    found = TOKEN.search(client.get(path).content.decode())
    assert found
    return found[1]


@pytest.mark.parametrize("rest", ["created/another/", "updated/", "updated/another/"])
@pytest.mark.parametrize("name", ["", "Voluum"])
def test_new_callback_submitted_at_once_is_one(world, rest, name):
    path, before = of(world.joe, rest), CallbackSetting.objects.count()
    token = token_in(world.client("administrator"), path)
    typed = {"method": "GET", "url": URL, "name": name, "form_token": token}
    assert set(sent_at_once(world, path, typed)) == {302}
    assert CallbackSetting.objects.count() == before + 1


def test_form_that_was_changed_after_going_back_makes_another_callback(world):
    client, path = world.client("administrator"), of(world.joe, "created/another/")
    typed = {"method": "GET", "url": URL, "form_token": token_in(client, path)}
    for url in (URL, URL + "&second=1", URL):
        assert client.post(path, typed | {"url": url}).status_code == 302
    assert sorted(CallbackSetting.objects.values_list("url", flat=True))[-2:] == [URL, URL + "&second=1"]
    assert CallbackSetting.objects.exclude(affiliate=None).count() == 3


def test_form_that_was_refused_keeps_its_token(world):
    client, path = world.client("administrator"), of(world.joe, "created/another/")
    token = token_in(client, path)
    answer = client.post(path, {"method": "GET", "url": "nonsense", "form_token": token})
    assert answer.status_code == 422
    assert token in answer.content.decode()


@pytest.mark.parametrize(
    ("route", "model"),
    [
        ("admin/orders/order/add/", Order),
        ("admin/affiliates/link/add/", Link),
        ("admin/orders/apitoken/add/", ApiToken),
        ("admin/orders/shop/add/", Shop),
        ("admin/affiliates/affiliate/add/", None),
        ("admin/auth/user/add/", None),
        ("admin/callbacks/delivery/resend/", Job),
        (worlds.CALLBACK + "<int:pk>/backfill/", Job),
    ],
)
def test_what_is_added_at_once_is_one_and_no_error(world, route, model):
    path, typed = worlds.path_of(route, world), worlds.typed(route, world)
    before = model.objects.count() if model else 0
    statuses = sent_at_once(world, path, typed)
    assert max(statuses) < 500
    if model:
        assert model.objects.count() == before + 1

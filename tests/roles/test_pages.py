"""What the pages offer to support: all there is to see, and nothing that would be refused."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from callbacks.models import Attempt, Delivery
from callbacks.setup import signing_secrets
from tests.callbacks.panel import text_of
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory
from tests.roles import world as worlds
from tests.roles.world import World

pytestmark = pytest.mark.django_db
LIST = "/admin/callbacks/delivery/"


@pytest.fixture
def support(world: World) -> Client:
    return world.client("support")


def pages(world: World) -> list[str]:
    """What support may open, as the matrix knows it."""
    client = world.client("support")
    paths = [worlds.path_of(route, world) for route in worlds.views() if route.startswith("admin/")]
    answers = {path: client.get(path) for path in paths}
    return [path for path, answer in answers.items() if answer.status_code == 200 and "html" in answer["Content-Type"]]


def test_support_is_offered_nothing_that_is_refused(world: World, support: Client) -> None:
    Delivery.objects.filter(pk=world.delivery.pk).update(last_error_kind="redirect", last_status_code=302)
    sent, moved = "https://tracker.example/postback?order=%237", "https://tracker.example/moved?order=%237"
    Attempt.objects.update(error_kind="redirect", url=sent, response_headers=[["Location", moved]])
    offer = "Use this address in the callback"
    assert offer in text_of(world.client("merchant"), f"{LIST}{world.delivery.pk}/change/")
    opened = pages(world)
    assert f"{LIST}{world.delivery.pk}/change/" in opened
    refused, offered = [], {}  # a link is followed once, from the first page that has it
    for path in opened:
        text = text_of(support, path)
        for link in re.findall(r'<(?:a|form)[^>]* (?:href|action)="(/admin/[^"#]*)', text):
            offered.setdefault(link, path)
        refused += [(path, "a form that saves") for _ in re.findall(r'name="_save"', text)]
    refused += [(path, link) for link, path in offered.items() if support.get(link).status_code == 403]
    assert refused == []


def test_merchant_is_offered_what_support_is_not(world: World) -> None:
    settings = f"/admin/affiliates/affiliate/{world.joe.pk}/settings/"
    for button in ("Pause<", "Edit<", "Delete<", "Add another URL<", "Set up<", "portal-open", "Turn off<"):
        offered = [person for person in ("support", "merchant") if button in text_of(world.client(person), settings)]
        assert offered == ["merchant"], button


def test_support_sees_the_callback_and_no_secret(world: World, support: Client) -> None:
    signing_secrets.rotate(world.setting)
    text = text_of(support, f"/admin/affiliates/affiliate/{world.joe.pk}/settings/")
    assert "https://tracker.example/postback?order=" in text
    for path in pages(world):
        shown = text_of(support, path)
        assert world.setting.secret not in shown, path
        assert world.setting.previous_secret not in shown, path


def test_support_resends_from_the_list_and_from_the_page(world: World, support: Client) -> None:
    assert 'value="resend_selected"' in text_of(support, LIST)
    assert "Resend</button>" in text_of(support, f"{LIST}{world.delivery.pk}/change/")
    support.post(LIST, {"action": "resend_selected", "_selected_action": [world.delivery.pk]})
    world.delivery.refresh_from_db()
    assert world.delivery.status == "pending"


def test_portal_login_that_opens_the_panel_too_is_for_administrators(world: World) -> None:
    boss = world.people["administrator"]
    partner = AffiliateFactory(user=boss)
    path = f"/admin/affiliates/affiliate/{partner.pk}/settings/"
    merchant, administrator = world.client("merchant"), world.client("administrator")
    assert merchant.post(path + "portal/", worlds.NEW_PASSWORD).status_code == 403
    assert 'id="portal-open"' not in text_of(merchant, path)
    assert 'id="portal-open"' in text_of(administrator, path)
    boss.refresh_from_db()
    assert boss.check_password(worlds.PASSWORD)
    changed = {"name": "Ann", "email": "ann@blog.example", "code": "ann", "status": "approved", "commission_rate": "0"}
    assert merchant.post(f"/admin/affiliates/affiliate/{partner.pk}/change/", changed).status_code == 302
    boss.refresh_from_db()
    assert boss.username == "administrator"


def test_portal_shows_an_affiliate_their_own_deliveries_only(world: World) -> None:
    other = CallbackSettingFactory(affiliate=world.marta)
    order = OrderFactory(affiliate=world.marta, number="#900")
    foreign = Delivery.objects.get(order=order, setting=other)
    Delivery.objects.filter(pk=foreign.pk).update(last_attempt_at=timezone.now())
    client = world.client("affiliate")
    portal = [route for route in worlds.views() if route.startswith("portal/deliveries/") and "<" in route]
    assert portal
    for route in portal:
        own, theirs = (f"/{route.replace('<int:pk>', str(pk))}" for pk in (world.delivery.pk, foreign.pk))
        assert (client.get(own).status_code, client.get(theirs).status_code) == (200, 404)
    assert "#900" not in text_of(client, "/portal/")


def test_support_reads_money_and_rates_as_they_are_written_everywhere(world: World, support: Client) -> None:
    order = text_of(support, f"/admin/orders/order/{world.order.pk}/change/")
    assert "$58.00" in order
    assert "58.0000" not in order
    assert "Leave empty" not in order
    profile = text_of(support, f"/admin/affiliates/affiliate/{world.joe.pk}/change/")
    assert "15 % of each order" in profile
    assert "0.15" not in profile

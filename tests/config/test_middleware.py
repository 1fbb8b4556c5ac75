"""What every request passes, and every answer."""

import json
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone

from affiliates.models import LINK_MAX_LENGTH
from config.stack.web import body_limit
from orders.intake.api import OrderIn
from orders.models import NUMBER_MAX_LENGTH
from tests.roles import world as worlds
from tests.roles.matrix import TABLE
from tests.roles.world import ACTION, PEOPLE, World

pytestmark = pytest.mark.django_db
LIST = "/admin/callbacks/delivery/"


@pytest.fixture
def world(broker) -> World:
    return worlds.make()


# --- what a browser may keep ----------------------------------------------------
@pytest.mark.once
@pytest.mark.parametrize("person", PEOPLE)
def test_no_page_is_stored_by_a_browser_or_on_the_way(world, person):
    client = world.client(person)
    for route in (route for route in TABLE if ACTION not in route):
        answer = client.get(worlds.path_of(route, world))
        answer.getvalue()
        assert route == "t.js" or "no-store" in answer.headers["Cache-Control"], route
        is_probe = route in {"healthz", "metrics", "readyz", "status"}
        assert is_probe or "camera=()" in answer.headers["Permissions-Policy"], route


def test_answers_of_the_api_are_stored_by_nobody(client):
    for answer in (client.get("/api/orders/1"), client.post("/api/orders"), client.get("/api/nothing")):
        assert answer.headers["Cache-Control"] == "no-store"


# --- the id of a request ---------------------------------------------------------
def test_each_answer_has_an_id_of_its_own(client):
    ids = {client.get(path).headers["X-Request-ID"] for path in ("/healthz", "/portal/login/", "/nothing", "/api/x")}
    assert len(ids) == 4
    assert all(len(found) == 32 for found in ids)


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ("0b1e-7.A_z", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("a b", False),
        ("a\r\nb", False),
        ("a, b", False),
        ("", False),
    ],
)
def test_id_of_a_trusted_proxy_is_taken_if_it_is_one(client, settings, given: str, is_taken: bool):
    headers = {"X-Request-ID": given}
    assert client.get("/healthz", headers=headers).headers["X-Request-ID"] != given
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.1"),)
    assert (client.get("/healthz", headers=headers).headers["X-Request-ID"] == given) is is_taken


# --- staff who are idle -----------------------------------------------------------
def later(hours: float) -> datetime:
    return timezone.now() + timedelta(hours=hours)


def test_session_of_staff_ends_after_twelve_hours_without_a_request(world, time_machine):
    client = world.client("merchant")
    for hours in (11.9, 11.9, 11.9):
        time_machine.move_to(later(hours), tick=False)
        assert client.get(LIST).status_code == 200
    time_machine.move_to(later(12.1), tick=False)
    assert client.get(LIST).status_code == 302


def test_session_of_staff_that_is_never_used_ends_after_twelve_hours(world, time_machine):
    client = world.client("merchant")
    time_machine.move_to(later(12.1), tick=False)
    assert client.get(LIST).status_code == 302


def test_page_that_asks_by_itself_keeps_no_session_alive(world, time_machine):
    client = world.client("merchant")
    for _ in range(13):
        time_machine.move_to(later(1), tick=False)
        client.get(f"{LIST}live/?ids=1", headers={"X-Requested-With": "fetch"})
    assert client.get(LIST).status_code == 302


def test_session_of_an_affiliate_lasts_longer(world, time_machine):
    client = world.client("affiliate")
    time_machine.move_to(later(48), tick=False)
    assert client.get("/portal/").status_code == 200


def test_session_that_began_before_has_the_same_end(world, time_machine):
    client = world.client("merchant")
    session = client.session
    del session["seen_at"], session["_session_expiry"]
    session.save()
    assert client.get(LIST).status_code == 200
    time_machine.move_to(later(12.1), tick=False)
    assert client.get(LIST).status_code == 302


# --- files and NUL ------------------------------------------------------------------
def test_file_is_refused_wherever_something_could_be_written(world):
    client, column = Client(enforce_csrf_checks=True), PEOPLE.index("administrator")
    client.force_login(world.people["administrator"])
    client.cookies["csrftoken"] = token = "a" * 32
    routes = [route for route, row in TABLE.items() if row[column].endswith("wrote") and ACTION not in route]
    assert len(routes) > 20
    for route in routes:
        typed = worlds.typed(route, world) | {"url": SimpleUploadedFile("a.csv", b"x" * 200_000)}
        answer = client.post(worlds.path_of(route, world), typed, headers={"X-CSRFToken": token})
        assert answer.status_code == 400, route


def test_form_with_a_file_says_what_is_wrong(client):
    answer = client.post("/portal/login/", {"username": SimpleUploadedFile("a.txt", b"x")})
    assert answer.status_code == 400
    assert "such as a file" in answer.content.decode()


@pytest.mark.parametrize(
    "path", ["/admin/%00/", "/api/orders/%00", f"{LIST}?q=%00", f"{LIST}?%00=1", "/portal/?page=%00"]
)
def test_nul_in_an_address_is_refused(admin_client, path):
    assert admin_client.get(path).status_code == 400


def test_login_form_of_a_stranger_may_be_short_only():
    client, text = Client(), "application/x-www-form-urlencoded"
    assert client.post("/portal/login/", "username=" + "x" * 70_000, text).status_code == 413
    assert client.post("/admin/login/", "username=" + "x" * 70_000, text).status_code == 413
    assert client.post("/admin/orders/order/add/", "number=" + "x" * 3_000_000, text).status_code == 413


# --- messages of shops -------------------------------------------------------------
@pytest.mark.urls("tests.config.test_middleware")
def test_message_of_a_shop_meets_nothing_that_is_for_people(world, django_assert_num_queries):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(world.people["merchant"])
    with django_assert_num_queries(0):
        answer = client.post("/intake/shown", b"x" * 10 * 2**20, "application/json")
    assert (answer.content, answer.cookies, answer.headers["Cache-Control"]) == (b"10485760 False", {}, "no-store")
    assert client.post("/intake/shown", b"{}", "application/json", headers={"Host": "elsewhere"}).status_code == 400
    too_large = client.post("/intake/shown", b"x" * (10 * 2**20 + 1), "application/json")
    assert (too_large.status_code, too_large.json()["errors"][0]["code"]) == (413, "too_large")
    for status, missing in ((404, "/intake/nothing"), (500, "/intake/broken")):
        answer = client.post(missing, b"{}", "application/json")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, "")


def shown(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{len(request.body)} {hasattr(request, 'session')}")


def broken(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


urlpatterns = [path("intake/shown", shown), path("intake/broken", broken)]


def test_batch_of_the_longest_orders_fits():
    order = dict.fromkeys(OrderIn.model_fields, "x" * 30) | {
        "number": "x" * NUMBER_MAX_LENGTH,
        "link": "x" * LINK_MAX_LENGTH,
    }
    assert len(json.dumps({"orders": [order] * 1000}, indent=1)) < body_limit("/api/orders/batch", "application/json")

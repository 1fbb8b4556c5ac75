"""While the database is away or takes nothing: 503 for the API and for pages, without a traceback for each."""

import json
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.test import Client

from config.db_outages import AWAY, outage
from orders.api import tokens
from orders.models import Order

ORDER = {"number": "#1", "amount": "58.00"}


@pytest.fixture
def client() -> Client:
    """Takes the answer to an error as a browser does."""
    return Client(raise_request_exception=False)


@pytest.fixture
def assert_one_line(caplog, capsys) -> Callable[[], None]:
    """The log has one line about it, and no traceback."""

    def look() -> None:
        said = [caplog.text, *capsys.readouterr()]
        assert max(text.count("database_unavailable") for text in said) == 1
        assert not any("Traceback" in text or "Service Unavailable" in text for text in said)

    return look


# --- the API ---------------------------------------------------------------------
@pytest.mark.usefixtures("database_away")
@pytest.mark.parametrize("cookie", ["", "a" * 32])  # a session is read, too
@pytest.mark.parametrize(("method", "path"), [("post", "/api/orders"), ("get", "/api/orders/1")])
def test_api_without_a_database_says_so_in_its_own_words(client, assert_one_line, cookie, method, path):
    client.cookies["sessionid"] = cookie
    headers = {"Authorization": "Bearer x"}
    answer = client.generic(method.upper(), path, json.dumps(ORDER), "application/json", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Retry-After"] == "30"
    (problem,) = answer.json()["errors"]
    assert problem["code"] == "unavailable"
    assert "Send the same order again later" in problem["message"]
    assert_one_line()


@pytest.mark.django_db(transaction=True)
def test_api_with_a_database_that_takes_nothing_takes_the_order_afterwards(client, postgresql, assert_one_line):
    headers = {"Authorization": f"Bearer {tokens.create('shop')}"}
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY" if postgresql else "VACUUM")
        if not postgresql:
            cursor.execute("PRAGMA page_count")
            cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
    for number in range(2000):  # there may be room in the pages that are there
        order = {"number": f"#{number}", "amount": "1", "currency": "USD"}
        answer = client.post("/api/orders", order, "application/json", headers=headers)
        if answer.status_code != 201:
            break
    is_there = Order.objects.filter(number=f"#{number}").exists()
    connection.close()  # before anything can fail: the next test must not get it
    assert answer.status_code == 503
    (problem,) = answer.json()["errors"]
    assert ("is read-only" if postgresql else "disk of the database is full") in problem["message"]
    assert not is_there
    assert_one_line()
    assert client.post("/api/orders", order, "application/json", headers=headers).status_code == 201


# --- pages -------------------------------------------------------------------------
@pytest.mark.usefixtures("database_away")
@pytest.mark.parametrize("path", ["/admin/", "/portal/", "/admin/orders/order/"])
def test_page_without_a_database_says_so(client, assert_one_line, path):
    client.cookies["sessionid"] = "a" * 32
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "The database does not answer. Try again in a minute." in answer.content.decode()
    assert f'href="{path}"' in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    assert_one_line()


class Fields(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str | None, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "input":
            self.found.append((dict(attrs)["name"], dict(attrs)["value"]))


@pytest.mark.usefixtures("database_away")
def test_form_without_a_database_keeps_what_was_typed(client):
    client.cookies["sessionid"] = "a" * 32
    typed = {"csrfmiddlewaretoken": "t" * 64, "name": '"><script>&', "many": ["1", "2"]}
    answer = client.post("/admin/affiliates/affiliate/add/?x=1&y=2", typed)
    page = answer.content.decode()
    assert answer.status_code == 503
    assert 'action="/admin/affiliates/affiliate/add/?x=1&amp;y=2"' in page
    assert "<script>" not in page
    pairs = [("csrfmiddlewaretoken", "t" * 64), ("name", '"><script>&'), ("many", "1"), ("many", "2")]
    assert Fields(page).found == pairs
    for secret in ({"password": "s3cr3t"}, {"x-new_password1": "s3cr3t"}, {"code": "s3cr3t"}):
        page = client.post("/admin/login/", typed | secret).content.decode()
        assert "s3cr3t" not in page
        assert "Nothing was saved" in page


# --- which errors ------------------------------------------------------------------
@pytest.mark.django_db
def test_wrong_question_is_no_outage():
    with connection.cursor() as cursor, pytest.raises((OperationalError, ProgrammingError)) as caught:
        cursor.execute("SELECT nothing FROM nowhere")
    assert outage(caught.value) == ""
    assert outage(ValueError()) == outage(None) == ""
    assert outage(OperationalError()) == AWAY


def test_unexpected_error_is_a_500(client, caplog, settings):
    settings.ROOT_URLCONF = "tests.config.test_db_outages"
    answer = client.get("/broken/")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()
    assert any(record.exc_info for record in caplog.records)


def broken(_):
    raise ZeroDivisionError


from django.urls import path as url  # noqa: E402

urlpatterns = [url("broken/", broken)]
handler500 = "config.views.server_error"


# --- who asks every few seconds ----------------------------------------------------
@pytest.mark.usefixtures("database_away")
@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
def test_probe_without_a_database_leaves_no_line(client, caplog, path):
    assert client.get(path).status_code == 503
    assert "Service Unavailable" not in caplog.text

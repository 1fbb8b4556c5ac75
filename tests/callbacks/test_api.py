"""The API's routes of callbacks and deliveries."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from callbacks.models import CallbackSetting, Delivery, EndpointHealth
from callbacks.models.history import SettingChange
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory, callbacks_for, in_state
from tests.orders.api.asking import client, problems, refused, send

pytestmark = pytest.mark.django_db
PATH = "/affiliates/joe/callbacks/order.created"
URL = "https://tracker.example/postback?cid={{link.sub_id}}&payout={{order.commission}}&tx={{order.number}}"


@pytest.fixture
def api() -> Client:
    AffiliateFactory(code="joe")
    return client()


# --- callbacks -------------------------------------------------------------------
def test_save_callback_makes_one_tells_its_secret_once_and_notes_the_token(api: Client) -> None:
    response = send(api, "PUT", PATH, {"url": URL, "method": "POST", "only_statuses": ["approved"]})
    made = response.json()
    setting = CallbackSetting.objects.get()
    assert (response.status_code, made["secret"]) == (201, setting.secret)
    assert (made["url"], made["method"], made["only_statuses"], made["is_active"]) == (URL, "POST", ["approved"], True)
    assert "secret" not in send(api, "GET", PATH).json()
    response = send(api, "PUT", PATH, {"url": f"{URL}&x=1"})
    assert (response.status_code, "secret" in response.json(), response.json()["method"]) == (200, False, "POST")
    assert send(api, "DELETE", PATH).status_code == 204
    assert refused(send(api, "GET", PATH)) == (404, [("event", "not_found")])
    changes = SettingChange.objects.order_by("pk")
    assert [change.action for change in changes] == ["created", "changed", "removed"]
    assert {(change.user_id, change.user_name) for change in changes} == {(None, "API token program")}


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        ({}, [("url", "required")]),
        ({"url": ""}, [("url", "required")]),
        ({"url": "https://tracker.example/?a={{order.nummer}}"}, [("url", "unknown_variable")]),
        ({"url": "https://tracker.example/?a={sub1}"}, [("url", "foreign_placeholder")]),
        ({"url": "http://127.0.0.1/?a={{order.number}}"}, [("url", "blocked_address")]),
        ({"url": URL, "method": "PUT"}, [("method", "enum")]),
        ({"url": URL, "only_statuses": ["paid"]}, [("only_statuses.0", "enum")]),
        ({"url": URL, "secret": "x"}, [("secret", "unknown_field")]),
        ({"url": 5}, [("url", "string_type")]),
    ],
)
def test_save_callback_is_checked_as_in_the_panel(
    api: Client, callback: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert refused(send(api, "PUT", PATH, callback)) == (422, expected)
    assert not CallbackSetting.objects.exists()


def test_save_callback_warns_and_says_what_it_repaired(api: Client) -> None:
    damaged = "http://tracker.example/?a=1&amp;payout={{order.commission}}"
    response = send(api, "PUT", PATH, {"url": damaged})
    assert response.json()["url"] == damaged.replace("&amp;", "&")
    codes = [warning["code"] for warning in response.json()["warnings"]]
    assert {"plain_http", "no_click_id"} <= set(codes)
    assert len(codes) > 2  # the repair


def test_callback_of_several_is_named(api: Client) -> None:
    for name in ("Voluum", "Keitaro"):
        assert send(api, "PUT", f"{PATH}?name={name}", {"url": f"{URL}&n={name}"}).status_code == 201
    for method in ("GET", "PUT", "DELETE"):
        assert refused(send(api, method, PATH, {"url": URL})) == (409, [("name", "several_callbacks")])
    assert send(api, "GET", f"{PATH}?name=voluum").json()["name"] == "Voluum"
    assert send(api, "DELETE", f"{PATH}?name=Keitaro").status_code == 204
    assert send(api, "GET", PATH).json()["name"] == "Voluum"


@pytest.mark.parametrize("name", ["%00", "x" * 100, "a%01b"])
def test_callback_name_that_nobody_can_give_is_no_error(api: Client, name: str) -> None:
    assert send(api, "GET", f"{PATH}?name={name}").status_code in {400, 404}
    assert send(api, "PUT", f"{PATH}?name={name}", {"url": URL}).status_code in {400, 422}


def test_callback_that_paused_itself_is_resumed_by_another_url(api: Client) -> None:
    send(api, "PUT", PATH, {"url": URL})
    CallbackSetting.objects.update(is_active=False, pause_reason="gone")
    SettingChange.objects.update(action="gone")
    assert send(api, "GET", PATH).json()["is_active"] is False
    assert send(api, "PUT", PATH, {"method": "POST"}).json()["is_active"] is False
    assert send(api, "PUT", PATH, {"url": f"{URL}&x=1"}).json()["is_active"] is True
    assert EndpointHealth.objects.exists()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/affiliates/nobody/callbacks/order.created", 404), ("/affiliates/joe/callbacks/order.deleted", 422)],
)
def test_callback_of_nobody_or_of_no_event_is_told_so(api: Client, path: str, status: int) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert refused(send(api, method, path, {"url": URL}))[0] == status


# --- deliveries ------------------------------------------------------------------
def delivery_of(setting: CallbackSetting | None = None, *, status: str, **fields: Any) -> Delivery:
    setting = setting or CallbackSettingFactory()
    order = OrderFactory()
    variables = {"order.number": order.number}
    return Delivery.objects.create(
        setting=setting, order=order, event=setting.event, variables=variables, **in_state(status, **fields)
    )


def listed(api: Client, query: str = "") -> list[str]:
    return [delivery["id"] for delivery in send(api, "GET", f"/deliveries?{query}").json()["deliveries"]]


def test_list_deliveries_by_order_state_and_time_with_their_attempts(api: Client) -> None:
    succeeded = delivery_of(status="succeeded")
    succeeded.attempts.create(
        trigger="initial", method="GET", url="https://x.example/", status_code=200, response_excerpt="ok",
        created_at=timezone.now(),
    )  # fmt: skip
    failed = delivery_of(status="failed")
    delivery_of(status="succeeded", origin="test")
    assert listed(api) == [str(failed.event_id), str(succeeded.event_id)]
    assert listed(api, "state=failed") == [str(failed.event_id)]
    assert listed(api, f"order={succeeded.order.number.replace('#', '%23')}") == [str(succeeded.event_id)]
    assert listed(api, "order=nothing") == []
    assert listed(api, "since=2999-01-01T00:00:00Z") == []
    (found,) = send(api, "GET", "/deliveries?state=succeeded").json()["deliveries"]
    assert found["callback"] == succeeded.setting.name
    (attempt,) = found["attempts"]
    assert (attempt["status_code"], attempt["response"]) == (200, "ok")
    page = send(api, "GET", "/deliveries?limit=1").json()
    assert listed(api, f"limit=1&after={page['next']}") == [str(succeeded.event_id)]


def test_list_deliveries_finds_those_of_a_deleted_order(api: Client) -> None:
    callbacks_for(AffiliateFactory(code="jane"), "https://tracker.example/")
    send(api, "POST", "/orders", {"number": "#1", "amount": "1", "affiliate": "jane"})
    send(api, "DELETE", "/orders/%231")
    assert len(listed(api, "order=%231")) == 2


@pytest.mark.parametrize("query", ["state=lost", "shop=x", "shop=x&order=1", "after=-1", "since=1", "stat=failed"])
def test_list_deliveries_condition_that_cannot_be_read_is_refused(api: Client, query: str) -> None:
    response = send(api, "GET", f"/deliveries?{query}")
    assert response.status_code == 422
    assert problems(response)


def test_resend_delivery_is_due_again_and_says_what_may_happen(api: Client) -> None:
    delivery = delivery_of(status="failed")
    response = send(api, "POST", f"/deliveries/{delivery.event_id}/resend")
    assert (response.status_code, response.json()["state"], response.json()["warnings"]) == (202, "pending", [])
    delivered = delivery_of(status="succeeded")
    response = send(api, "POST", f"/deliveries/{delivered.event_id}/resend")
    assert [warning["code"] for warning in response.json()["warnings"]] == ["delivered_before"]
    assert Delivery.objects.filter(next_trigger="manual", status="pending").count() == 2


def test_resend_delivery_that_cannot_be_sent_is_refused_with_the_reason(api: Client) -> None:
    delivery = delivery_of(status="failed")
    CallbackSetting.objects.update(is_active=False)
    response = send(api, "POST", f"/deliveries/{delivery.event_id}/resend")
    assert refused(response) == (409, [("", "not_resent")])
    assert "paused" in response.json()["errors"][0]["message"]
    unknown = send(api, "POST", "/deliveries/0198c0de-0000-7000-8000-000000000000/resend")
    assert refused(unknown) == (404, [("event_id", "not_found")])
    assert refused(send(api, "POST", "/deliveries/1/resend"))[0] == 404

"""The list of all callbacks: the state of each, search, filters, links, CSV."""

import csv
import io
import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks import callback_list
from callbacks.callback_list import State
from callbacks.models import CallbackSetting, Delivery
from tests.factories import AffiliateFactory, CallbackSettingFactory, client_with
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db
LIST = "/admin/callbacks/all/"


def hosts(client: Client, query: str = "") -> list[str]:
    return [callback.host for callback in client.get(LIST + query).context["cl"].result_list]


def callback(host: str, **fields: Any) -> CallbackSetting:
    return CallbackSettingFactory(url=f"https://{host}/?o={{{{order.number}}}}", **fields)


def sent(setting: CallbackSetting, kind: str = "", **fields: Any) -> None:
    Delivery.objects.create(
        setting=setting, event=setting.event, status="failed" if kind else "succeeded", last_error_kind=kind,
        last_attempt_at=timezone.now(), **fields,
    )  # fmt: skip


@pytest.fixture
def all_states() -> None:
    """A callback in each state; its host is named after it."""
    made = {state: callback(f"{state.value.replace('_', '-')}.example") for state in State}
    for state in (State.WORKING, State.PAUSED, State.HELD):
        sent(made[state])
    sent(made[State.FAILING], "timeout")
    sent(made[State.SILENT], origin="test")
    sent(made[State.CHANGED])
    soon = timezone.now() + timedelta(hours=1)
    for state, fields in {
        State.CHANGED: {"request_changed_at": soon}, State.HELD: {"held_until": soon},
        State.PAUSED: {"is_active": False, "pause_reason": "person"},
        State.GONE: {"is_active": False, "pause_reason": "gone"},
    }.items():  # fmt: skip
        CallbackSetting.objects.filter(pk=made[state].pk).update(**fields)
    Affiliate.objects.filter(pk=made[State.NOT_APPROVED].affiliate_id).update(status="blocked")


@pytest.mark.parametrize("state", State)
def test_list_filters_by_state_and_says_how_many(admin_client: Client, all_states: None, state: State) -> None:
    page = admin_client.get(f"{LIST}?state={state}")
    assert [row.host for row in page.context["cl"].result_list] == [f"{state.value.replace('_', '-')}.example"]
    text = page.content.decode()
    assert f"State: {state.label}" in text
    assert page.context["cl"].counts["state"] == dict.fromkeys((each.value for each in State), "1")


def test_list_finds_by_host_and_affiliate_and_leaves_webhooks_out(admin_client: Client, joe: Affiliate) -> None:
    callback("a.example", affiliate=joe)
    callback("b.example", affiliate=AffiliateFactory(code="marta"), event="order.updated", method="POST")
    CallbackSetting.objects.create(event="system", method="POST", body_format="json", url="https://shop.example/")
    assert hosts(admin_client) == ["b.example", "a.example"]
    assert hosts(admin_client, "?q=B.EXA") == ["b.example"]
    for text in (joe.name, joe.code, joe.email):
        assert hosts(admin_client, f"?q={text}") == ["a.example"]
    assert hosts(admin_client, "?event=order.updated") == hosts(admin_client, "?method=POST") == ["b.example"]
    assert hosts(admin_client, f"?affiliate__id__exact={joe.pk}") == ["a.example"]
    text = admin_client.get(LIST).content.decode()
    setting = CallbackSetting.objects.get(host="a.example")
    assert f'href="{joe.settings_url}#s2s-callback"' in text
    assert f'href="/admin/affiliates/affiliate/{joe.pk}/deliveries/?callback={setting.pk}"' in text
    assert "shop.example" not in text


def test_affiliate_heads_each_row_of_a_list_without_links_to_pages_of_its_rows(
    admin_client: Client, joe: Affiliate
) -> None:
    callback("one.example", affiliate=joe)
    page = admin_client.get(LIST).content.decode()
    row = page[page.index("<tbody>") : page.index("</tbody>")]
    assert row.count("<th ") == row.count("</th>") == 1
    assert 'data-label="Affiliate"' not in row
    assert 'data-label="Host"' in row


def test_list_takes_as_many_queries_for_thirty_as_for_one(admin_client: Client) -> None:
    assert_same_queries(lambda: admin_client.get(LIST), lambda: sent(CallbackSettingFactory()))


def test_list_is_sorted_by_what_its_columns_show(admin_client: Client) -> None:
    affiliates = [AffiliateFactory(name=name) for name in ("Bea", "Cem", "Ada")]
    made = [
        callback(host, affiliate=a) for host, a in zip(("z.example", "x.example", "y.example"), affiliates, strict=True)
    ]
    sent(made[1])
    sent(made[0], "timeout")
    page = admin_client.get(LIST).content.decode()
    orders = {"0": "yzx", "2": "xyz", "3": "zyx", "4": "yxz", "-4": "zxy", "": "yxz"}
    for order, expected in orders.items():
        assert [host[0] for host in hosts(admin_client, f"?o={order}")] == list(expected), order
        assert not order or order == "-4" or f'href="?o={order}"' in page
    assert hosts(admin_client, "?o=3&state=working") == ["x.example"]


def test_list_of_ten_thousand_is_quick(admin_client: Client) -> None:
    affiliates = Affiliate.objects.bulk_create(AffiliateFactory.build_batch(5000))
    CallbackSetting.objects.bulk_create(
        CallbackSetting(affiliate=a, event=event, url="https://t.example/", host=f"t{a.pk}.example", secret="x")
        for a in affiliates
        for event in ("order.created", "order.updated")
    )
    for query in ("", "?o=3", "?o=0", "?state=failing", "?state=silent", f"?q=t{affiliates[2].pk}.ex"):
        began = time.process_time()
        page = admin_client.get(LIST + query)
        assert time.process_time() - began < 2
        assert len(page.context["cl"].result_list) == {
            "": 50,
            "?o=3": 50,
            "?o=0": 50,
            "?state=failing": 0,
            "?state=silent": 50,
        }.get(query, 2)


def test_export_holds_what_the_filters_select(
    admin_client: Client, all_states: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(callback_list, "BATCH_SIZE", 3)
    answer = admin_client.get(f"{LIST}export/?state=failing")
    [row] = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode(), newline=""))
    assert (row["Host"], row["State"], row["Method"]) == ("failing.example", "Failing", "GET")
    rows = csv.DictReader(io.StringIO(b"".join(admin_client.get(f"{LIST}export/").streaming_content).decode()))
    assert sorted(row["Host"] for row in rows) == sorted(f"{state.value.replace('_', '-')}.example" for state in State)
    assert "what=callbacks" in capfd.readouterr().err


def test_list_is_for_those_who_may_see_callbacks() -> None:
    for page in (LIST, f"{LIST}export/"):
        assert client_with("view_delivery").get(page).status_code == 403
        assert client_with("view_callbacksetting").get(page).status_code == 200


def test_callback_that_failed_for_long_is_paused_automatically(admin_client: Client) -> None:
    CallbackSetting.objects.filter(pk=callback("failed.example").pk).update(is_active=False, pause_reason="failing")
    assert hosts(admin_client, "?state=gone") == ["failed.example"]
    assert hosts(admin_client, "?state=paused") == []

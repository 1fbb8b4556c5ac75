"""The log: the list of deliveries, the story of one, resending."""

import itertools
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from callbacks.models import Attempt, CallbackSetting, Delivery, TroubledHost
from tests.callbacks.log.rows import LIST, deliver, found
from tests.factories import OrderFactory, client_with
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db


def attempt(delivery: Delivery, **fields: Any) -> Attempt:
    fields = {
        "trigger": "initial",
        "method": "GET",
        "url": "https://tracker.example/postback?order=%231",
        "status_code": 200,
        "detail": "The tracker answered 200 OK.",
        "created_at": timezone.now(),
    } | fields
    return Attempt.objects.create(delivery=delivery, **fields)


def page_of(client: Client, delivery: Delivery) -> str:
    return " ".join(client.get(delivery.get_absolute_url()).content.decode().split())


# --- the list ------------------------------------------------------------------
def test_list_shows_newest_first_with_state_code_and_next_attempt(
    admin_client: Client, setting: CallbackSetting
) -> None:
    deliver(setting, "#1", last_status_code=200)
    later = timezone.now() + timedelta(minutes=5)
    deliver(setting, "#2", "pending", last_error_kind="timeout", last_attempt_at=timezone.now(), next_attempt_at=later)
    assert found(admin_client) == ["#2", "#1"]
    text = admin_client.get(LIST).content.decode()
    for expected in ("Joe", "Order created", "Succeeded", "200", "Retrying", f"{later:%H:%M:%S} UTC"):
        assert expected in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?q=100001", ["#100001"]),
        ("?q=%23100001", ["#100001"]),
        ("?q=1000", ["#100002", "#100001"]),
        ("?q=nothing", []),
        ("?q=", ["#100002", "#100001"]),
        ("?status__exact=failed", ["#100002"]),
        ("?event__exact=order.updated", []),
        ("?affiliate__id__exact=JOE", ["#100002", "#100001"]),
        ("?affiliate__id__exact=999999", []),
        ("?affiliate__id__exact=99999999999999999999", ["#100002", "#100001"]),  # left out, as the next
        ("?created_at__gte=2100-01-01%2000:00:00%2B00:00", ["#100002", "#100001"]),
    ],
)
def test_list_search_and_filters_find(
    admin_client: Client, setting: CallbackSetting, query: str, expected: list[str]
) -> None:
    deliver(setting, "#100001")
    deliver(setting, "#100002", "failed")
    assert found(admin_client, query.replace("JOE", str(setting.affiliate_id))) == expected


def test_list_takes_as_many_queries_for_thirty_as_for_one(admin_client: Client, setting: CallbackSetting) -> None:
    numbers = itertools.count(1)
    assert_same_queries(lambda: admin_client.get(LIST), lambda: deliver(setting, f"#{next(numbers)}"))
    assert len(found(admin_client)) == 30


def test_log_cannot_be_added_to_changed_or_deleted(admin_client: Client, setting: CallbackSetting) -> None:
    delivery = deliver(setting, "#1")
    assert admin_client.get(LIST + "add/").status_code == 403
    assert admin_client.post(f"{LIST}{delivery.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(delivery.get_absolute_url(), {"status": "failed"})
    actions = admin_client.get(LIST).context["action_form"].fields["action"].choices
    assert [name for name, _ in actions] == ["resend_selected"]
    delivery.refresh_from_db()
    assert delivery.status == "succeeded"


def test_log_is_for_staff_with_the_permission(client: Client, setting: CallbackSetting) -> None:
    delivery = deliver(setting, "#1")
    assert client.get(LIST).headers["Location"].startswith("/admin/login/")
    for path in (LIST, delivery.get_absolute_url()):
        assert client_with().get(path).status_code == 403
    viewer = client_with("view_delivery")
    assert viewer.get(LIST).status_code == 200
    assert ">Resend<" not in page_of(viewer, delivery)
    assert viewer.post(f"{LIST}{delivery.pk}/resend/").status_code == 403


# --- resending -------------------------------------------------------------------
def test_resend_action_counts_and_names_the_refused(admin_client: Client, setting: CallbackSetting) -> None:
    states = ("succeeded", "failed", "sending")
    picked = [deliver(setting, f"#{number}", state).pk for number, state in enumerate(states, start=1)]
    answer = admin_client.post(LIST, {"action": "resend_selected", "_selected_action": picked}, follow=True)
    text = answer.content.decode()
    assert "2 deliveries resent." in text
    assert "1 delivery had already succeeded. The tracker may count it twice." in text
    assert "#3 · Order created was not resent. It is being sent right now." in text
    states = dict(Delivery.objects.values_list("pk", "status"))
    assert [states[pk] for pk in picked] == ["pending", "pending", "sending"]


def test_resend_action_names_five_and_counts_the_rest(admin_client: Client, setting: CallbackSetting) -> None:
    picked = [deliver(setting, f"#{number}", "failed").pk for number in range(8)]
    setting.delete()
    answer = admin_client.post(LIST, {"action": "resend_selected", "_selected_action": picked}, follow=True)
    text = answer.content.decode()
    assert text.count("was not resent. Its callback was deleted") == 5
    assert "3 more were not resent" in text
    assert "resent." not in text.replace("not resent.", "")


def test_resend_of_one_is_a_post_and_comes_back_to_it(admin_client: Client, setting: CallbackSetting) -> None:
    delivery = deliver(setting, "#1", "failed")
    assert admin_client.get(f"{LIST}{delivery.pk}/resend/").status_code == 405
    assert admin_client.post(f"{LIST}999999/resend/").status_code == 404
    answer = admin_client.post(f"{LIST}{delivery.pk}/resend/", follow=True)
    assert answer.redirect_chain == [(delivery.get_absolute_url(), 302)]
    assert "Resent." in answer.content.decode()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.next_trigger) == ("pending", "manual")


# --- the story of one --------------------------------------------------------------
@pytest.mark.parametrize("rest", ["999999/change/", "nonsense/change/"])
def test_delivery_unknown_is_not_found(admin_client: Client, rest: str) -> None:
    assert admin_client.get(LIST + rest).status_code == 404


def test_delivery_page_tells_the_story_newest_first(admin_client: Client, setting: CallbackSetting) -> None:
    delivery = deliver(setting, "#100482", attempt_count=2)
    attempt(delivery, status_code=None, error_kind="timeout", detail="No answer came within 10 seconds.")
    attempt(
        delivery,
        trigger="retry",
        remote_address="203.0.113.7",
        request_headers=[["webhook-id", "abc"]],
        response_headers=[["X-Served-By", "t1"]],
        response_excerpt="<b>thanks</b>",
        total_ms=142.0,
        connect_ms=23.0,
    )
    text = page_of(admin_client, delivery)
    story = ["The tracker answered 200 OK.", "No answer came within 10 seconds.", "Order saved, delivery recorded"]
    places = [text.index(part) for part in story]
    assert places == sorted(places)
    for expected in (
        "#100482 · Order created", "Succeeded", "Joe", "tracker.example", "Attempt 2", "203.0.113.7",
        "https://tracker.example/postback?order=%231", "webhook-id: abc", "X-Served-By: t1",
        "&lt;b&gt;thanks&lt;/b&gt;", "142 ms", "connect 23 ms", "Copy as curl", "$58.00", "$8.70",
    ):  # fmt: skip
        assert expected in text


def test_delivery_page_tells_of_the_state_that_its_last_attempt_left(
    admin_client: Client, setting: CallbackSetting
) -> None:
    delivery = deliver(setting, "#100482", "pending")
    is_written = False

    def write_meanwhile(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal is_written
        if 'FROM "callbacks_attempt"' in sql and not is_written:
            is_written = True
            attempt(delivery)
            done = {"status": "succeeded", "next_attempt_at": None, "attempt_count": 1}
            Delivery.objects.filter(pk=delivery.pk).update(**done)
        return execute(sql, *rest)

    with connection.execute_wrapper(write_meanwhile):
        text = page_of(admin_client, delivery)
    assert is_written
    assert "The tracker answered 200 OK." in text
    assert "Succeeded" in text
    assert ">Pending" not in text


def test_delivery_page_shows_frozen_values_and_which_are_empty(admin_client: Client, setting: CallbackSetting) -> None:
    delivery = deliver(setting, "#7")
    text = page_of(admin_client, delivery)
    for name in ("order.amount", "event.id", "link.query.ref", "link.hash"):
        assert f">{name}</dt>" in text.replace("<wbr>", "")
    assert str(delivery.event_id) in text
    assert "empty: not in the link" in text
    OrderFactory(number="#8", affiliate=delivery.affiliate)
    linkless = Delivery.objects.get(order__number="#8")
    assert "empty: the order has no link" in page_of(admin_client, linkless)


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        ("pending", {}, "Attempt 1 of 10: pending"),
        ("sending", {}, "Attempt 1 of 10: sending now"),
        ("skipped", {}, "The callback was paused at the time of the event."),
        ("skipped", {"skip_reason": "filtered"}, "The callback is limited to certain statuses"),
        ("failed", {}, "No further attempt will be made."),
    ],
)  # fmt: skip
def test_delivery_page_says_how_far_it_got(
    admin_client: Client, setting: CallbackSetting, status: str, fields: dict[str, Any], expected: str
) -> None:
    assert expected in page_of(admin_client, deliver(setting, "#1", status, **fields))


def test_delivery_page_counts_down_to_the_next_attempt_and_follows_it(
    admin_client: Client, setting: CallbackSetting
) -> None:
    later = timezone.now() + timedelta(minutes=5)
    waiting = page_of(admin_client, deliver(setting, "#1", "pending", last_error_kind="status", next_attempt_at=later))
    assert 'data-form="countdown"' in waiting
    assert "Retries automatically." in waiting
    assert re.search(r'data-live="\d+" data-version="pending-0-', waiting)
    due = page_of(admin_client, deliver(setting, "#2", "pending"))
    assert 'data-form="countdown"' not in due
    assert "as soon as a worker is free" in due
    assert "data-live" not in page_of(admin_client, deliver(setting, "#3"))


def test_delivery_page_says_what_holds_it(admin_client: Client, setting: CallbackSetting) -> None:
    delivery = deliver(setting, "#1", "pending")
    TroubledHost.objects.create(host="tracker.example", failures=12, probe_at=timezone.now())
    assert "On hold: tracker.example did not answer 12 times in a row" in page_of(admin_client, delivery)
    CallbackSetting.objects.update(is_active=False)
    assert "The callback is paused" in page_of(admin_client, delivery)


def test_delivery_page_without_order_setting_and_attempts_is_there(
    admin_client: Client, setting: CallbackSetting
) -> None:
    delivery = deliver(setting, "#9", "failed")
    Delivery.objects.update(order=None)
    setting.delete()
    text = page_of(admin_client, delivery)
    assert "#9 · Order created" in text
    assert "Copy as curl" not in text


def test_delivery_page_offers_the_address_that_the_tracker_pointed_to(
    admin_client: Client, setting: CallbackSetting
) -> None:
    delivery = deliver(setting, "#1", "failed")
    sent = "https://tracker.example/postback?order=%231"
    headers = [["Location", "https://new.example/postback?order=%231"]]
    attempt(delivery, url=sent, status_code=301, error_kind="redirect", response_headers=headers)
    text = page_of(admin_client, delivery)
    path = f"/admin/affiliates/affiliate/{setting.affiliate_id}/settings/callbacks/created/{setting.pk}/"
    offer = "https%3A%2F%2Fnew.example%2Fpostback%3Forder%3D%7B%7Border.number%7D%7D"
    assert f'href="{path}?url={offer}"' in text
    form = admin_client.get(f"{path}?url={offer}").content.decode()
    said = "The new URL is filled in but not saved"
    assert said in form
    assert said not in admin_client.get(path).content.decode()
    assert "https://new.example/postback?order={{order.number}}</textarea>" in form
    setting.delete()
    assert "Use this address" not in page_of(admin_client, delivery)

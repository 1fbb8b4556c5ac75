"""The list of deliveries: filters, search, pages, live updates, CSV."""

import csv
import io
import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from callbacks.log import conditions, export
from callbacks.models import Attempt, CallbackSetting, Delivery
from config.listing import csv_download, pages
from config.listing.keys import Keys, Limits
from config.listing.pages import LongChangeList
from orders.models import Order
from tests.callbacks.log.rows import LIST, deliver, found
from tests.factories import CallbackSettingFactory, OrderFactory, client_with

pytestmark = pytest.mark.django_db


# --- filters -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("succeeded", ["#1"]),
        ("failed", ["#2"]),
        ("pending", ["#4", "#3"]),
        ("retrying", ["#4"]),
        ("sending", ["#5"]),
        ("skipped", ["#6"]),
        ("nonsense", ["#6", "#5", "#4", "#3", "#2", "#1"]),
    ],
)
def test_list_filter_by_state_finds_those_in_it(
    admin_client: Client, setting: CallbackSetting, state: str, expected: list[str]
) -> None:
    deliver(setting, "#1")
    deliver(setting, "#2", "failed")
    deliver(setting, "#3", "pending")
    deliver(setting, "#4", "pending", attempt_count=2, last_error_kind="status")
    deliver(setting, "#5", "sending")
    deliver(setting, "#6", "skipped")
    assert found(admin_client, f"?status__exact={state}") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("2xx", ["#1"]),
        ("4xx", ["#3", "#2"]),
        ("404", ["#2"]),
        ("none", ["#4"]),
        ("9xx", ["#5", "#4", "#3", "#2", "#1"]),
    ],
)
def test_list_filter_by_code_finds_class_code_and_silence(
    admin_client: Client, setting: CallbackSetting, code: str, expected: list[str]
) -> None:
    deliver(setting, "#1", last_status_code=200)
    deliver(setting, "#2", "failed", last_status_code=404, last_error_kind="status")
    deliver(setting, "#3", "failed", last_status_code=410, last_error_kind="status")
    deliver(setting, "#4", "failed", last_error_kind="timeout")
    deliver(setting, "#5", "pending")
    assert found(admin_client, f"?code={code}") == expected


def test_list_filter_by_host_goes_by_the_address_as_set_now(admin_client: Client, setting: CallbackSetting) -> None:
    deliver(setting, "#1")
    other = CallbackSettingFactory(url="https://other.example/?o={{order.number}}")
    deliver(other, "#2")
    assert found(admin_client, "?host=other.example") == ["#2"]
    setting.url = "https://other.example/moved?o={{order.number}}"
    setting.save()
    assert found(admin_client, "?host=other.example") == ["#2", "#1"]
    assert "host=other.example" in admin_client.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("query", "expected", "shown"),
    [
        ("?from=2026-03-02", ["#4", "#3", "#2"], "since 2 Mar 2026"),
        ("?to=2026-03-02", ["#3", "#2", "#1"], "until 2 Mar 2026"),
        ("?from=2026-03-02&to=2026-03-02", ["#3", "#2"], "Date: 2 Mar 2026 (UTC)<"),
        ("?from=2026-03-02&to=2026-03-03", ["#4", "#3", "#2"], "2 Mar 2026 to 3 Mar 2026"),
        ("?from=2026-03-05", [], "since 5 Mar 2026"),
        ("?from=2026-03-02T23:59&to=2026-03-03T00:00", ["#3"], "2 Mar 2026, 23:59 to 3 Mar 2026, 00:00 (UTC)"),
        ("?from=0001-01-01&to=9999-12-31", ["#4", "#3", "#2", "#1"], "<summary>Date<"),
        ("?from=yesterday", ["#4", "#3", "#2", "#1"], "<summary>Date<"),
        ("?from=2026-03-02&status__exact=failed", ["#4"], "since 2 Mar 2026"),
    ],
)
def test_list_filter_by_period_takes_whole_days_of_utc(
    admin_client: Client, setting: CallbackSetting, query: str, expected: list[str], shown: str
) -> None:
    moments = ["2026-03-01 23:59:59", "2026-03-02 00:00:00", "2026-03-02 23:59:59", "2026-03-03 00:00:00"]
    for place, moment in enumerate(moments, start=1):
        at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        deliver(setting, f"#{place}", "failed" if place == 4 else "succeeded", created_at=at)
    assert found(admin_client, query) == expected
    page = admin_client.get(LIST + query).content.decode()
    assert shown in page
    if "status" in query:
        assert '<input type="hidden" name="status__exact" value="failed">' in page


# --- search --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("1000", ["#100045", "#100012"]),
        ("#10001", ["#100012"]),
        ("045", ["B-1045", "#100045"]),
        ("_0", []),
        ("%", []),
        ("77", ["#77"]),
    ],
)
def test_search_finds_the_beginning_of_a_number_and_then_any_part(
    admin_client: Client, setting: CallbackSetting, term: str, expected: list[str]
) -> None:
    for number in ("#100012", "#100045", "B-1045", "#77", "#777"):
        deliver(setting, number)
    assert found(admin_client, f"?q={quote(term)}") == expected


def test_search_for_an_event_id_finds_its_delivery(admin_client: Client, setting: CallbackSetting) -> None:
    deliver(setting, "#1")
    wanted = deliver(setting, "#2")
    assert found(admin_client, f"?q={wanted.event_id}") == ["#2"]
    assert found(admin_client, f"?q={uuid.uuid4()}") == []


# --- pages ---------------------------------------------------------------------
def test_list_of_many_is_followed_by_links_without_counting(admin_client: Client, setting: CallbackSetting) -> None:
    Order.objects.bulk_create(
        Order(number=f"#{n}", affiliate=setting.affiliate, amount=1, currency="USD") for n in range(1, 121)
    )
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(f"{LIST}?event__exact=order.created")
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "callbacks_delivery" in query["sql"]]
    # The badge of the menu, which looks at the latest alone; and the choices of filters, a range of keys at a time.
    assert counts
    assert all('"id" >= ' in sql or '"id" BETWEEN ' in sql for sql in counts)
    changelist = page.context["cl"]
    assert changelist.newer_link == ""
    second = admin_client.get(LIST + changelist.older_link).context["cl"]
    assert [row.order_number for row in second.result_list][:1] == ["#70"]
    third = admin_client.get(LIST + second.older_link).context["cl"]
    assert [row.order_number for row in third.result_list] == [f"#{n}" for n in range(20, 0, -1)]
    assert third.older_link == ""
    back = admin_client.get(LIST + third.newer_link).context["cl"]
    assert [row.pk for row in back.result_list] == [row.pk for row in second.result_list]
    assert "event__exact=order.created" in third.newer_link


def test_list_that_looked_only_so_far_says_so_and_goes_on(
    admin_client: Client, setting: CallbackSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LongChangeList, "limits", Limits(time_s=-1.0, size=2))
    for n in range(1, 5):
        deliver(setting, f"#{n}", last_status_code=404 if n == 1 else 200)
    page = admin_client.get(f"{LIST}?code=404")
    text = page.content.decode()
    assert "No matches so far" in text
    assert "this search and these filters" not in text
    assert found(admin_client, page.context["cl"].older_link) == ["#1"]


# --- live ----------------------------------------------------------------------
def updates(client: Client, *ids: Any) -> Any:
    return json.loads(client.get(f"{LIST}live/?ids={','.join(map(str, ids))}").content)


def test_live_updates_have_each_delivery_and_when_to_ask_again(admin_client: Client, setting: CallbackSetting) -> None:
    done = deliver(setting, "#1", last_status_code=200)
    soon = deliver(setting, "#2", "pending")
    answer = updates(admin_client, done.pk, soon.pk, 999999, "nonsense")
    assert set(answer["deliveries"]) == {str(done.pk), str(soon.pk)}
    update = answer["deliveries"][str(done.pk)]
    assert "Succeeded" in update["parts"]["state"]
    assert "200" in update["parts"]["last_code"]
    assert not update["is_open"]
    assert answer["deliveries"][str(soon.pk)]["is_open"]
    assert answer["again_ms"] == 2000
    before = answer["deliveries"][str(soon.pk)]["version"]
    Delivery.objects.filter(pk=soon.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1), attempt_count=1)
    answer = updates(admin_client, soon.pk)
    assert answer["again_ms"] == 30_000
    assert answer["deliveries"][str(soon.pk)]["version"] != before
    assert updates(admin_client, done.pk)["again_ms"] is None
    assert updates(admin_client) == {"again_ms": None, "deliveries": {}}


def test_list_marks_only_open_rows_for_updates(admin_client: Client, setting: CallbackSetting) -> None:
    deliver(setting, "#1")
    waiting, sending = deliver(setting, "#2", "pending"), deliver(setting, "#3", "sending")
    text = admin_client.get(LIST).content.decode()
    assert text.count('data-live="') == 2
    assert all(f'data-live="{delivery.pk}"' in text for delivery in (waiting, sending))
    assert f'data-live-url="{LIST}live/"' in text


def test_list_names_the_callback_among_several_and_says_what_is_due(
    admin_client: Client, setting: CallbackSetting
) -> None:
    CallbackSettingFactory(affiliate=setting.affiliate, event=setting.event, name="Keitaro")
    OrderFactory(number="#1", affiliate=setting.affiliate)
    cells = re.findall(
        r'class="field-event_column"[^>]*>(.*?)</td>', admin_client.get(LIST).content.decode(), re.DOTALL
    )
    assert ["Keitaro" in cell for cell in cells] == [True, False]
    assert admin_client.get(LIST).content.decode().count(">Due<") == 2


# --- CSV -----------------------------------------------------------------------
def exported(client: Client, query: str = "") -> list[dict[str, str]]:
    answer = client.get(f"{LIST}export/{query}")
    assert answer.streaming
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_export_holds_what_the_filter_selects_newest_first(admin_client: Client, setting: CallbackSetting) -> None:
    for n in range(1, 6):
        deliver(setting, f"#{n}", "failed", last_status_code=500 + n)
    deliver(setting, "#6", "skipped")
    deliver(setting, "#7", "pending", attempt_count=1, last_error_kind="status")
    rows = exported(admin_client, "?status__exact=failed")
    assert [row["Order"] for row in rows] == ["#5", "#4", "#3", "#2", "#1"]
    first = rows[0]
    assert tuple(first) == tuple(heading.format(zone="UTC") for heading in export.HEADINGS)
    assert (first["Amount"], first["Commission"], first["Currency"]) == ("58.00", "8.70", "USD")
    assert (first["State"], first["Last code"], first["Host"]) == ("failed", "505", "tracker.example")
    assert first["Callback"] == setting.name
    assert first["Affiliate code"] == setting.affiliate.code
    assert datetime.fromisoformat(first["Time (UTC)"])
    assert exported(admin_client, "?q=%236")[0]["Reason"] == "The callback was paused at the time of the event."
    assert [row["State"] for row in exported(admin_client)] == ["retrying", "skipped", *["failed"] * 5]


@pytest.mark.parametrize(("batch_size", "queries"), [(1, 7), (2, 4), (5, 2), (6, 2), (7, 1)])
def test_export_reads_all_rows_with_one_query_a_batch(setting: CallbackSetting, batch_size: int, queries: int) -> None:
    for n in range(6):
        deliver(setting, f"#{n}")
    with CaptureQueriesContext(connection) as captured:
        rows = list(export.csv_rows(Delivery.objects.all(), Keys(), batch_size))
    assert [row[3] for row in rows] == [f"#{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert len(captured) == queries


def test_export_makes_no_formula_of_a_name(admin_client: Client, setting: CallbackSetting) -> None:
    setting.affiliate.name = '=HYPERLINK("https://evil.example","click")'
    setting.affiliate.save()
    deliver(setting, "#1")
    assert exported(admin_client)[0]["Affiliate"].startswith("'=HYPERLINK")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-58.00", "-58.00"),
        ("+5", "+5"),
        ("#100001", "#100001"),
        (None, ""),
        (0, "0"),
        (datetime(2026, 3, 1, 12, 30, 5, 999, tzinfo=UTC), "2026-03-01 12:30:05"),
    ],
)
def test_export_cell_holds_no_formula(value: Any, shown: str) -> None:
    assert csv_download.cell(value) == shown


def test_export_and_live_are_for_those_who_may_see_the_log(client: Client, setting: CallbackSetting) -> None:
    for page in ("export/", "live/?ids=1"):
        assert client_with().get(LIST + page).status_code == 403
        assert client.get(LIST + page).status_code == 302


def test_export_leaves_out_a_filter_that_makes_no_sense_and_the_next_page_says_so(admin_client: Client) -> None:
    assert admin_client.get(f"{LIST}export/?status__exact__nonsense=1").status_code == 200
    assert "ignored: status__exact__nonsense." in admin_client.get(LIST).content.decode()


def test_resend_all_is_not_offered_while_several_affiliates_match(admin_client: Client) -> None:
    for name in ("Joe Blog", "Joe Coffee"):
        deliver(CallbackSettingFactory(affiliate__name=name), f"#{name}")
    assert "Resend all that match" in admin_client.get(f"{LIST}?status__exact=succeeded").content.decode()
    text = admin_client.get(f"{LIST}?affiliate=joe").content.decode()
    assert "Several affiliates match" in text
    assert "Resend all that match" not in text


# --- of one affiliate, of one callback -------------------------------------------
def test_tab_of_an_affiliate_lists_their_deliveries_alone(admin_client: Client, setting: CallbackSetting) -> None:
    deliver(setting, "#1")
    deliver(setting, "#2", "failed")
    deliver(CallbackSettingFactory(), "#3")
    tab = f"/admin/affiliates/affiliate/{setting.affiliate_id}/deliveries/"
    for query in ("", f"?affiliate__id__exact={setting.affiliate_id + 1}", "?affiliate=nobody"):
        page = admin_client.get(tab + query)
        assert [row.order_number for row in page.context["cl"].result_list] == ["#2", "#1"], query
        assert "affiliate_column" not in page.context["cl"].list_display
    text = page.content.decode()
    assert f'<a href="{tab}" aria-current="page">Deliveries</a>' in text
    assert "Clear filters" not in text
    assert 'name="affiliate"' not in text
    assert f'href="/admin/callbacks/delivery/resend/?affiliate__id__exact={setting.affiliate_id}' in text
    failed = admin_client.get(f"{tab}?status__exact=failed")
    assert [row.order_number for row in failed.context["cl"].result_list] == ["#2"]
    assert "Clear filters" in failed.content.decode()
    pk = Delivery.objects.get(order__number="#2").pk
    answer = admin_client.post(tab, {"action": "resend_selected", "_selected_action": [pk]})
    assert answer.headers["Location"] == tab
    assert Delivery.objects.get(pk=pk).status == "pending"


def test_filter_by_callback_finds_its_deliveries_and_offers_the_affiliates_others(
    admin_client: Client, setting: CallbackSetting
) -> None:
    other = CallbackSettingFactory(affiliate=setting.affiliate, name="Keitaro")
    stranger = CallbackSettingFactory(name="Stranger")
    OrderFactory(number="#1", affiliate=setting.affiliate)
    OrderFactory(number="#2", affiliate=stranger.affiliate)
    page = admin_client.get(f"{LIST}?callback={other.pk}&affiliate__id__exact={setting.affiliate_id}")
    assert [row.setting_id for row in page.context["cl"].result_list] == [other.pk]
    text = page.content.decode()
    assert f"callback={setting.pk}" in text
    assert f"callback={stranger.pk}" not in text
    assert found(admin_client, f"?callback={stranger.pk}") == ["#2"]
    assert found(admin_client, "?callback=999999") == []
    assert len(found(admin_client, "?callback=nonsense")) == 3
    row = admin_client.get(setting.affiliate.settings_url).content.decode()
    assert f'href="/admin/affiliates/affiliate/{setting.affiliate_id}/deliveries/?callback={other.pk}"' in row


# --- how many ----------------------------------------------------------------------
def test_filters_say_how_many_each_choice_has_with_the_other_filters(
    admin_client: Client, setting: CallbackSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "COUNTING", Limits(time_s=60.0))  # a busy machine takes longer than a page may
    for n in range(3):
        deliver(setting, f"#{n}", "failed", last_status_code=500, last_error_kind="status")
    deliver(setting, "#8", last_status_code=200, is_soft_failure=True)
    deliver(setting, "#9", "pending", last_error_kind="timeout", attempt_count=1)
    counts = admin_client.get(f"{LIST}?status__exact=failed").context["cl"].counts
    states = {"succeeded": "1", "failed": "3", "pending": "1", "retrying": "1", "sending": "0", "skipped": "0"}
    assert counts["status__exact"] == states
    assert counts["code"] == {"2xx": "0", "3xx": "0", "4xx": "0", "5xx": "3", "none": "0"}
    assert counts["origin"] == {"event": "3", "backfill": "0", "test": "0", "counted": "3"}
    assert counts["answer"] == {"no": "0", "unchecked": "0"}
    of_search = admin_client.get(f"{LIST}?q=%238&status__exact=failed").context["cl"].counts
    assert of_search["status__exact"] == dict.fromkeys(states, "0") | {"succeeded": "1"}
    assert re.search(r'Failed <span class="filter-count">3</span>', admin_client.get(LIST).content.decode())


def test_filters_count_up_to_a_bound_and_for_some_time(
    admin_client: Client, setting: CallbackSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        deliver(setting, f"#{n}")
    monkeypatch.setattr(pages, "MAX_COUNTED", 3)
    counts = admin_client.get(LIST).context["cl"].counts["status__exact"]
    assert (counts["succeeded"], counts["failed"]) == ("3+", "0")
    monkeypatch.setattr(pages, "COUNTING", Limits(time_s=-1.0, size=2))
    counts = admin_client.get(LIST).context["cl"].counts["status__exact"]
    assert (counts["succeeded"], counts["failed"]) == ("2+", "")


def test_counting_a_short_list_reads_its_rows_alone(
    admin_client: Client, setting: CallbackSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are of others: the page knows already between which keys all of its rows are."""
    monkeypatch.setattr(pages, "COUNTING", Limits(time_s=60.0, size=1))
    for n in range(20):
        deliver(setting, f"#{n}", "failed" if n in {9, 11} else "succeeded")
    with CaptureQueriesContext(connection) as queries:
        counts = admin_client.get(f"{LIST}?q=%239").context["cl"].counts
    assert counts["status__exact"] == dict.fromkeys(conditions.STATES, "0") | {"failed": "1"}
    assert sum("counted_0" in query["sql"] for query in queries) == 1
    with CaptureQueriesContext(connection) as queries:
        counts = admin_client.get(f"{LIST}?q=nothing-like-it").context["cl"].counts
    assert set(counts["status__exact"].values()) == {"0"}
    assert not any("counted_0" in query["sql"] for query in queries)


def test_counts_of_a_list_that_looked_only_so_far_are_of_what_it_saw(
    admin_client: Client, setting: CallbackSetting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(9):
        status, code = ("failed", 500) if n in {1, 8} else ("succeeded", 200)
        deliver(setting, f"#{n}", status, last_status_code=code)
    monkeypatch.setattr(LongChangeList, "limits", Limits(time_s=-1.0, size=5))
    counts = admin_client.get(f"{LIST}?code=5xx").context["cl"].counts["status__exact"]
    assert (counts["failed"], counts["succeeded"]) == ("1+", "")


# --- attempts, and answers that mean no ----------------------------------------------
@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        ("pending", {}, "Attempt 1 of 10"),
        ("pending", {"attempt_count": 2, "retry_step": 2, "last_error_kind": "status"}, "Attempt 3 of 10"),
        ("pending", {"attempt_count": 10, "retry_step": 0, "next_trigger": "manual"}, "Attempt 11 of 20"),
        ("pending", {"attempt_count": 3, "retry_step": 1}, "Attempt 4 of 12"),  # it waited as the tracker asked
        ("sending", {"attempt_count": 9, "retry_step": 9}, "Attempt 10 of 10"),
    ],
)
def test_list_and_page_say_which_attempt_of_how_many_is_next(
    admin_client: Client, setting: CallbackSetting, status: str, fields: dict[str, Any], expected: str
) -> None:
    delivery = deliver(setting, "#1", status, **fields)
    for url in (LIST, delivery.get_absolute_url()):
        assert re.search(f"{expected}[<:]", admin_client.get(url).content.decode()), url
    assert f"{expected}<" in updates(admin_client, delivery.pk)["deliveries"][str(delivery.pk)]["parts"]["next_attempt"]


def test_answer_that_was_not_checked_is_that_of_the_last_attempt(
    admin_client: Client, setting: CallbackSetting
) -> None:
    rows = [deliver(setting, f"#{n}", attempt_count=2) for n in range(2)]
    for delivery, answers in zip(rows, (["success=false", ""], ["", "success=false"]), strict=True):
        for answer in answers:
            sent = {"trigger": "initial", "method": "GET", "created_at": timezone.now()}
            Attempt.objects.create(delivery=delivery, response_excerpt=answer, **sent)
    listed = {row.order_number: row for row in admin_client.get(LIST).context["cl"].result_list}
    assert [listed[f"#{n}"].is_soft_failure for n in range(2)] == [False, True]


def test_answers_that_mean_no_are_found_and_shown(admin_client: Client, setting: CallbackSetting) -> None:
    refused = deliver(setting, "#1", last_status_code=200, is_soft_failure=True)
    deliver(setting, "#2", last_status_code=200, is_soft_failure=False)
    deliver(setting, "#3", last_status_code=200)
    assert found(admin_client, "?answer=no") == ["#1"]
    assert found(admin_client, "?answer=unchecked") == ["#3"]
    assert "not checked" in admin_client.get(LIST).content.decode()
    listed = admin_client.get(LIST).content.decode()
    assert listed.count("This answer looks like a refusal") == 2  # as a title, and to be heard
    assert "Looks like a refusal" in admin_client.get(refused.get_absolute_url()).content.decode()

"""What a merchant does with an affiliate's callbacks: set up, correct, pause, resume, remove; by script and without."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.editor import check, repair
from callbacks.models import Attempt, CallbackSetting, Delivery, EventType, history
from callbacks.postback import signing
from callbacks.setup import changes
from callbacks.setup.bulk import replace_host
from tests.callbacks.panel import BY_SCRIPT, URL, of, settings_of
from tests.factories import CallbackSettingFactory, OrderFactory, client_with

pytestmark = pytest.mark.django_db


def row_of(client: Client, affiliate: Affiliate, event: str = "created") -> str:
    """The row of one callback in the Settings tab, without what is between tags."""
    text = client.get(settings_of(affiliate)).content.decode()
    start = text.index(f'id="order-{event}"')
    return " ".join(text[start : text.find('class="row callback"', start)].split())


# --- setting up ----------------------------------------------------------------
@pytest.mark.parametrize("event", ["created", "updated"])
def test_setup_page_has_its_title_fields_and_variables(admin_client: Client, joe: Affiliate, event: str) -> None:
    page = admin_client.get(of(joe, f"{event}/"))
    text = page.content.decode()
    assert f"Setup order {event} callback</h1>" in text
    for name in ("method", "url", "body_format"):
        assert f'name="{name}"' in text
    for expected in ("HTTP method", "link.query.NAME", "The affiliate&#x27;s referral code", "Submit"):
        assert expected in text
    assert 'name="send_as_typed"' not in text
    assert "Signing secret" not in text


def test_setup_saves_and_says_so(admin_client: Client, joe: Affiliate) -> None:
    answer = admin_client.post(of(joe), {"method": "GET", "url": URL}, follow=True)
    assert answer.redirect_chain == [(settings_of(joe) + "#order-created", 302)]
    setting = CallbackSetting.objects.get()
    assert (setting.affiliate, setting.event, setting.method, setting.url) == (joe, "order.created", "GET", URL)
    assert "Order created callback of Joe saved." in answer.content.decode()
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.is_addition()) == ("Order created callback of Joe", True)
    row = row_of(admin_client, joe)
    for expected in ("Nothing sent yet", "GET", '<span class="variable">{{link.sub_id}}</span>', "Edit", "Pause"):
        assert expected in row


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("blocked", "Not sent while the affiliate is blocked."),
        ("pending", "Not sent until the affiliate is approved."),
    ],
)
def test_callback_of_an_affiliate_who_gets_nothing_promises_nothing(
    admin_client: Client, joe: Affiliate, status: str, said: str
) -> None:
    CallbackSettingFactory(affiliate=joe)
    assert said not in row_of(admin_client, joe)
    assert "The next order will be sent within a second." in row_of(admin_client, joe)
    Affiliate.objects.update(status=status)
    for event in ("created", "updated"):  # set up, and not
        assert said in row_of(admin_client, joe, event)
        assert "will be sent" not in row_of(admin_client, joe, event)
    checked = admin_client.post(of(joe, "created/check/"), {"method": "GET", "url": URL}).content.decode()
    assert said in checked[checked.index("setup-preview") :]
    answer = admin_client.post(of(joe), {"method": "GET", "url": URL}, follow=True)
    assert f"saved. {said}" in answer.content.decode()


def test_heading_of_each_row_leads_to_its_form(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    for event, rest in (("created", f"created/{setting.pk}/"), ("updated", "updated/")):
        link = f'data-dialog href="{of(joe, rest)}">Order {event} callback</a>'
        assert link in row_of(admin_client, joe, event)
    watcher = client_with("view_affiliate")
    assert "data-dialog" not in row_of(watcher, joe)


def test_setup_again_changes_the_same_setting(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    page = admin_client.get(of(joe)).content.decode()
    assert signing.masked(setting.secret) in page
    assert setting.secret not in page
    admin_client.post(of(joe), {"method": "POST", "url": URL + "&x=1", "body_format": "json"})
    changed = CallbackSetting.objects.get()
    assert (changed.pk, changed.method, changed.body_format) == (setting.pk, "POST", "json")
    assert (changed.url, changed.secret) == (URL + "&x=1", setting.secret)


def test_setup_of_damaged_paste_names_the_repairs(admin_client: Client, joe: Affiliate) -> None:
    typed = "https://tracker.example/postback?order={{order.number}}\n&amp;cid={{link.sub_id}}"
    text = admin_client.post(of(joe), {"method": "GET", "url": typed}, follow=True).content.decode()
    assert CallbackSetting.objects.get().url == URL
    assert "Line breaks and tabs were removed." in text
    assert "HTML codes such as &amp;amp; were decoded" in text


def test_setup_refused_keeps_the_text_and_says_why_beside_the_field(admin_client: Client, joe: Affiliate) -> None:
    typed = "https://tracker.example/?cid={{clickid}}"
    answer = admin_client.post(of(joe), {"method": "POST", "url": typed, "body_format": "json"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'data-code="unknown_variable"' in text
    assert "Did you mean {{link.sub_id}}?" in text
    assert f">\n{typed}</textarea>" in text
    assert 'aria-invalid="true"' in text
    assert 'aria-describedby="id_url_error"' in text
    assert 'id="id_url_error"' in text
    assert answer.context["form"]["method"].value() == "POST"
    assert not CallbackSetting.objects.exists()


def test_setup_of_foreign_placeholder_offers_both_ways_out(admin_client: Client, joe: Affiliate) -> None:
    typed = {"method": "GET", "url": "https://tracker.example/?cid={sub1}"}
    text = admin_client.post(of(joe), typed).content.decode()
    assert 'data-code="foreign_placeholder"' in text
    assert 'name="send_as_typed"' in text
    corrected = admin_client.post(of(joe), typed | {"correct": "1"})
    assert "https://tracker.example/?cid={{link.sub_id}}</textarea>" in corrected.content.decode()
    assert not CallbackSetting.objects.exists()
    assert admin_client.post(of(joe), typed | {"send_as_typed": "on"}).status_code == 302
    assert CallbackSetting.objects.get().url == typed["url"]


def test_setup_asked_by_script_gives_the_form_alone_and_json(admin_client: Client, joe: Affiliate) -> None:
    form = admin_client.get(of(joe), headers=BY_SCRIPT).content.decode().strip()
    assert form.startswith("<form")
    assert form.endswith("</form>")
    assert "Setup order created callback</h2>" in form
    refused = admin_client.post(of(joe), {"method": "GET", "url": ""}, headers=BY_SCRIPT)
    assert refused.status_code == 422
    assert 'data-code="required"' in refused.content.decode()
    saved = admin_client.post(of(joe), {"method": "GET", "url": URL}, headers=BY_SCRIPT)
    assert saved.json() == {"location": settings_of(joe) + "#order-created"}
    assert "saved." in admin_client.get(settings_of(joe)).content.decode()


def test_setup_of_paused_setting_leaves_it_paused(admin_client: Client, joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL, is_active=False, pause_reason="person")
    answer = admin_client.post(of(joe), {"method": "GET", "url": URL + "&x=1"}, follow=True)
    assert "It is still paused." in answer.content.decode()
    assert not CallbackSetting.objects.get().is_active


@pytest.mark.parametrize(("url", "is_active"), [(URL + "&x=1", True), (URL, False)])
def test_setup_of_gone_address_is_on_again_only_with_another(
    admin_client: Client, joe: Affiliate, url: str, is_active: bool
) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL, is_active=False, pause_reason="gone")
    assert "answered 410 Gone" in row_of(admin_client, joe)
    admin_client.post(of(joe), {"method": "GET", "url": url})
    setting = CallbackSetting.objects.get()
    assert (setting.is_active, setting.pause_reason) == (is_active, "" if is_active else "gone")


# --- who may -------------------------------------------------------------------
SAVED = ["pause/", "resume/", "secret/", "remove/"]  # what is done to a saved callback


@pytest.mark.parametrize("rest", ["", "check/", "test/", "another/", "1/", *(f"1/{rest}" for rest in SAVED)])
def test_callback_of_nobody_is_not_found(admin_client: Client, rest: str) -> None:
    assert admin_client.post(f"/admin/affiliates/affiliate/999999/settings/callbacks/created/{rest}").status_code == 404


@pytest.mark.parametrize("name", ["pause", "resume", "rotate", "remove", "backfill"])
def test_saved_callback_has_no_page_without_its_id(name: str) -> None:
    assert reverse(f"callbacks:{name}", args=[1, EventType.CREATED, 2])
    with pytest.raises(NoReverseMatch):
        reverse(f"callbacks:{name}", args=[1, EventType.CREATED])


@pytest.mark.parametrize("rest", ["pause/", "resume/"])
def test_callback_switch_takes_post_only(admin_client: Client, joe: Affiliate, rest: str) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    assert admin_client.get(of(joe, f"created/{setting.pk}/{rest}")).status_code == 405


@pytest.mark.parametrize("rest", ["", *SAVED])
@pytest.mark.parametrize("permissions", [[], ["add_callbacksetting", "view_callbacksetting"]])
def test_callback_needs_the_permission(client: Client, joe: Affiliate, rest: str, permissions: list[str]) -> None:
    setting, staff = CallbackSettingFactory(affiliate=joe), client_with(*permissions)
    for path in {of(joe, f"created/{setting.pk}/{rest}"), *([] if rest else [of(joe)])}:
        assert client.post(path).headers["Location"].startswith("/admin/login/")
        assert staff.post(path, {"method": "POST", "url": URL + "&x=1"}).status_code == 403
    setting.refresh_from_db()
    assert (setting.method, setting.is_active) == ("GET", True)


@pytest.mark.parametrize("rest", ["", *SAVED])
def test_callback_post_without_token_is_refused(admin_user: User, joe: Affiliate, rest: str) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    path = of(joe, f"created/{setting.pk}/{rest}")
    assert client.post(path, {"method": "POST", "url": URL}).status_code == 403
    assert CallbackSetting.objects.get().method == setting.method


# --- pausing, resuming, removing -------------------------------------------------
def test_callback_paused_and_resumed_says_so(admin_client: Client, joe: Affiliate) -> None:
    page = of(joe, f"created/{CallbackSettingFactory(affiliate=joe).pk}/")
    paused = admin_client.post(f"{page}pause/", follow=True)
    assert "Order created callback of Joe paused." in paused.content.decode()
    assert CallbackSetting.objects.get().pause_reason == "person"
    assert "Paused" in row_of(admin_client, joe)
    OrderFactory(affiliate=joe)
    assert Delivery.objects.get().skip_reason == "paused"
    resumed = admin_client.post(f"{page}resume/", follow=True)
    assert "Order created callback of Joe resumed." in resumed.content.decode()
    setting = CallbackSetting.objects.get()
    assert (setting.is_active, setting.pause_reason) == (True, "")


@pytest.mark.parametrize("rest", ["pause/", "resume/"])
def test_callback_paused_or_resumed_in_two_tabs_has_changed_once(
    admin_client: Client, joe: Affiliate, rest: str
) -> None:
    page = of(joe, f"created/{CallbackSettingFactory(affiliate=joe, is_active=rest == 'pause/').pk}/")
    for _tab in range(2):
        assert admin_client.post(f"{page}{rest}").status_code == 302
    assert (LogEntry.objects.count(), joe.setting_changes.count()) == (1, 1)


def test_callback_removed_asks_first_and_keeps_the_log(admin_client: Client, joe: Affiliate) -> None:
    page = of(joe, f"created/{CallbackSettingFactory(affiliate=joe).pk}/remove/")
    OrderFactory(affiliate=joe)
    question = admin_client.get(page).content.decode()
    assert "Remove order created callback?" in question
    assert "1 pending delivery will not be sent." in question
    assert CallbackSetting.objects.exists()
    answer = admin_client.post(page, follow=True)
    assert "Order created callback of Joe removed." in answer.content.decode()
    assert not CallbackSetting.objects.exists()
    assert Delivery.objects.get().setting is None
    assert "Set up" in row_of(admin_client, joe)


# --- the row ---------------------------------------------------------------------
def sent(setting: CallbackSetting, code: int | None, kind: str = "", detail: str = "", **fields: Any) -> Delivery:
    order = OrderFactory(affiliate=setting.affiliate, number="#77")
    now = timezone.now()
    delivery = Delivery.objects.get(order=order)
    waiting = {"status": "succeeded", "next_attempt_at": None} | fields
    Delivery.objects.filter(pk=delivery.pk).update(
        last_attempt_at=now, last_status_code=code, last_error_kind=kind, attempt_count=1, **waiting
    )
    Attempt.objects.create(
        delivery=delivery, trigger="initial", method="GET", url=URL, status_code=code, error_kind=kind, detail=detail,
        total_ms=142.3, created_at=now,
    )  # fmt: skip
    return delivery


def test_row_of_working_callback_says_when_and_how_it_was_sent(admin_client: Client, joe: Affiliate) -> None:
    delivery = sent(CallbackSettingFactory(affiliate=joe, url=URL), 200)
    row = row_of(admin_client, joe)
    address = f"/admin/callbacks/delivery/{delivery.pk}/change/"
    for expected in ("Working", "Last sent", "#77", address, "200", "142 ms"):
        assert expected in row
    assert "Not set" in row_of(admin_client, joe, "updated")


def test_row_of_failing_callback_says_why_and_when_again(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    later = timezone.now() + timedelta(minutes=5)
    sent(setting, None, "dns", "The name tracker.example could not be found.", status="pending", next_attempt_at=later)
    row = row_of(admin_client, joe)
    for expected in ("Failing", "no answer", "The name tracker.example could not be found.", "Next attempt:"):
        assert expected in row
    Delivery.objects.update(next_attempt_at=timezone.now())
    assert "The next attempt is due now." in row_of(admin_client, joe)


def test_row_names_what_speaks_against_the_saved_url(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url="http://tracker.example/?order={{order.number}}")
    row = row_of(admin_client, joe)
    assert 'data-code="plain_http"' in row
    assert 'data-code="no_click_id"' in row
    CallbackSetting.objects.filter(pk=setting.pk).update(url="https://127.0.0.1/?order={{order.number}}")
    assert "note is-bad" in row_of(admin_client, joe)


# --- the lock ------------------------------------------------------------------
@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each text that was looked through: whether a transaction was open meanwhile, on SQLite everybody's lock."""
    held: list[bool] = []

    def repaired(text: str) -> Any:
        held.append(connection.in_atomic_block)
        return repair_text(text)

    repair_text = repair.repair
    monkeypatch.setattr(repair, "repair", repaired)
    check._check.cache_clear()
    return held


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", [URL, "https://t.example/?cid=REPLACE" + "A" * 40 + "!"])
def test_form_is_checked_before_anything_is_locked(
    admin_client: Client, joe: Affiliate, locks: list[bool], url: str
) -> None:
    admin_client.post(of(joe), {"method": "GET", "url": url})
    assert locks
    assert not any(locks)


@pytest.mark.django_db(transaction=True)
def test_many_urls_are_checked_before_anything_is_locked(admin_client: Client, locks: list[bool]) -> None:
    for _ in range(3):
        CallbackSettingFactory(url="https://old.example/?cid={{link.sub_id}}")
    before = CallbackSetting.objects.get(pk=CallbackSetting.objects.order_by("pk").values("pk")[:1])
    seen = {s.pk: changes.fingerprint(history.values_of(s)) for s in CallbackSetting.objects.all()}
    actor = User.objects.get(username="admin")
    assert replace_host.apply("old.example", "new.example", actor, seen).count == 3
    form = {"method": "GET", "url": URL, "event": "order.created", "existing": "change", "name": "Other"}
    choice = admin_client.post("/admin/affiliates/affiliate/same-callback/", {"group": "all"}).headers["Location"]
    assert admin_client.post(f"{choice}apply/", form).status_code == 302
    assert CallbackSetting.objects.filter(affiliate=before.affiliate).count() == 2
    assert locks
    assert not any(locks)

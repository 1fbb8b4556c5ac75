"""The same callback for many affiliates: chosen, filled in, previewed, done."""

import html
import re
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, SettingChange
from callbacks.setup.bulk import choice, same_callback
from callbacks.setup.bulk.same_callback import Effect
from tests.callbacks.panel import BY_SCRIPT, URL, at_once
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory, client_with
from tests.queries import count_queries

pytestmark = pytest.mark.django_db

LIST = "/admin/affiliates/affiliate/"
CHOOSE = "/admin/affiliates/affiliate/same-callback/"
OLD = "https://old.example/x?cid={{link.sub_id}}"


def chosen_by(client: Client, *affiliates: Affiliate, query: str = "", **more: str) -> str:
    """Choose in the list of affiliates; gives the page of the form."""
    data = {"action": "set_up_same", "_selected_action": [str(a.pk) for a in affiliates], "index": "0"} | more
    answer = client.post(LIST + query, data)
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


def typed(**more: Any) -> dict[str, Any]:
    return {
        "event": "order.created",
        "method": "GET",
        "url": URL,
        "body_format": "",
        "name": "",
        "existing": "change",
    } | more


def carried(page: Any) -> dict[str, list[str]]:
    """The fields that the preview carries on."""
    text = page.content.decode()
    fields: dict[str, list[str]] = {}
    for tag in re.findall(r'<input type="hidden"[^>]*>', text[text.rindex("<form") :]):
        (name,), value = re.findall(r'name="(\w+)"', tag), re.findall(r'value="([^"]*)"', tag)
        fields.setdefault(name, []).extend(map(html.unescape, value or [""]))
    return fields


def text_of(page: Any) -> str:
    """What is to be read on a page."""
    text = re.sub(r"<[^>]+>", " ", page.content.decode())
    return re.sub(r"\s+([.,:])", r"\1", " ".join(html.unescape(text).split()))


def previewed(client: Client, place: str, **more: Any) -> Any:
    page = client.post(place, typed(**more))
    assert page.status_code == 200, text_of(page)
    return page


def applied(client: Client, place: str, page: Any) -> str:
    """Press the button of the preview; what the next page says."""
    return text_of(client.post(f"{place}apply/", carried(page), follow=True))


def done(client: Client, *affiliates: Affiliate, **more: Any) -> str:
    place = chosen_by(client, *affiliates)
    return applied(client, place, previewed(client, place, **more))


def urls_of(affiliate: Affiliate, event: str = "order.created") -> dict[str, str]:
    return dict(affiliate.callback_settings.filter(event=event).order_by("pk").values_list("name", "url"))


# --- choosing --------------------------------------------------------------------
def test_choice_from_the_list_names_the_first_and_counts_the_others(admin_client: Client) -> None:
    affiliates = [AffiliateFactory(name=f"Joe {n}") for n in range(7)]
    AffiliateFactory(name="Somebody else")
    page = text_of(admin_client.get(chosen_by(admin_client, *affiliates)))
    assert "7 affiliates: Joe 0, Joe 1, Joe 2, Joe 3, Joe 4 and 2 more" in page
    assert "Somebody else" not in page


def test_choice_of_all_that_match_is_what_the_search_lets_through(admin_client: Client) -> None:
    found = [AffiliateFactory(name=f"Coffee {n:02}") for n in range(60)]
    AffiliateFactory(name="Tea")
    place = chosen_by(admin_client, found[0], query="?q=coffee", select_across="1")
    assert "60 affiliates: Coffee 00, Coffee 01" in text_of(admin_client.get(place))
    AffiliateFactory(name="Coffee late")
    assert "60 affiliates" in text_of(admin_client.get(place))


def test_choice_of_a_group_needs_no_list(admin_client: Client) -> None:
    joe = AffiliateFactory(name="Joe")
    CallbackSettingFactory(affiliate=joe)
    CallbackSettingFactory(affiliate=joe, name="Another")
    AffiliateFactory(name="Ann", status="pending")
    AffiliateFactory(name="Bob")
    page = admin_client.get(CHOOSE)
    assert [(group.key, group.count) for group in page.context["groups"]] == [
        ("all", 3),
        ("approved", 2),
        ("no-created", 2),
        ("no-updated", 3),
    ]
    page = admin_client.post(CHOOSE, {"group": "no-created"}, follow=True)
    assert "2 affiliates: Ann and Bob" in text_of(page)
    assert admin_client.post(CHOOSE, {"group": "nonsense"}).status_code == 422
    Affiliate.objects.update(status="blocked")
    assert admin_client.post(CHOOSE, {"group": "approved"}).status_code == 422


def test_choice_without_any_affiliate_leads_to_adding_one(admin_client: Client) -> None:
    assert "No affiliates yet" in text_of(admin_client.get(CHOOSE))


def test_choice_that_is_forgotten_keeps_what_was_typed(admin_client: Client) -> None:
    AffiliateFactory.create_batch(2)
    page = admin_client.post(f"{CHOOSE}gone/", typed(name="Voluum", only_statuses=["new", "approved"]))
    assert page.status_code == 409
    assert "Your selection has expired" in text_of(page)
    page = admin_client.post(CHOOSE, carried(page) | {"group": "all"})
    form = page.context["form"]
    assert [form[name].value() for name in ("url", "name", "only_statuses")] == [URL, "Voluum", ["new", "approved"]]
    assert "2 affiliates" in text_of(page)
    assert not CallbackSetting.objects.exists()
    for place in ("gone/check/", "gone/apply/"):
        assert admin_client.post(CHOOSE + place, typed()).status_code == 409


def test_choices_of_two_windows_are_kept_apart_and_old_ones_forgotten(admin_client: Client) -> None:
    affiliates = [AffiliateFactory(name=f"Joe {n}") for n in range(choice.KEPT + 1)]
    places = [chosen_by(admin_client, affiliate) for affiliate in affiliates]
    assert "Your selection has expired" in text_of(admin_client.get(places[0]))
    for place, affiliate in zip(places[1:], affiliates[1:], strict=True):
        assert f"1 affiliate: {affiliate.name} Change selection" in text_of(admin_client.get(place))


@pytest.mark.parametrize(
    ("ids", "text"),
    [([], ""), ([5], "5"), ([3, 1, 2, 2], "1-3"), ([1, 3, 4, 9, 10, 11], "1,3-4,9-11"), (range(1, 5001), "1-5000")],
)
def test_ids_are_written_as_ranges_and_read_again(ids: Any, text: str) -> None:
    assert choice.to_text(ids) == text
    assert list(choice.from_text(text)) == sorted(set(ids))


# --- filling in ------------------------------------------------------------------
def test_refused_form_keeps_everything_that_was_typed(admin_client: Client) -> None:
    place = chosen_by(admin_client, *AffiliateFactory.create_batch(2))
    data = typed(
        event="order.updated",
        method="POST",
        body_format="json",
        url="https://t.example/?cid={clickid}",
        name="Mine",
        existing="keep",
        only_statuses=["approved"],
    )
    page = admin_client.post(place, data)
    assert page.status_code == 422
    form = page.context["form"]
    assert {name: form[name].value() for name in data} == data
    assert [error.code for error in form.errors.as_data()["url"]] == ["foreign_placeholder"]
    assert "Error:" in page.content.decode()
    page = admin_client.post(place, data | {"correct": "1"})
    form = page.context["form"]
    assert form["url"].value() == "https://t.example/?cid={{link.sub_id}}"
    assert {name: form[name].value() for name in data if name != "url"} == {n: data[n] for n in data if n != "url"}
    assert not CallbackSetting.objects.exists()


@pytest.mark.parametrize("field", ["event", "existing", "method"])
def test_choice_that_the_form_does_not_offer_is_refused(admin_client: Client, field: str) -> None:
    place = chosen_by(admin_client, AffiliateFactory())
    page = admin_client.post(place, typed(**{field: "nonsense"}))
    assert page.status_code == 422
    assert [error.code for error in page.context["form"].errors.as_data()[field]] == ["invalid_choice"]


def test_live_check_shows_the_order_of_the_affiliate_who_was_chosen_for_it(admin_client: Client) -> None:
    ann, joe = (AffiliateFactory(name=name, code=name.lower()) for name in ("Ann", "Joe"))
    OrderFactory(affiliate=ann)
    link = LinkFactory(affiliate=joe, url="https://shop.example/?ref=joe&sub_id=click%267")
    order = OrderFactory(affiliate=joe, link=link)
    place = chosen_by(admin_client, ann, joe)
    url = "https://t.example/?cid={{link.sub_id}}&who={{affiliate.code}}"
    text = text_of(admin_client.post(f"{place}check/", typed(url=url, preview_order=str(order.pk))))
    assert "https://t.example/?cid=click%267&who=joe" in text
    text = text_of(admin_client.post(f"{place}check/", typed(url=url)))
    assert "https://t.example/?cid=&who=ann" in text
    assert not CallbackSetting.objects.exists()


def test_body_of_a_repaired_url_is_saved_as_repaired(admin_client: Client) -> None:
    joe = AffiliateFactory()
    place = chosen_by(admin_client, joe)
    page = previewed(admin_client, place, url=' "https://t.example/?a={{order.number}}&amp;b={{link.sub_id}}"\n')
    assert "HTML codes such as &amp; were decoded" in text_of(page)
    applied(admin_client, place, page)
    assert urls_of(joe) == {"Callback": "https://t.example/?a={{order.number}}&b={{link.sub_id}}"}


# --- previewing ------------------------------------------------------------------
def test_preview_shows_three_requests_each_with_its_own_order(admin_client: Client) -> None:
    affiliates = [AffiliateFactory(name=f"Joe {n}", code=f"joe{n}") for n in range(6)]
    for n in (1, 3, 5):
        OrderFactory(affiliate=affiliates[n], number=f"#older{n}")
        link = LinkFactory(affiliate=affiliates[n], url=f"https://shop.example/?ref=joe{n}&sub_id=c{n}")
        OrderFactory(affiliate=affiliates[n], link=link, number=f"#newest{n}")
    place = chosen_by(admin_client, *affiliates)
    page = previewed(admin_client, place, method="POST", body_format="form")
    shown = page.context["previews"]
    assert [preview.request.url for _, preview in shown] == [
        f"https://tracker.example/postback?order=%23newest{n}&cid=c{n}" for n in (1, 3, 5)
    ]
    assert [preview.body for _, preview in shown] == [f"order=%23newest{n}&cid=c{n}" for n in (1, 3, 5)]
    assert "Preview for 3 of 6" in text_of(page)
    assert not CallbackSetting.objects.exists()


def test_preview_says_what_becomes_of_everybody(admin_client: Client) -> None:
    new, blocked = AffiliateFactory(name="New"), AffiliateFactory(name="Bad", status="blocked")
    two = [AffiliateFactory(name=f"Old {n}") for n in range(2)]
    for affiliate in two:
        CallbackSettingFactory(affiliate=affiliate, url=OLD)
    same, full = AffiliateFactory(name="Same"), AffiliateFactory(name="Full")
    CallbackSettingFactory(affiliate=same, url=URL)
    for n in range(5):
        CallbackSettingFactory(affiliate=full, name=f"Own {n}")
    page = previewed(admin_client, chosen_by(admin_client, new, blocked, *two, same, full))
    text = text_of(page)
    for expected in (
        "2 · new callback",
        "2 · changed",
        f"URL was {OLD} is now {URL} 2: Old 0, Old 1",
        "1 · already the same",
        "1 · not possible: five callbacks for this event already",
        "1 of these affiliates is blocked or not approved.",
        "Each new callback gets its own signing secret",
        "Set up 2 callbacks and change 2",
    ):
        assert expected in text


def test_preview_of_nothing_to_do_has_no_button(admin_client: Client) -> None:
    joe = AffiliateFactory()
    CallbackSettingFactory(affiliate=joe, url=URL)
    text = text_of(previewed(admin_client, chosen_by(admin_client, joe)))
    assert "1 · already the same" in text
    assert not any(word in text for word in ("Set up for", "Change 1", "signing secret"))


def test_only_changes_are_called_so_and_end_at_the_list_without_a_word_of_secrets(admin_client: Client) -> None:
    joe = AffiliateFactory()
    CallbackSettingFactory(affiliate=joe, url=OLD)
    place = chosen_by(admin_client, joe)
    page = previewed(admin_client, place)
    assert "Change 1 callback" in text_of(page)
    assert "Each new callback" not in text_of(page)
    answer = admin_client.post(f"{place}apply/", carried(page), follow=True)
    assert answer.redirect_chain[-1][0] == LIST
    assert "changed for 1 affiliate." in text_of(answer)


def test_back_from_the_preview_has_all_that_was_typed(admin_client: Client) -> None:
    place = chosen_by(admin_client, *AffiliateFactory.create_batch(2))
    data = typed(name="Mine", existing="absent", method="POST", body_format="json", only_statuses=["new", "rejected"])
    page = admin_client.post(f"{place}apply/", carried(previewed(admin_client, place, **data)) | {"back": "1"})
    assert page.status_code == 200
    assert {name: page.context["form"][name].value() for name in data} == data
    assert not CallbackSetting.objects.exists()


# --- doing it --------------------------------------------------------------------
def test_same_callback_is_set_up_for_those_who_were_chosen(admin_client: Client) -> None:
    chosen, other = AffiliateFactory.create_batch(3), AffiliateFactory()
    text = done(admin_client, *chosen, name="Voluum", only_statuses=["approved"], method="POST", body_format="json")
    settings = list(CallbackSetting.objects.order_by("affiliate"))
    assert [setting.affiliate for setting in settings] == chosen
    for setting in settings:
        assert (setting.event, setting.name, setting.url) == ("order.created", "Voluum", URL)
        assert (setting.method, setting.body_format, setting.only_statuses) == ("POST", "json", ["approved"])
        assert (setting.host, setting.is_active, setting.send_as_typed) == ("tracker.example", True, False)
    assert len({setting.secret for setting in settings}) == 3
    assert not other.callback_settings.exists()
    changes = SettingChange.objects.order_by("setting")
    assert [(c.setting, c.action, c.user_name) for c in changes] == [(s, "created", "admin") for s in settings]
    log = LogEntry.objects.filter(action_flag=1).order_by("object_repr")
    assert {entry.object_repr for entry in log} == {str(setting) for setting in settings}
    assert "Order created callback “Voluum”: set up for 3 affiliates. View the callback of" in text


def test_callback_of_the_same_name_is_changed_and_others_stay(admin_client: Client) -> None:
    joe = AffiliateFactory()
    mine = CallbackSettingFactory(affiliate=joe, name="voluum", url=OLD)
    CallbackSettingFactory(affiliate=joe, name="Keitaro", url=OLD)
    CallbackSettingFactory(affiliate=joe, name="voluum", url=OLD, event="order.updated")
    text = done(admin_client, joe, name="Voluum")
    assert urls_of(joe) == {"Voluum": URL, "Keitaro": OLD}
    assert urls_of(joe, "order.updated") == {"voluum": OLD}
    assert CallbackSetting.objects.get(name="Voluum").secret == mine.secret
    (change,) = SettingChange.objects.all()
    assert (change.action, [c["field"] for c in change.changes]) == ("changed", ["name", "url"])
    assert "changed for 1 affiliate." in text


def test_callback_that_gets_another_name_alone_sends_what_it_sent(admin_client: Client) -> None:
    moved = CallbackSettingFactory(name="voluum", url=OLD)
    renamed = CallbackSettingFactory(name="voluum", url=URL)
    done(admin_client, moved.affiliate, renamed.affiliate, name="Voluum")
    since = dict(CallbackSetting.objects.filter(name="Voluum").values_list("pk", "request_changed_at"))
    assert (since[moved.pk] is None, since[renamed.pk]) == (False, None)


@pytest.mark.parametrize(
    ("existing", "named_so", "named_otherwise"),
    [
        ("change", {"Voluum": URL}, {"Keitaro": OLD, "Voluum": URL}),
        ("keep", {"Voluum": OLD}, {"Keitaro": OLD, "Voluum": URL}),
        ("absent", {"Voluum": OLD}, {"Keitaro": OLD}),
    ],
)
def test_rule_decides_about_affiliates_who_have_a_callback(
    admin_client: Client, existing: str, named_so: dict[str, str], named_otherwise: dict[str, str]
) -> None:
    without, has, has_another, other_event = AffiliateFactory.create_batch(4)
    CallbackSettingFactory(affiliate=has, name="Voluum", url=OLD)
    CallbackSettingFactory(affiliate=has_another, name="Keitaro", url=OLD)
    CallbackSettingFactory(affiliate=other_event, url=OLD, event="order.updated")
    for _ in range(2):  # a second time it changes nothing more
        done(admin_client, without, has, has_another, other_event, name="Voluum", existing=existing)
        assert urls_of(without) == urls_of(other_event) == {"Voluum": URL}
        assert urls_of(has) == named_so
        assert urls_of(has_another) == named_otherwise


def test_submitting_the_preview_twice_changes_nothing_the_second_time(admin_client: Client) -> None:
    affiliates = AffiliateFactory.create_batch(3)
    CallbackSettingFactory(affiliate=affiliates[0], url=OLD)
    place = chosen_by(admin_client, *affiliates)
    page = previewed(admin_client, place)
    applied(admin_client, place, page)
    before = list(CallbackSetting.objects.order_by("pk").values())
    assert "Nothing was changed: 3 affiliates already have this callback" in applied(admin_client, place, page)
    assert list(CallbackSetting.objects.order_by("pk").values()) == before
    assert SettingChange.objects.count() == 3


def test_affiliate_with_five_is_left_out_and_named(admin_client: Client) -> None:
    full, free = AffiliateFactory(name="Full Fred"), AffiliateFactory()
    for n in range(5):
        CallbackSettingFactory(affiliate=full, name=f"Own {n}", url=OLD)
    text = done(admin_client, full, free, name="Sixth")
    assert "set up for 1 affiliate." in text
    assert "Not changed: Full Fred. There are already 5 callbacks for this event" in text
    assert full.callback_settings.count() == 5
    done(admin_client, full, name="own 3")
    assert urls_of(full)["own 3"] == URL


def test_callback_that_somebody_changed_after_the_preview_is_left_out_and_named(admin_client: Client) -> None:
    edited, added, other = (AffiliateFactory(name=name) for name in ("Edited Ed", "Added Ada", "Other"))
    for affiliate in (edited, other):
        CallbackSettingFactory(affiliate=affiliate, url=OLD)
    place = chosen_by(admin_client, edited, added, other)
    page = previewed(admin_client, place)
    edited.callback_settings.update(url="https://third.example/")
    CallbackSettingFactory(affiliate=added, url="https://fourth.example/")
    text = applied(admin_client, place, page)
    assert "Not changed: Edited Ed, Added Ada. The callback changed after the preview." in text
    assert [urls_of(a)["Callback"] for a in (edited, added, other)] == [
        "https://third.example/",
        "https://fourth.example/",
        URL,
    ]


def test_callback_paused_because_its_address_was_gone_is_on_again_and_one_paused_by_hand_is_not(
    admin_client: Client,
) -> None:
    gone, person = (
        CallbackSettingFactory(url=OLD, is_active=False, pause_reason=reason) for reason in ("gone", "person")
    )
    done(admin_client, gone.affiliate, person.affiliate)
    gone.refresh_from_db()
    person.refresh_from_db()
    assert (gone.url, gone.is_active, gone.pause_reason) == (URL, True, "")
    assert (person.url, person.is_active, person.pause_reason) == (URL, False, "person")


def test_affiliate_deleted_meanwhile_is_passed_over(admin_client: Client) -> None:
    gone, stays = AffiliateFactory.create_batch(2)
    place = chosen_by(admin_client, gone, stays)
    page = previewed(admin_client, place)
    gone.delete()
    assert "set up for 1 affiliate." in applied(admin_client, place, page)


def test_each_setting_is_refused_by_the_model_if_it_does_not_fit(joe: Affiliate) -> None:
    pattern = CallbackSetting(event="order.created", url="https://127.0.0.1/", name="Callback")
    user = User.objects.create_user("somebody")
    result = same_callback.apply([joe.pk], pattern, "change", user, seen={}, named=5)
    assert [one.effect for one in result.first(*Effect)] == [Effect.REFUSED]
    assert "loopback" in result.first(Effect.REFUSED)[0].problem
    assert not CallbackSetting.objects.exists()


# --- who may ---------------------------------------------------------------------
@pytest.mark.parametrize("missing", ["add_callbacksetting", "change_callbacksetting"])
def test_somebody_who_may_not_both_add_and_change_callbacks_sees_none_of_it(missing: str) -> None:
    joe = AffiliateFactory()
    allowed = {"view_affiliate", "view_delivery", "add_callbacksetting", "change_callbacksetting"} - {missing}
    client = client_with(*allowed)
    text = client.get(LIST).content.decode()
    assert "same-callback" not in text
    assert "set_up_same" not in text
    assert "Replace a host" not in text
    client.post(LIST, {"action": "set_up_same", "_selected_action": [str(joe.pk)]})
    assert choice.CHOSEN not in client.session
    for place in (CHOOSE, f"{CHOOSE}any/", "/admin/callbacks/hosts/"):
        assert client.get(place).status_code == 403
        assert client.post(place, typed()).status_code == 403
    for place in (f"{CHOOSE}any/check/", f"{CHOOSE}any/apply/"):
        assert client.post(place, typed()).status_code == 403
    client = client_with(*allowed, missing)
    text = client.get(LIST).content.decode()
    assert all(part in text for part in ("same-callback", "set_up_same", "Replace a host"))
    assert client.get(chosen_by(client, joe)).status_code == 200


def test_somebody_who_may_not_see_orders_sees_example_values() -> None:
    joe = OrderFactory(number="#SECRET").affiliate
    client = client_with("view_affiliate", "add_callbacksetting", "change_callbacksetting")
    place = chosen_by(client, joe)
    for page in (client.get(place), client.post(f"{place}check/", typed()), previewed(client, place)):
        assert "SECRET" not in page.content.decode()


def test_visitor_is_asked_to_sign_in(client: Client) -> None:
    for place in (CHOOSE, "/admin/callbacks/hosts/"):
        assert client.get(place)["Location"].startswith("/admin/login/")


# --- how much it asks ------------------------------------------------------------
@pytest.fixture
def thirty() -> list[Affiliate]:
    affiliates = [AffiliateFactory() for _ in range(30)]
    for affiliate in affiliates:
        OrderFactory(affiliate=affiliate, link=LinkFactory(affiliate=affiliate))
        CallbackSettingFactory(affiliate=affiliate, url=OLD)
    return affiliates


def queries_of(client: Client, affiliates: list[Affiliate]) -> list[int]:
    """How many queries each step makes for these affiliates."""
    place = chosen_by(client, *affiliates)
    steps = (
        lambda: chosen_by(client, *affiliates),
        lambda: client.get(place),
        lambda: client.post(f"{place}check/", typed()),
        lambda: client.post(place, typed()),
        lambda: client.post(f"{place}apply/", carried(client.post(place, typed()))),
    )
    return [count_queries(step) for step in steps]


def test_steps_for_thirty_ask_as_often_as_for_one(admin_client: Client, thirty: list[Affiliate]) -> None:
    queries_of(admin_client, thirty[:1])  # caches
    CallbackSetting.objects.update(url=OLD)
    of_one = queries_of(admin_client, thirty[:1])
    CallbackSetting.objects.update(url=OLD)
    assert queries_of(admin_client, thirty) == of_one
    assert not CallbackSetting.objects.filter(url=OLD).exists()


def test_more_affiliates_than_a_transaction_takes_are_all_done(admin_user: User, thirty: list[Affiliate]) -> None:
    thirty[3].callback_settings.all().delete()
    ids, pattern = [affiliate.pk for affiliate in thirty], CallbackSetting(event="order.created", url=URL)
    seen = same_callback.plan(ids, pattern, "change", named=5).fingerprints
    result = same_callback.apply(ids, pattern, "change", admin_user, seen=seen, named=5, chunk=7)
    assert (result.count(Effect.NEW), result.count(Effect.CHANGED)) == (1, 29)
    assert set(CallbackSetting.objects.values_list("url", flat=True)) == {URL}
    assert CallbackSetting.objects.count() == 30


@pytest.fixture
def twelve_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is up after twelve affiliates."""
    monkeypatch.setattr(same_callback, "apply", partial(same_callback.apply, chunk=12, time_s=0.0))


@pytest.mark.usefixtures("twelve_at_a_time")
def test_signing_secrets_of_new_callbacks_are_listed_once(admin_client: Client, thirty: list[Affiliate]) -> None:
    for number in (3, 20):  # done in different steps
        thirty[number].callback_settings.all().delete()
    place = chosen_by(admin_client, *thirty)
    page = previewed(admin_client, place)
    for _ in range(2):
        page = admin_client.post(f"{place}apply/", carried(page))
    assert "whsec_" not in text_of(page)
    text = applied(admin_client, place, page)
    secrets = {s.secret: s.affiliate_id for s in CallbackSetting.objects.all()}
    shown = [word for word in text.split() if word.startswith("whsec_")]
    by_name = sorted((thirty[3], thirty[20]), key=lambda affiliate: affiliate.name)
    assert [secrets[word] for word in shown] == [affiliate.pk for affiliate in by_name]
    assert thirty[3].name in text
    again = admin_client.get(f"{place}done/")
    assert "whsec_" not in text_of(again)
    assert "no-store" in again["Cache-Control"]
    assert "whsec_" not in text_of(admin_client.get(f"{LIST}{thirty[3].pk}/settings/")).replace("whsec_•", "")


def test_form_and_preview_may_be_gone_back_to_and_what_is_shown_once_may_not(admin_client: Client) -> None:
    affiliate = AffiliateFactory()
    place = chosen_by(admin_client, affiliate)
    page = previewed(admin_client, place)
    back = admin_client.post(f"{place}apply/", carried(page) | {"back": "1"})
    refused = admin_client.post(place, typed(url="nonsense"))
    of_one = f"{LIST}{affiliate.pk}/settings/callbacks/created/"
    for answer in (page, back, refused, admin_client.post(of_one, {"url": "nonsense"})):
        assert answer["Cache-Control"] == "private, no-cache"
    setting = CallbackSettingFactory(affiliate=affiliate)
    rotated = admin_client.post(f"{of_one}{setting.pk}/secret/", headers=BY_SCRIPT)
    assert "whsec_" in rotated.content.decode()
    assert "no-store" in rotated["Cache-Control"]


@pytest.mark.usefixtures("twelve_at_a_time")
def test_what_runs_out_of_time_goes_on_when_asked_again(admin_client: Client, thirty: list[Affiliate]) -> None:
    place = chosen_by(admin_client, *thirty)
    page = previewed(admin_client, place)
    for changed, rest in ((12, 18), (24, 6)):
        page = admin_client.post(f"{place}apply/", carried(page))
        assert f"{rest} affiliates are left" in text_of(page)
        assert CallbackSetting.objects.filter(url=URL).count() == changed
    assert "are left" not in applied(admin_client, place, page)
    assert CallbackSetting.objects.filter(url=URL).count() == SettingChange.objects.count() == 30


@pytest.mark.django_db(transaction=True)
def test_two_people_who_apply_at_once_make_one_callback_each_affiliate() -> None:
    affiliates = [affiliate.pk for affiliate in AffiliateFactory.create_batch(30)]
    user = User.objects.create_user("somebody")

    def apply() -> same_callback.Result:
        pattern = CallbackSetting(event="order.created", url=URL)
        return same_callback.apply(affiliates, pattern, "change", user, seen={}, named=5)

    results = at_once([apply, apply])
    assert sorted(result.count(Effect.NEW) for result in results) == [0, 30]
    assert sorted(result.count(Effect.SAME) for result in results) == [0, 30]
    assert CallbackSetting.objects.count() == SettingChange.objects.count() == 30


def test_preview_carries_the_fingerprints_of_what_it_shows_only(admin_client: Client) -> None:
    setting = CallbackSettingFactory(url=OLD)
    page = previewed(admin_client, chosen_by(admin_client, setting.affiliate))
    [seen] = carried(page)["seen"]
    assert seen.startswith(f"{setting.pk}:")

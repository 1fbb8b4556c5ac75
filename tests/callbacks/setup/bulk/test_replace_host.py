"""Another host in all callbacks that have one: previewed, done, and what is left as it is."""

import re
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from callbacks.models import CallbackSetting, SettingChange
from callbacks.setup.bulk import replace_host
from tests.factories import AffiliateFactory, CallbackSettingFactory
from tests.queries import count_queries

pytestmark = pytest.mark.django_db

PAGE = "/admin/callbacks/hosts/"
TEMPLATE = "https://{}/postback?back=https://old.example/&cid={{{{link.sub_id}}}}"


def url_at(host: str) -> str:
    return TEMPLATE.format(host)


def preview(client: Client, old: str = "old.example", new: str = "new.example", **more: str) -> Any:
    return client.get(PAGE, {"old": old, "new": new} | more)


def done(client: Client, page: Any) -> Any:
    text = page.content.decode()
    fields = dict(re.findall(r'<input type="hidden" name="(old|new|seen)" value="([^"]*)"', text))
    return client.post(PAGE, fields, follow=True)


def urls() -> set[str]:
    return set(CallbackSetting.objects.values_list("url", flat=True))


def test_replace_host_changes_the_host_and_nothing_else(admin_client: Client) -> None:
    settings = [CallbackSettingFactory(url=url_at("old.example")) for _ in range(3)]
    CallbackSettingFactory(url=url_at("other.example"))
    page = preview(admin_client)
    assert "3 callbacks of 3 affiliates would be changed" in page.content.decode()
    assert urls() == {url_at("old.example"), url_at("other.example")}
    text = done(admin_client, page).content.decode()
    assert "3 callbacks have the host new.example now, no longer old.example." in text
    assert urls() == {url_at("new.example"), url_at("other.example")}
    moved = {(s.host, s.request_changed_at is not None) for s in CallbackSetting.objects.all()}
    assert moved == {("new.example", True), ("other.example", False)}
    changes = SettingChange.objects.order_by("setting_id")
    assert [c.setting for c in changes] == settings
    assert {(c.action, c.user_name) for c in changes} == {("changed", "admin")}
    assert changes[0].changes == [{"field": "url", "old": url_at("old.example"), "new": url_at("new.example")}]
    assert LogEntry.objects.filter(action_flag=2).count() == 3


def test_callback_that_somebody_changed_after_the_preview_is_left_out_and_named(admin_client: Client) -> None:
    edited = CallbackSettingFactory(affiliate=AffiliateFactory(name="Edited Ed"), url=url_at("old.example"))
    gone = CallbackSettingFactory(affiliate=AffiliateFactory(name="Elsewhere Ella"), url=url_at("old.example"))
    CallbackSettingFactory(url=url_at("old.example"))
    page = preview(admin_client)
    CallbackSetting.objects.filter(pk=edited.pk).update(url=url_at("old.example") + "&more=1")
    CallbackSetting.objects.filter(pk=gone.pk).update(url=url_at("third.example"), host="third.example")
    text = done(admin_client, page).content.decode()
    assert "1 callback has the host new.example now" in text
    assert urls() == {url_at("new.example"), url_at("old.example") + "&more=1", url_at("third.example")}
    assert "Edited Ed" in text
    assert "Elsewhere Ella" in text
    assert "Somebody changed it after the preview was made." in text


def test_replacing_a_host_twice_changes_nothing_the_second_time(admin_client: Client) -> None:
    CallbackSettingFactory(url=url_at("old.example"))
    page = preview(admin_client)
    done(admin_client, page)
    text = done(admin_client, page).content.decode()
    assert "Nothing was changed: no callback has the host old.example now." in text
    assert SettingChange.objects.count() == 1


@pytest.mark.parametrize(
    ("new", "code"),
    [
        ("127.0.0.1", "blocked_address"),
        ("[::1]", "blocked_address"),
        ("new.example:22", "blocked_port"),
        ("new.example/path", "not_a_host"),
        ("{{order.number}}.example", "not_a_host"),
        ("joe@new.example", "credentials"),
        ("word", "bad_host"),
        ("", "required"),
        ("old.example", "same_host"),
    ],
)
def test_new_host_that_may_not_be_called_is_refused_beside_the_field(admin_client: Client, new: str, code: str) -> None:
    CallbackSettingFactory(url=url_at("old.example"))
    page = preview(admin_client, new=new)
    assert page.status_code == 422
    assert [error.code for error in page.context["form"].errors.as_data()["new"]] == [code]
    assert admin_client.post(PAGE, {"old": "old.example", "new": new}).status_code == 422
    assert urls() == {url_at("old.example")}


@pytest.mark.parametrize("by_itself", ["gone", "failing"])
def test_callback_that_is_paused_by_itself_is_on_again(admin_client: Client, by_itself: str) -> None:
    gone, person = (
        CallbackSettingFactory(url=url_at("old.example"), is_active=False, pause_reason=reason)
        for reason in (by_itself, "person")
    )
    page = preview(admin_client)
    assert "1 callback that is paused by itself will be on again." in page.content.decode()
    assert "1 paused one is on again." in done(admin_client, page).content.decode()
    gone.refresh_from_db()
    person.refresh_from_db()
    assert (gone.is_active, gone.pause_reason) == (True, "")
    assert (person.is_active, person.pause_reason, person.host) == (False, "person", "new.example")


# --- which callbacks ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "old", "expected"),
    [
        ("https://OLD.example/?a=1", "old.example", "https://new.example:8443/?a=1"),
        ("https://old.example:443/?a=1", "old.example", "https://new.example:8443/?a=1"),
        ("http://old.example:8080/{{link.path}}", "old.example:8080", "http://new.example:8443/{{link.path}}"),
        ("https://m\u00fcnchen.example/#x", "xn--mnchen-3ya.example", "https://new.example:8443/#x"),
        ("https://[2600:1F18::1]/x", "[2600:1f18:0::1]", "https://new.example:8443/x"),
        ("https://old.example", "https://old.example/", "https://new.example:8443"),
    ],
)
def test_host_is_found_however_it_is_written(admin_client: Client, url: str, old: str, expected: str) -> None:
    setting = CallbackSettingFactory(url=url)
    done(admin_client, preview(admin_client, old=old, new=" https://new.example:8443/ "))
    setting.refresh_from_db()
    assert (setting.url, setting.host) == (expected, "new.example:8443")


def test_new_host_may_be_an_international_name_or_an_address(admin_client: Client) -> None:
    setting = CallbackSettingFactory(url=url_at("old.example"))
    for old, new in (("old.example", "m\u00fcnchen.example"), ("xn--mnchen-3ya.example", "[2600:1f18::1]:8080")):
        done(admin_client, preview(admin_client, old=old, new=new))
        setting.refresh_from_db()
        assert (setting.url, setting.host) == (url_at(new), new)


def test_same_name_with_another_port_is_left_alone_and_pointed_out(admin_client: Client) -> None:
    CallbackSettingFactory(url=url_at("old.example"))
    other = CallbackSettingFactory(url=url_at("old.example:8443"))
    CallbackSettingFactory(url=url_at("very.old.example"))
    page = preview(admin_client)
    assert [(each.host, each.callbacks) for each in page.context["beside"]] == [("old.example:8443", 1)]
    done(admin_client, page)
    other.refresh_from_db()
    assert other.url == url_at("old.example:8443")


def test_callback_that_would_be_refused_is_left_out_with_the_reason(admin_client: Client) -> None:
    mine = AffiliateFactory(name="Mine")
    CallbackSettingFactory(affiliate=mine, url=url_at("old.example"))
    foreign = "https://old.example/?cid={clickid}"
    for name, url in (
        ("Foreign", foreign),
        ("Credentials", "https://joe:secret@old.example/"),
        ("Damaged", "https://old.example/?a=1&amp;b=2"),
        ("Long", "https://old.example/?" + "x" * 2027),
    ):
        CallbackSettingFactory(affiliate=AffiliateFactory(name=name), url=url)
    page = preview(admin_client, new="much-longer.example")
    refused = {move.setting.affiliate.name: move.problem for move in page.context["refused"]}
    assert "1 callback of 1 affiliate would be changed" in page.content.decode()
    assert "4 cannot be changed" in page.content.decode()
    assert "placeholder of another system" in refused["Foreign"]
    assert "user name or password" in refused["Credentials"]
    assert "what is repaired when it is saved" in refused["Damaged"]
    assert "the limit is 2,048" in refused["Long"]
    before = urls()
    text = done(admin_client, page).content.decode()
    assert urls() == before - {url_at("old.example")} | {url_at("much-longer.example")}
    assert all(name in text for name in refused)
    text = preview(admin_client, new="much-longer.example").content.decode()
    assert all(part in text for part in ("Nothing can be changed", "4 cannot be changed", refused["Foreign"]))
    CallbackSetting.objects.filter(url=foreign).update(send_as_typed=True)
    done(admin_client, preview(admin_client))
    assert "https://new.example/?cid={clickid}" in urls()


def test_host_that_no_callback_has_says_so(admin_client: Client) -> None:
    CallbackSettingFactory(url=url_at("old.example"))
    text = preview(admin_client, old="nobody.example").content.decode()
    assert "No callback has the host nobody.example" in text
    assert "Replace in" not in text


def test_hosts_in_use_are_listed_with_how_many_have_them(admin_client: Client) -> None:
    assert "No callbacks yet" in admin_client.get(PAGE).content.decode()
    joe = AffiliateFactory()
    for name in ("one", "two"):
        CallbackSettingFactory(affiliate=joe, name=name, url=url_at("many.example"))
    CallbackSettingFactory(url=url_at("few.example:8443"))
    page = admin_client.get(PAGE)
    assert [(each.host, each.callbacks, each.affiliates) for each in page.context["hosts"]] == [
        ("many.example", 2, 1),
        ("few.example:8443", 1, 1),
    ]
    page = admin_client.get(PAGE, {"old": "few.example:8443"})
    assert page.context["form"]["old"].value() == "few.example:8443"
    assert page.context["form"].errors == {}


# --- how much at once ----------------------------------------------------------------
def test_preview_is_cut_into_pages_and_each_replaces_all(admin_client: Client) -> None:
    for _ in range(30):
        CallbackSettingFactory(url=url_at("old.example"))
    page = preview(admin_client, page="2")
    assert len(page.context["page"]) == 5
    text = done(admin_client, page).content.decode()
    assert "30 callbacks have the host new.example now" in text
    assert urls() == {url_at("new.example")}


def test_replacing_in_thirty_asks_as_often_as_in_one(admin_client: Client) -> None:
    def asked(count: int) -> list[int]:
        CallbackSetting.objects.all().delete()
        for _ in range(count):
            CallbackSettingFactory(url=url_at("old.example"))
        page = preview(admin_client)
        steps = (lambda: admin_client.get(PAGE), lambda: preview(admin_client), lambda: done(admin_client, page))
        return [count_queries(step) for step in steps]

    asked(1)  # caches
    of_one = asked(1)
    assert asked(25) == of_one
    assert urls() == {url_at("new.example")}


def test_replacing_that_runs_out_of_time_goes_on_when_asked_again(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replace_host, "apply", partial(replace_host.apply, chunk=2, time_s=0.0))
    for _ in range(5):
        CallbackSettingFactory(url=url_at("old.example"))
    page = preview(admin_client)
    for changed, rest in ((2, "3 callbacks are still to come"), (4, "1 callback is still to come")):
        page = done(admin_client, page)
        assert rest in page.content.decode()
        assert CallbackSetting.objects.filter(host="new.example").count() == changed
    text = done(admin_client, page).content.decode()
    assert "still to come" not in text
    assert urls() == {url_at("new.example")}
    assert SettingChange.objects.count() == 5

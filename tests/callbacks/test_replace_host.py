"""Another host in all callbacks that have one: previewed, done, and what is left as it is."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from callbacks.models import CallbackSetting, SettingChange
from tests.factories import AffiliateFactory, CallbackSettingFactory

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
    assert {s.host for s in CallbackSetting.objects.all()} == {"new.example", "other.example"}
    changes = SettingChange.objects.order_by("setting")
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


def test_callback_paused_because_its_address_was_gone_is_on_again(admin_client: Client) -> None:
    gone, person = (
        CallbackSettingFactory(url=url_at("old.example"), is_active=False, pause_reason=reason)
        for reason in ("gone", "person")
    )
    page = preview(admin_client)
    assert "1 that was paused because the address was gone is on again." in page.content.decode()
    assert "1 paused one is on again." in done(admin_client, page).content.decode()
    gone.refresh_from_db()
    person.refresh_from_db()
    assert (gone.is_active, gone.pause_reason) == (True, "")
    assert (person.is_active, person.pause_reason, person.host) == (False, "person", "new.example")

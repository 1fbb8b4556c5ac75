"""The same callback for many affiliates: chosen, filled in, previewed, done."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, SettingChange
from tests.callbacks.panel import URL
from tests.factories import AffiliateFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/affiliates/affiliate/"
CHOOSE = "/admin/affiliates/affiliate/same-callback/"
OLD = "https://old.example/x?cid={{link.sub_id}}"


def chosen_by(client: Client, *affiliates: Affiliate, **more: str) -> str:
    """Choose in the list of affiliates; gives the page of the form."""
    data = {"action": "set_up_same", "_selected_action": [str(a.pk) for a in affiliates], "index": "0"} | more
    answer = client.post(LIST, data)
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


def hidden(page: str) -> dict[str, Any]:
    """The fields that the preview carries on."""
    form = page[page.rindex("<form") :]
    fields = re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")?', form)
    return {name: value.replace("&amp;", "&").replace("&quot;", '"') for name, value in fields}


def done(client: Client, place: str, **more: Any) -> Any:
    """Fill in, preview, apply."""
    page = client.post(place, typed(**more))
    assert page.status_code == 200, page.content.decode()
    return client.post(f"{place}apply/", hidden(page.content.decode()), follow=True)


def test_same_callback_is_set_up_for_those_who_were_ticked(admin_client: Client) -> None:
    chosen, other = AffiliateFactory.create_batch(3), AffiliateFactory()
    place = chosen_by(admin_client, *chosen)
    page = done(admin_client, place, name="Voluum")
    settings = list(CallbackSetting.objects.order_by("affiliate"))
    assert [s.affiliate for s in settings] == chosen
    assert {(s.event, s.name, s.url, s.host) for s in settings} == {("order.created", "Voluum", URL, "tracker.example")}
    assert len({s.secret for s in settings}) == 3
    assert not other.callback_settings.exists()
    assert {(c.setting, c.action, c.user_name) for c in SettingChange.objects.all()} == {
        (s, "created", "admin") for s in settings
    }
    assert LogEntry.objects.filter(action_flag=1).count() == 3
    assert "set up for 3 affiliates" in page.content.decode()

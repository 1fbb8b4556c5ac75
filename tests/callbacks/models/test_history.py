"""What was done to callbacks: by whom, when, what was before; kept when the callback is gone."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from affiliates.models import Affiliate
from callbacks.delivery import queue, settle
from callbacks.models import CallbackSetting, SettingChange, history
from tests.callbacks.delivery.settlements import settlement
from tests.callbacks.panel import URL, of, settings_of, text_of
from tests.factories import CallbackSettingFactory, OrderFactory, client_with
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db


def latest() -> tuple[str, str, dict[str, tuple[str, str]]]:
    """Who did what, and the old and new value of each field."""
    change = SettingChange.objects.order_by("-pk")[0]
    return change.user_name, change.action, {c["field"]: (c["old"], c["new"]) for c in change.changes}


def test_history_follows_all_that_a_person_does(admin_client: Client, admin_user: User, joe: Affiliate) -> None:
    admin_client.post(of(joe, "updated/"), {"method": "GET", "url": URL})
    assert latest() == ("admin", "created", {"method": ("", "GET"), "url": ("", URL)})
    setting = CallbackSetting.objects.get()
    page = of(joe, f"updated/{setting.pk}/")

    other = {"method": "POST", "body_format": "json", "url": URL + "&b=1", "name": "Voluum"}
    admin_client.post(of(joe, "updated/"), other | {"only_statuses": ["approved", "rejected"]})
    assert latest() == (
        "admin",
        "changed",
        {
            "name": ("", "Voluum"),
            "method": ("GET", "POST"),
            "url": (URL, URL + "&b=1"),
            "body_format": ("", "json"),
            "only_statuses": ("", "approved, rejected"),
        },
    )
    admin_client.post(f"{page}pause/")
    assert latest() == ("admin", "paused", {"is_active": ("", "paused")})
    admin_client.post(f"{page}resume/")
    assert latest() == ("admin", "resumed", {"is_active": ("paused", "")})

    admin_client.post(f"{page}secret/")
    who, action, values = latest()
    assert (who, action) == ("admin", "rotated")
    changed = CallbackSetting.objects.get()
    assert values == {"secret": (f"whsec_••••••••{setting.secret[-4:]}", f"whsec_••••••••{changed.secret[-4:]}")}

    admin_client.post(f"{page}remove/")
    who, action, values = latest()
    assert (who, action, values["url"]) == ("admin", "removed", (URL + "&b=1", ""))
    rows = SettingChange.objects.order_by("pk")
    assert [row.action for row in rows] == ["created", "changed", "paused", "resumed", "rotated", "removed"]
    assert {(row.setting, row.affiliate, row.event) for row in rows} == {(None, joe, "order.updated")}
    assert [row.name for row in rows][0:2] == ["Callback", "Voluum"]
    everything = str([row.changes for row in rows])
    assert setting.secret not in everything
    assert changed.secret not in everything
    admin_user.delete()
    assert {(row.user, row.user_name) for row in SettingChange.objects.all()} == {(None, "admin")}


def test_history_has_nothing_to_say_where_nothing_changed(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": URL})
    admin_client.post(of(joe, f"created/{setting.pk}/resume/"))
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": "nonsense"})
    assert not SettingChange.objects.exists()


def test_history_names_a_person_by_the_full_name(admin_client: Client, admin_user: User, joe: Affiliate) -> None:
    User.objects.filter(pk=admin_user.pk).update(first_name="Anna", last_name="Berg")
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": URL})
    assert latest()[0] == "Anna Berg"


def test_history_of_an_address_taken_from_a_redirect_has_both(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL, is_active=False, pause_reason="gone")
    new = URL.replace("tracker", "moved")
    offered = admin_client.get(of(joe, f"created/{setting.pk}/"), {"url": new})
    assert offered.context["form"]["url"].value() == new
    admin_client.post(of(joe, f"created/{setting.pk}/"), {"method": "GET", "url": new})
    assert latest() == ("admin", "changed", {"url": (URL, new), "is_active": ("paused", "")})
    tab = text_of(admin_client, settings_of(joe))
    assert "<dt>State</dt><dd><del><span" in tab
    assert "is now </span>on</ins>" in tab


def gone(setting: CallbackSetting) -> None:
    OrderFactory(affiliate=setting.affiliate)
    (claimed,) = queue.claim(1)
    settle.settle([settlement(claimed, "failed", code=410, pause_setting=True)] * 2)


def test_history_of_a_gone_address_says_that_the_engine_paused_it_once(admin_client: Client, joe: Affiliate) -> None:
    gone(CallbackSettingFactory(affiliate=joe, url=URL))
    assert latest() == ("", "gone", {"is_active": ("", "paused")})
    assert SettingChange.objects.count() == 1
    assert "was paused automatically: the tracker answered 410 Gone" in text_of(admin_client, settings_of(joe))


def test_history_is_on_the_settings_tab_latest_first_with_a_way_to_all(admin_client: Client, joe: Affiliate) -> None:
    assert "No changes yet." in text_of(admin_client, settings_of(joe))
    assert "No changes yet" in text_of(admin_client, of(joe, "changes/"))
    setting = CallbackSettingFactory(affiliate=joe, url=URL, name="Voluum")
    user = User.objects.create_user("anna")
    for number in range(26):
        before = history.values_of(setting)
        setting.url = f"{URL}&n={number}"
        history.note_changed(setting, user, before)
    history.note_changed(CallbackSettingFactory(url="https://elsewhere.example/"), user, {})
    tab = text_of(admin_client, settings_of(joe))
    assert "<strong>anna</strong> changed the order created callback “Voluum”" in tab
    assert "Show all 26" in tab
    assert tab.index("n=25</ins>") < tab.index("n=23</ins>")
    assert "n=22</ins>" not in tab
    everything = text_of(admin_client, of(joe, "changes/"))
    assert "n=25</ins>" in everything
    assert "elsewhere" not in tab + everything
    assert "1\N{EN DASH}25 of 26" in everything
    assert "n=0</ins>" in text_of(admin_client, of(joe, "changes/?page=2"))


def test_history_shows_hostile_text_as_text(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL, name="<script>alert(1)</script>")
    history.note_changed(setting, User.objects.create_user("<b>anna"), {"url": "https://x.example/?<img src=x>"})
    text = text_of(admin_client, settings_of(joe))
    for hostile in ("<script>alert(1)", "<b>anna", "<img src=x"):
        assert hostile not in text
    assert "&lt;b&gt;anna" in text


@pytest.mark.parametrize("path", ["", "callbacks/changes/"])
def test_history_takes_as_many_queries_for_thirty_as_for_one(
    admin_client: Client, admin_user: User, joe: Affiliate, path: str
) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)

    def add() -> None:
        history.note_changed(setting, admin_user, {})

    for _ in range(3):  # on the tab, more than are shown are counted
        add()
    assert_same_queries(lambda: admin_client.get(settings_of(joe) + path), add)


def test_history_is_for_who_may_see_the_affiliate(client: Client, joe: Affiliate) -> None:
    path = of(joe, "changes/")
    assert client.get(path).headers["Location"].startswith("/admin/login/")
    assert client_with().get(path).status_code == 403
    viewer = client_with("view_affiliate")
    assert viewer.get(path).status_code == 200
    assert viewer.post(path).status_code == 405
    assert viewer.get(path.replace(str(joe.pk), "999999")).status_code == 404


def test_history_of_a_deleted_affiliate_goes_with_it(admin_user: User, joe: Affiliate) -> None:
    history.note_created(CallbackSettingFactory(affiliate=joe, url=URL), admin_user)
    joe.delete()
    assert not SettingChange.objects.exists()


def test_history_of_many_leaves_out_what_did_not_change(admin_user: User, joe: Affiliate) -> None:
    same, other = CallbackSettingFactory(affiliate=joe, url=URL), CallbackSettingFactory(affiliate=joe, url=URL)
    before = {each.pk: history.values_of(each) for each in (same, other)}
    other.url = URL + "&b=1"
    history.note_many([], [(each, before[each.pk]) for each in (same, other)], admin_user)
    assert [change.setting for change in SettingChange.objects.all()] == [other]

"""Several callbacks for one event: added, told apart by name, at most five, each paused and removed by itself."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery
from callbacks.reports import callback_health
from tests.callbacks.panel import URL, at_once, of, settings_of, text_of
from tests.factories import CallbackSettingFactory, OrderFactory
from tests.queries import assert_same_queries, count_queries

pytestmark = pytest.mark.django_db


def names(affiliate: Affiliate, event: str = "order.created") -> list[str]:
    return list(affiliate.callback_settings.filter(event=event).order_by("pk").values_list("name", flat=True))


# --- the model -----------------------------------------------------------------
def test_setting_without_name_takes_the_next_free_one(joe: Affiliate) -> None:
    for event in ("order.created", "order.created", "order.updated", "order.created"):
        CallbackSettingFactory(affiliate=joe, event=event)
    assert names(joe) == ["Callback", "Callback 2", "Callback 3"]
    assert names(joe, "order.updated") == ["Callback"]
    CallbackSetting.objects.get(affiliate=joe, name="Callback 2").delete()
    CallbackSettingFactory(affiliate=joe)
    assert names(joe) == ["Callback", "Callback 3", "Callback 2"]


def test_setting_with_a_name_in_use_is_refused_beside_the_name(joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, name="Voluum")
    CallbackSettingFactory(affiliate=joe, name="Voluum", event="order.updated")
    CallbackSettingFactory(name="Voluum")
    with pytest.raises(ValidationError) as refused:
        CallbackSetting(affiliate=joe, event="order.created", url=URL, name=" voluum ").full_clean()
    assert [error.code for error in refused.value.error_dict["name"]] == ["name_taken"]
    with pytest.raises(IntegrityError), transaction.atomic():
        CallbackSettingFactory(affiliate=joe, name="Voluum")


def test_setting_beyond_five_is_refused_and_the_fifth_can_be_changed(joe: Affiliate) -> None:
    five = [CallbackSettingFactory(affiliate=joe) for _ in range(5)]
    five[4].full_clean()
    CallbackSetting(affiliate=joe, event="order.updated", url=URL).full_clean()
    with pytest.raises(ValidationError) as refused:
        CallbackSetting(affiliate=joe, event="order.created", url=URL).full_clean()
    assert [error.code for error in refused.value.error_dict["url"]] == ["too_many_callbacks"]
    CallbackSettingFactory(affiliate=joe)  # one too many, written past the form, must not lock the others
    five[0].full_clean()


def test_order_is_told_to_each_callback_of_its_event(joe: Affiliate) -> None:
    settings = [CallbackSettingFactory(affiliate=joe) for _ in range(3)]
    OrderFactory(affiliate=joe)
    told = Delivery.objects.order_by("pk")
    assert [delivery.setting for delivery in told] == settings
    assert len({delivery.event_id for delivery in told}) == 3


# --- the window ----------------------------------------------------------------
def test_setup_of_the_only_callback_asks_for_nothing_more_than_before(admin_client: Client, joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    text = text_of(admin_client, of(joe, "created/"))
    assert "<summary>Status filter and name</summary>" in text
    assert '<details class="more" open>' not in text
    assert text.index("HTTP method") < text.index("URL</label>") < text.index("Status filter and name")
    row = text_of(admin_client, settings_of(joe))
    assert "Add another URL" in row
    assert "callback-name" not in row


def test_setup_of_another_is_added_under_its_name(admin_client: Client, joe: Affiliate) -> None:
    first = CallbackSettingFactory(affiliate=joe, url=URL)
    path = of(joe, "created/another/")
    page = text_of(admin_client, path)
    assert "Setup order created callback</h1>" in page
    assert f'action="{path}"' in page
    assert 'placeholder="Callback 2"' in page
    answer = admin_client.post(path, {"method": "GET", "url": URL + "&b=1", "name": "Voluum"}, follow=True)
    assert "Order created callback “Voluum” of Joe saved." in answer.content.decode()
    assert names(joe) == ["Callback", "Voluum"]
    first.refresh_from_db()
    assert first.url == URL
    row = text_of(admin_client, settings_of(joe))
    second = CallbackSetting.objects.get(name="Voluum")
    for expected in (
        '<span class="callback-name">Callback</span>',
        '<span class="callback-name">Voluum</span>',
        f'id="callback-{second.pk}"',
        of(joe, f"created/{first.pk}/pause/"),
        of(joe, f"created/{second.pk}/pause/"),
    ):
        assert expected in row


def test_setup_without_name_takes_ours(admin_client: Client, joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    admin_client.post(of(joe, "created/another/"), {"method": "GET", "url": URL, "name": ""})
    assert names(joe) == ["Callback", "Callback 2"]


def test_setup_with_a_name_in_use_says_so_beside_the_name(admin_client: Client, joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL, name="Voluum")
    answer = admin_client.post(of(joe, "created/another/"), {"method": "GET", "url": URL, "name": "voluum"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert text.index('name="name"') < text.index('data-code="name_taken"') < text.index('name="url"')
    assert 'value="voluum"' in text


def test_setup_of_a_sixth_is_neither_offered_nor_taken(admin_client: Client, joe: Affiliate) -> None:
    for _ in range(4):
        CallbackSettingFactory(affiliate=joe)
    another = of(joe, "created/another/")
    assert another in text_of(admin_client, settings_of(joe))
    assert admin_client.post(another, {"method": "GET", "url": URL}).status_code == 302
    assert another not in text_of(admin_client, settings_of(joe))
    answer = admin_client.post(another, {"method": "GET", "url": URL})
    assert answer.status_code == 422
    assert 'data-code="too_many_callbacks"' in answer.content.decode()
    assert len(names(joe)) == 5


def test_setup_with_status_filter_keeps_and_shows_it(admin_client: Client, joe: Affiliate) -> None:
    path = of(joe, "updated/")
    page = text_of(admin_client, path)
    assert "Only when the status changes to" in page
    assert "Only for orders with status" in text_of(admin_client, of(joe, "created/"))
    chosen = {"method": "GET", "url": URL, "only_statuses": ["approved", "rejected"]}
    corrected = admin_client.post(path, chosen | {"url": "https://tracker.example/?a={sub1}", "correct": "1"})
    assert corrected.context["form"]["only_statuses"].value() == ["approved", "rejected"]
    admin_client.post(path, chosen)
    assert CallbackSetting.objects.get().only_statuses == ["approved", "rejected"]
    row = text_of(admin_client, settings_of(joe))
    assert "Only when the status changes to <strong>approved or rejected</strong>." in row
    assert '<details class="more" open>' in text_of(admin_client, path)
    assert admin_client.post(path, chosen | {"only_statuses": ["shipped"]}).status_code == 422
    admin_client.post(path, {"method": "GET", "url": URL})
    assert CallbackSetting.objects.get().only_statuses == []


def test_callback_is_switched_and_removed_by_itself(admin_client: Client, joe: Affiliate) -> None:
    first, second = (CallbackSettingFactory(affiliate=joe, url=URL) for _ in range(2))
    admin_client.post(of(joe, f"created/{second.pk}/pause/"))
    assert dict(CallbackSetting.objects.values_list("pk", "is_active")) == {first.pk: True, second.pk: False}
    question = admin_client.get(of(joe, f"created/{second.pk}/remove/")).content.decode()
    assert "Delete order created callback “Callback 2”?" in question
    admin_client.post(of(joe, f"created/{second.pk}/remove/"))
    assert CallbackSetting.objects.get() == first


@pytest.mark.parametrize("rest", ["", "pause/", "resume/", "secret/", "remove/"])
def test_callback_of_another_affiliate_or_event_is_not_found(admin_client: Client, joe: Affiliate, rest: str) -> None:
    theirs = CallbackSettingFactory(url=URL)
    updated = CallbackSettingFactory(affiliate=joe, event="order.updated", url=URL)
    for pk in (theirs.pk, updated.pk, 999999):
        assert admin_client.post(of(joe, f"created/{pk}/{rest}"), {"method": "GET", "url": URL}).status_code == 404
    assert CallbackSetting.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_callbacks_set_up_at_once_stay_within_five(admin_user: User, joe: Affiliate) -> None:
    CallbackSettingFactory(affiliate=joe)

    def add() -> int:
        client = Client()
        client.force_login(admin_user)
        return client.post(of(joe, "created/another/"), {"method": "GET", "url": URL}).status_code

    answers = at_once([add] * 8)
    assert sorted(answers) == [302] * 4 + [422] * 4
    assert sorted(names(joe)) == ["Callback", "Callback 2", "Callback 3", "Callback 4", "Callback 5"]


# --- how they do -----------------------------------------------------------------
def attempted(setting: CallbackSetting, code: int) -> Delivery:
    order = OrderFactory(affiliate=setting.affiliate)
    delivery = Delivery.objects.get(order=order, setting=setting)
    Delivery.objects.filter(pk=delivery.pk).update(
        status="succeeded", next_attempt_at=None, last_attempt_at=timezone.now(), last_status_code=code
    )
    for _ in range(2):
        Attempt.objects.create(
            delivery=delivery, trigger="initial", method="GET", url=URL, status_code=code, created_at=timezone.now()
        )
    return delivery


def test_callbacks_of_an_affiliate_come_by_event_each_with_its_last_attempt(joe: Affiliate) -> None:
    updated = CallbackSettingFactory(affiliate=joe, event="order.updated")
    first, second = (CallbackSettingFactory(affiliate=joe) for _ in range(2))
    earlier, latest, other = attempted(first, 200), attempted(first, 204), attempted(second, 202)
    assert earlier != latest
    found = callback_health.callbacks_of(joe)
    assert [(c.setting, c.last, c.position, c.count) for c in found] == [
        (first, latest, 1, 2), (second, other, 2, 2), (updated, None, 1, 1),
    ]  # fmt: skip
    assert [c.attempt and c.attempt.status_code for c in found] == [204, 202, None]
    assert found[0].attempt == latest.attempts.order_by("-pk")[0]
    assert [c.anchor for c in found] == ["order-created", f"callback-{second.pk}", "order-updated"]


def test_settings_tab_and_portal_take_as_many_queries_for_ten_callbacks_as_for_two(
    admin_client: Client, joe: Affiliate
) -> None:
    login = User.objects.create_user(joe.email, joe.email, "x")
    Affiliate.objects.filter(pk=joe.pk).update(user=login)
    portal = Client()
    portal.force_login(login)

    def add() -> None:
        for event in ("order.created", "order.updated"):
            CallbackSettingFactory(affiliate=joe, event=event, url=URL)
        attempted(CallbackSetting.objects.filter(affiliate=joe, event="order.created").latest("pk"), 200)

    def count() -> tuple[int, int]:
        return count_queries(lambda: admin_client.get(settings_of(joe))), count_queries(lambda: portal.get("/portal/"))

    add()
    count()
    few = count()
    for _ in range(4):
        add()
    assert count() == few
    text = text_of(portal, "/portal/")
    head, _, log = text.partition("Deliveries</h2>")
    assert head.count('<span class="callback-name">Callback 5</span>') == 2
    assert log.count('<span class="callback-name">Callback 5</span>') == 1
    assert "whsec_" not in text


def test_recording_takes_as_many_queries_for_five_callbacks_as_for_one(joe: Affiliate) -> None:
    assert_same_queries(lambda: OrderFactory(affiliate=joe), lambda: CallbackSettingFactory(affiliate=joe), 4)
    assert Delivery.objects.count() == 2 * (1 + 5)


def test_list_counts_the_events_that_are_set_not_the_urls(admin_client: Client, joe: Affiliate) -> None:
    for _ in range(3):
        CallbackSettingFactory(affiliate=joe)
    found: Any = admin_client.get("/admin/affiliates/affiliate/?callbacks=1").context["cl"].result_list
    assert [row.callback_count for row in found] == [1]
    assert "1 of 2" in text_of(admin_client, "/admin/affiliates/affiliate/")

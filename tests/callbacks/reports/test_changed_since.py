"""The health of a callback that was changed does not come from what was sent before."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.models import Attempt, CallbackSetting, Delivery, Pruned
from callbacks.reports import callback_health, overview, troubled_hosts
from tests.callbacks.panel import URL, of, settings_of, text_of
from tests.factories import CallbackSettingFactory, OrderFactory
from tests.queries import count_queries

pytestmark = pytest.mark.django_db
ELSEWHERE = URL.replace("tracker", "other")


def sent(setting: CallbackSetting, kind: str = "", **fields: object) -> Delivery:
    """The last of its deliveries, tried just now."""
    order = OrderFactory(affiliate=setting.affiliate)
    now = timezone.now()
    state = {"status": "failed" if kind else "succeeded", "next_attempt_at": None} | fields
    Delivery.objects.filter(order=order).update(
        last_attempt_at=now, last_error_kind=kind, last_status_code=503 if kind else 200, attempt_count=1, **state
    )
    delivery = Delivery.objects.get(order=order)
    Attempt.objects.create(delivery=delivery, method="GET", url=URL, error_kind=kind, detail="Away.", created_at=now)
    return delivery


def shown(affiliate: Affiliate) -> tuple[str, str]:
    """What the row says, and what All Affiliates says."""
    [row] = [callback for callback in callback_health.callbacks_of(affiliate) if callback.setting]
    listed: str = callback_health.with_health(Affiliate.objects.filter(pk=affiliate.pk)).values_list(
        "health", flat=True
    )[0]
    return row.health.value, listed


@pytest.mark.parametrize("kind", ["", "status"])
@pytest.mark.parametrize(
    "values", [{"url": ELSEWHERE}, {"url": URL + "&b=1"}, {"method": "POST"}, {"method": "POST", "body_format": "json"}]
)
def test_health_after_another_request_was_set_up_is_changed_until_one_is_sent(
    admin_client: Client, joe: Affiliate, kind: str, values: dict[str, str]
) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    sent(setting, kind)
    before = "failing" if kind else "working"
    assert shown(joe) == (before, before)
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": URL} | values)
    assert shown(joe) == ("changed", "changed")
    page = text_of(admin_client, settings_of(joe))
    assert "Changed, nothing sent since" in page
    assert "Away." not in page
    sent(setting)
    assert shown(joe) == ("working", "working")


def test_health_after_what_sends_nothing_else_was_changed_is_what_it_was(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    sent(setting, "status")
    for path in ("pause/", "resume/", "secret/"):
        admin_client.post(of(joe, f"created/{setting.pk}/{path}"))
    typed = {"method": "GET", "body_format": "json", "url": URL, "name": "Voluum", "only_statuses": ["approved"]}
    admin_client.post(of(joe, "created/"), typed)
    assert CallbackSetting.objects.get().name == "Voluum"
    assert shown(joe) == ("failing", "failing")


def test_health_of_never_used_callback_is_silent_however_often_it_is_changed(
    admin_client: Client, joe: Affiliate
) -> None:
    CallbackSettingFactory(affiliate=joe, url=URL)
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": ELSEWHERE})
    assert shown(joe) == ("silent", "silent")


def test_row_of_changed_callback_says_when_what_waits_goes_out(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    later = timezone.now() + timedelta(minutes=5)
    sent(setting, "status", status="pending", next_attempt_at=later)
    setting.url = ELSEWHERE
    setting.save(update_fields=["url"])
    page = text_of(admin_client, settings_of(joe))
    assert "last sent before that" in page
    assert "Pending deliveries use the new URL. Next attempt:" in page


def test_list_finds_those_whose_callback_was_changed(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    sent(setting, "status")
    address = "/admin/affiliates/affiliate/?health="
    assert list(admin_client.get(address + "changed").context["cl"].result_list) == []
    setting.url = ELSEWHERE
    setting.save()
    assert list(admin_client.get(address + "changed").context["cl"].result_list) == [joe]
    assert list(admin_client.get(address + "failing").context["cl"].result_list) == []


def test_endpoint_of_changed_callback_neither_fails_nor_answers(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    sent(setting, "status", status="pending", next_attempt_at=timezone.now())
    setting.url = ELSEWHERE
    setting.save()
    [endpoint] = troubled_hosts.in_trouble(overview.recent(timezone.now() - timedelta(days=1)))
    assert (endpoint.host, endpoint.state, endpoint.waiting) == ("other.example", "changed", 1)
    assert (endpoint.last_status_code, endpoint.last_attempt_at) == (None, None)
    assert "Changed, nothing sent since" in text_of(admin_client, "/admin/")


def test_health_of_callbacks_takes_as_many_queries_for_changed_ones(joe: Affiliate) -> None:
    sent(CallbackSettingFactory(affiliate=joe, url=URL))
    other = CallbackSettingFactory(affiliate=joe, url=URL, event="order.updated")
    Delivery.objects.create(setting=other, event=other.event, status="succeeded", last_attempt_at=timezone.now())
    before = count_queries(lambda: callback_health.callbacks_of(joe))
    for setting in CallbackSetting.objects.all():
        setting.url = ELSEWHERE
        setting.save()
    assert count_queries(lambda: callback_health.callbacks_of(joe)) == before
    assert [callback.health for callback in callback_health.callbacks_of(joe)] == ["changed", "changed"]


def test_callback_whose_deliveries_are_all_deleted_does_not_say_that_nothing_was_ever_sent(
    admin_client: Client, joe: Affiliate
) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    assert shown(joe) == ("silent", "silent")
    assert "Nothing sent yet" in text_of(admin_client, settings_of(joe))
    Pruned.objects.create(kind="deliveries", before=timezone.now() - timedelta(days=1))
    assert shown(joe) == ("silent", "silent")  # the callback is younger
    CallbackSetting.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert shown(joe) == ("pruned", "pruned")
    text = text_of(admin_client, settings_of(joe))
    assert "Nothing sent since" in text
    assert "Older deliveries were deleted." in text
    assert "Nothing sent yet" not in text
    sent(setting)
    assert shown(joe) == ("working", "working")

"""Signing secrets: shown in full once, replaced with a day in which both sign."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from affiliates.models import Affiliate
from callbacks.delivery import dispatcher, queue
from callbacks.models import CallbackSetting
from callbacks.postback import signing
from callbacks.setup import signing_secrets
from config.security import sign_in
from tests.callbacks.panel import BY_SCRIPT, URL, of, settings_of, text_of
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory
from tests.receiver import Received, Receiver

pytestmark = pytest.mark.django_db


def verifies(secret: str, request: Received) -> bool:
    headers = {name: request.header(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    try:
        Webhook(secret).verify(request.body or request.target.encode(), headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broker", "loopback")
@pytest.mark.parametrize("sent_as", [{"method": "GET"}, {"method": "POST", "body_format": "json"}])
def test_run_signs_with_both_secrets_until_the_overlap_ends(receiver: Receiver, sent_as: dict[str, str]) -> None:
    setting = CallbackSettingFactory(url=receiver.url("/pb?o={{order.number}}"), **sent_as)
    first = setting.secret
    for meanwhile in (
        lambda: None,
        lambda: signing_secrets.rotate(setting),
        lambda: CallbackSetting.objects.update(previous_secret_until=timezone.now()),
    ):
        meanwhile()
        OrderFactory(affiliate=setting.affiliate)
        dispatcher.run()
    before, during, after = receiver.wait_for(3)
    assert (verifies(first, before), verifies(setting.secret, before)) == (True, False)
    assert (verifies(first, during), verifies(setting.secret, during)) == (True, True)
    assert (verifies(first, after), verifies(setting.secret, after)) == (False, True)


def test_claim_carries_both_secrets_for_a_day(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    first = setting.secret
    signing_secrets.rotate(setting)
    OrderFactory(affiliate=joe)
    (claimed,) = queue.claim(1)
    now = timezone.now()
    assert claimed.endpoint
    assert claimed.endpoint.secret == setting.secret != first
    assert claimed.endpoint.previous_secret_at(now + timedelta(hours=23, minutes=59)) == first
    assert claimed.endpoint.previous_secret_at(now + timedelta(hours=24, seconds=1)) == ""


def test_secret_replaced_twice_leaves_out_the_oldest(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    signing_secrets.rotate(setting)
    second = setting.secret
    signing_secrets.rotate(setting)
    setting.refresh_from_db()
    assert setting.previous_secret == second
    assert len({setting.secret, second}) == 2


# --- shown once ----------------------------------------------------------------
def test_secret_is_shown_once_after_setting_up_and_masked_from_then_on(admin_client: Client, joe: Affiliate) -> None:
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": URL})
    setting = CallbackSetting.objects.get()
    assert setting.secret in text_of(admin_client, settings_of(joe))
    for path in (settings_of(joe), of(joe, "created/"), of(joe, f"created/{setting.pk}/secret/")):
        text = text_of(admin_client, path)
        assert setting.secret not in text
    assert signing.masked(setting.secret) in text
    admin_client.post(of(joe, "created/"), {"method": "POST", "url": URL})
    assert setting.secret not in text_of(admin_client, settings_of(joe))


def test_secret_is_shown_to_who_made_it_and_with_its_callback_only(
    admin_client: Client, client: Client, joe: Affiliate, django_user_model: Any
) -> None:
    other = AffiliateFactory()
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": URL})
    secret = CallbackSetting.objects.get().secret
    client.force_login(django_user_model.objects.create_superuser("another"))
    assert secret not in text_of(client, settings_of(joe))
    assert secret not in text_of(admin_client, settings_of(other))
    assert secret in text_of(admin_client, settings_of(joe))


def test_secret_that_nobody_looked_at_is_not_shown_later(admin_client: Client, joe: Affiliate) -> None:
    admin_client.post(of(joe, "created/"), {"method": "GET", "url": URL})
    session = admin_client.session
    (pk,) = session[signing_secrets.NEW]
    session[signing_secrets.NEW] = {pk: time.time() - signing_secrets.SHOWN_WITHIN_S - 1}
    session.save()
    assert CallbackSetting.objects.get().secret not in text_of(admin_client, settings_of(joe))


def test_rotation_asks_first_then_shows_the_new_secret_once(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    path = of(joe, f"created/{setting.pk}/secret/")
    assert path in text_of(admin_client, of(joe, "created/"))
    question = text_of(admin_client, path)
    assert "Rotate the signing secret of the order created callback?" in question
    assert CallbackSetting.objects.get().secret == setting.secret
    answer = admin_client.post(path, follow=True)
    assert answer.redirect_chain == [(settings_of(joe) + "#order-created", 302)]
    changed = CallbackSetting.objects.get()
    assert changed.previous_secret == setting.secret != changed.secret
    text = answer.content.decode()
    assert changed.secret in text
    assert setting.secret not in text
    assert "has a new signing secret" in text
    assert changed.secret not in text_of(admin_client, settings_of(joe))
    assert "stays valid until" in text_of(admin_client, of(joe, "created/"))
    assert signing.masked(setting.secret) in text_of(admin_client, path)  # it would end now
    CallbackSetting.objects.update(previous_secret_until=timezone.now())
    assert "stays valid until" not in text_of(admin_client, of(joe, "created/"))


def test_rotation_inside_the_form_shows_the_new_secret_there_and_nowhere_else(
    admin_client: Client, joe: Affiliate
) -> None:
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    old, path = setting.secret, of(joe, f"created/{setting.pk}/secret/")
    question = admin_client.get(path, headers=BY_SCRIPT).content.decode()
    assert "Replace the signing secret?" in question
    assert "<html" not in question
    assert old not in question
    setting.refresh_from_db()
    assert setting.secret == old
    answer = admin_client.post(path, headers=BY_SCRIPT)
    setting.refresh_from_db()
    assert (setting.previous_secret, setting.secret != old) == (old, True)
    assert answer.content.decode().count(setting.secret) == 1
    assert old not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert setting.secret not in text_of(admin_client, settings_of(joe))
    assert setting.secret not in text_of(admin_client, of(joe, f"created/{setting.pk}/"))


def test_rotation_inside_the_form_asks_there_for_a_password_that_was_typed_too_long_ago(
    client: Client, joe: Affiliate, django_user_model: Any
) -> None:
    client.force_login(django_user_model.objects.create_superuser("ann", password="right-5150"))
    session = client.session
    session[sign_in.CONFIRMED_AT] = time.time() - sign_in.CONFIRMED_FOR_S - 1
    session.save()
    setting = CallbackSettingFactory(affiliate=joe, url=URL)
    path = of(joe, f"created/{setting.pk}/secret/")
    question = client.get(path, headers=BY_SCRIPT)
    assert (question.status_code, 'name="password_again"' in question.content.decode()) == (200, True)
    for typed in ({}, {"password_again": "wrong"}):
        refused = client.post(path, typed, headers=BY_SCRIPT)
        assert (refused.status_code, "errorlist" in refused.content.decode()) == (422, True)
    assert CallbackSetting.objects.get().secret == setting.secret
    assert client.get(path).status_code == 302  # a page asks on a page
    answer = client.post(path, {"password_again": "right-5150"}, headers=BY_SCRIPT)
    changed = CallbackSetting.objects.get()
    assert (answer.status_code, changed.previous_secret) == (200, setting.secret)
    assert changed.secret in answer.content.decode()

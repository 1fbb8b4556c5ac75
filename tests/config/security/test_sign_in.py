"""Getting in: too many wrong passwords, the second factor at every door, the password again, and how it is hashed."""

import base64
import ipaddress
import json
import logging
import re
import time
from datetime import timedelta
from io import StringIO
from urllib.parse import quote

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP

from affiliates.portal import access
from callbacks.models import CallbackSetting
from config.models import Authenticator
from config.security import sign_in
from orders.models import ApiToken
from tests.callbacks.panel import BY_SCRIPT, at_once
from tests.factories import AffiliateFactory, CallbackSettingFactory

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough passphrase"
DOORS = ["/admin/login/", "/portal/login/"]
ATTACKER, OWNER = "192.0.2.66", "198.51.100.7"


@pytest.fixture
def root() -> User:
    """An administrator who is an affiliate, too, so that both doors are theirs."""
    user = User.objects.create_superuser("root", "root@shop.example", PASSWORD)
    AffiliateFactory(user=user)
    return user


def knock(door: str, address: str = OWNER, password: str = PASSWORD, name: str = "root", client=None, **headers):
    client = client or Client()
    return client.post(door, {"username": name, "password": password}, REMOTE_ADDR=address, **headers)


def code_of(authenticator: Authenticator, steps: int = 0) -> str:
    totp = TOTP(base64.b32decode(authenticator.secret))
    totp.time = time.time() + 30 * steps
    return f"{totp.token():06}"


# --- too many wrong passwords ----------------------------------------------------
@pytest.mark.parametrize("door", DOORS)
def test_name_is_locked_from_one_address_and_its_owner_still_gets_in(root, door):
    codes = [knock(door, ATTACKER, "wrong").status_code for _ in range(11)]
    assert codes == [200] * 9 + [429] * 2
    assert knock(door, ATTACKER).status_code == 429
    assert knock(door, OWNER).status_code == 302


@pytest.mark.parametrize("door", DOORS)
def test_address_that_tries_many_names_is_locked_as_such(root, door):
    codes = [knock(door, ATTACKER, "wrong", f"name{n}").status_code for n in range(52)]
    assert codes == [200] * 49 + [429] * 3
    assert knock(door, ATTACKER).status_code == 429
    assert knock(DOORS[0], ATTACKER, "wrong", "one more").status_code == 429  # the other door, too
    assert knock(door, OWNER).status_code == 302


def test_log_in_of_ones_own_does_not_forgive_an_address_its_other_failures(root):
    for n in range(60):
        if n % 5 == 0:
            knock("/admin/login/", ATTACKER)
        knock("/admin/login/", ATTACKER, "wrong", f"name{n}")
    assert knock("/admin/login/", ATTACKER).status_code == 429


def test_ipv6_attacker_is_locked_with_the_whole_network(root):
    for n in range(50):
        knock("/admin/login/", f"2001:db8::{n + 1:x}", "wrong", f"name{n}")
    assert knock("/admin/login/", "2001:db8::ffff").status_code == 429
    assert knock("/admin/login/", "2001:db8:0:1::1").status_code == 302


def test_attacker_behind_the_proxy_locks_nobody_else_out_and_forges_nothing(root, settings):
    settings.TRUSTED_PROXIES = (ipaddress.ip_network("10.0.0.5"),)
    for n in range(60):
        forged = {"HTTP_X_FORWARDED_FOR": f"203.0.113.{n}, {ATTACKER}"}
        knock("/admin/login/", "10.0.0.5", "wrong", f"name{n}", **forged)
    assert knock("/admin/login/", "10.0.0.5", HTTP_X_FORWARDED_FOR=f"8.8.8.8, {ATTACKER}").status_code == 429
    assert knock("/admin/login/", "10.0.0.5", HTTP_X_FORWARDED_FOR=OWNER).status_code == 302


def test_forged_header_frees_nobody(root):
    codes = [
        knock("/admin/login/", ATTACKER, "wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{n}").status_code for n in range(12)
    ]
    assert codes[-1] == 429


def test_proxy_that_nobody_named_is_not_locked_as_one_address(root, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for n in range(60):
        knock("/admin/login/", "10.0.0.5", "wrong", f"name{n}", HTTP_X_FORWARDED_PROTO="https")
    assert knock("/admin/login/", "10.0.0.5", HTTP_X_FORWARDED_PROTO="https").status_code == 302


def test_lock_ends_by_itself_and_is_not_lengthened_by_more_tries(root):
    for _ in range(12):
        knock("/admin/login/", ATTACKER, "wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    assert knock("/admin/login/", ATTACKER, "wrong").status_code == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert knock("/admin/login/", ATTACKER).status_code == 302


def test_lock_is_a_readable_line_and_in_the_history(root, caplog):
    for _ in range(30):
        knock("/admin/login/", ATTACKER, "wrong")
    (line,) = [line for line in caplog.text.splitlines() if " security event=log_in_locked " in line]
    where = f"address={ATTACKER} path=/admin/login/ about=auth.user:{root.pk}"
    assert f"event=log_in_locked user={root.pk} {where} minutes=15" in line
    entries = list(LogEntry.objects.filter(object_id=root.pk).values_list("change_message", flat=True))
    assert f"Locked for 15 minutes after too many wrong passwords, from {ATTACKER}." in entries
    assert len(entries) == 11  # ten wrong passwords and the lock, however many tries there are after it
    history = Client()
    history.force_login(root)
    assert "Locked for 15 minutes" in history.get(f"/admin/auth/user/{root.pk}/history/").content.decode()


def test_typed_name_stands_in_no_line(caplog):
    name = "root\r\n2026-11-28 INFO security event=log_in user=root\u2028\x1b[31m" + "x" * 90
    knock("/admin/login/", ATTACKER, "wrong", name)
    (line,) = [line for line in caplog.text.splitlines() if "log_in" in line]
    assert 'event=log_in_refused user="" address=' in line
    assert "root" not in caplog.text
    assert not [r for r in caplog.records if r.name.startswith("axes") and r.levelno >= logging.ERROR]


def test_passwords_are_kept_nowhere(root, caplog):
    knock("/admin/login/", ATTACKER, "a secret passphrase")
    client = Client()
    client.force_login(root)
    grow_old(client)
    affiliate = AffiliateFactory()
    typed = {"new_password1": "a new secret passphrase", "new_password2": "a new secret passphrase"}
    client.post(
        f"/admin/affiliates/affiliate/{affiliate.pk}/settings/portal/",
        typed | {"password_again": "a wrong secret passphrase"},
        REMOTE_ADDR=ATTACKER,
    )
    assert AccessAttempt.objects.exists()
    kept = json.dumps([[str(v) for v in row] for row in AccessAttempt.objects.values_list()]) + caplog.text
    assert "secret passphrase" not in kept


# --- hashing --------------------------------------------------------------------------
def test_password_of_an_older_hasher_is_hashed_anew_at_log_in(root, settings):
    from config import settings as ours

    settings.PASSWORD_HASHERS = ours.PASSWORD_HASHERS
    User.objects.update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))
    assert knock("/admin/login/").status_code == 302
    root.refresh_from_db()
    assert root.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert knock("/portal/login/").status_code == 302


# --- the second factor ----------------------------------------------------------------
@pytest.fixture
def authenticator(root) -> Authenticator:
    return Authenticator.objects.create(user=root, confirmed=True, name="Authenticator")


def half(door: str = "/admin/login/") -> Client:
    client = Client()
    assert knock(door, client=client).status_code == 302
    return client


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "path",
    [
        "/admin/", "/admin/orders/order/", "/admin/auth/user/", "/admin/two-factor/", "/admin/password_change/",
        "/admin/confirm-password/", "/admin/callbacks/delivery/export/", "/admin/jsi18n/", "/admin/nothing-here/",
        "/portal/", "/portal/deliveries/1/", "/api/docs", "/api/openapi.json", "/",
    ],
)  # fmt: skip
def test_password_alone_opens_nothing(authenticator, door, path):
    client = half(door)
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/second-factor/?next=")
    assert client.post(path).status_code in {302, 403}
    assert client.post(path)["Location"] == "/admin/second-factor/"


@pytest.mark.parametrize("door", DOORS)
def test_code_lets_in_and_leads_on(authenticator, door):
    client = half(door)
    page = client.get("/portal/", follow=True)
    assert "Enter a code" in page.content.decode()
    answer = client.post("/admin/second-factor/", {"code": code_of(authenticator), "next": "/portal/"})
    assert (answer.status_code, answer["Location"]) == (302, "/portal/")
    assert client.get("/admin/").status_code == 200
    assert client.get("/portal/").status_code == 200
    assert client.get("/api/docs").status_code == 200


def test_session_from_before_it_was_turned_on_is_asked_too(root):
    other = Client()
    other.force_login(root)
    assert other.get("/admin/").status_code == 200
    authenticator = Authenticator.objects.create(user=root, confirmed=True)
    assert other.get("/admin/")["Location"].startswith("/admin/second-factor/")
    authenticator.confirmed = False  # somebody who is about to set it up is not asked
    authenticator.save()
    assert other.get("/admin/").status_code == 200


def test_used_code_is_refused(authenticator):
    code = code_of(authenticator)
    assert half().post("/admin/second-factor/", {"code": code}).status_code == 302
    again = half().post("/admin/second-factor/", {"code": code})
    assert again.status_code == 200
    assert "used already" in again.content.decode()


def test_earlier_code_is_refused_after_a_later_one(authenticator, time_machine):
    time_machine.move_to(timezone.now(), tick=False)  # a code that becomes the next one meanwhile would be a later one
    assert half().post("/admin/second-factor/", {"code": code_of(authenticator, 1)}).status_code == 302
    for steps in (-1, 0, 1):
        Authenticator.objects.update(throttling_failure_count=0)
        assert half().post("/admin/second-factor/", {"code": code_of(authenticator, steps)}).status_code == 200


def test_codes_are_throttled(authenticator, caplog):
    client = half()
    for _ in range(5):
        Authenticator.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(hours=1))
        answer = client.post("/admin/second-factor/", {"code": "000000"})
    assert "16 seconds" in answer.content.decode()
    assert client.post("/admin/second-factor/", {"code": code_of(authenticator)}).status_code == 200  # too soon
    assert client.get("/admin/").status_code == 302
    assert "event=code_refused user=" in caplog.text
    Authenticator.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=17))
    assert client.post("/admin/second-factor/", {"code": code_of(authenticator)}).status_code == 302


def test_owner_waits_no_longer_than_some_hours_after_somebody_guessed_for_long(authenticator):
    client, an_age = half(), timezone.now() - timedelta(days=400)
    Authenticator.objects.update(throttling_failure_count=20, throttling_failure_timestamp=an_age)
    for _ in range(2):
        client.post("/admin/second-factor/", {"code": "000000"})
        Authenticator.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(hours=5))
    assert client.post("/admin/second-factor/", {"code": code_of(authenticator)}).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_one_code_lets_one_of_many_requests_in(authenticator):
    """The same holds for a recovery code."""
    (recovery, *_) = authenticator.make_recovery_codes()
    authenticator.save()
    for code in (code_of(authenticator), recovery):
        Authenticator.objects.update(throttling_failure_count=0)
        clients = [half() for _ in range(4)]
        answers = at_once([lambda c=c, code=code: c.post("/admin/second-factor/", {"code": code}) for c in clients])
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 302]
        assert sorted(client.get("/admin/").status_code for client in clients) == [200, 302, 302, 302]


def test_command_removes_it_from_who_lost_it(authenticator):
    with pytest.raises(CommandError, match="No user"):
        call_command("remove_two_factor", "nobody")
    call_command("remove_two_factor", "root", stdout=StringIO())
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("code", ["", "12345", "1234567", "١٢٣٤٥٦", "-1", "0x10", "\0", "1" * 5000, "\ud800", "None"])
def test_nonsense_is_no_code(authenticator, code):
    body = b"code=" + quote(code.encode("utf-8", "surrogatepass")).encode()
    answer = half().generic("POST", "/admin/second-factor/", body, "application/x-www-form-urlencoded")
    assert answer.status_code == 200


def test_set_up_scan_confirm_and_recover(root, caplog):
    client = Client()
    client.force_login(root)
    path = "/admin/two-factor/"
    assert "Set up" in client.get(path).content.decode()
    assert client.post(path, {"action": "begin"}).status_code == 302
    page = client.get(path).content.decode()
    pending = Authenticator.objects.get()
    assert not pending.confirmed
    assert "<svg" in page
    assert "style=" not in page[page.index("<svg width") : page.index("</svg>", page.index("<svg width"))]
    assert pending.secret[:4] in page
    assert "Wrong code" in client.post(path, {"action": "confirm", "code": "000000"}).content.decode()
    Authenticator.objects.update(throttling_failure_count=0)
    done = client.post(path, {"action": "confirm", "code": code_of(pending)}).content.decode()
    codes = re.findall(r"<li><code>([a-z2-7-]{19})</code>", done)
    assert len(set(codes)) == 10
    assert client.get("/admin/").status_code == 200  # this session has shown that it has the app
    assert codes[0] not in client.get(path).content.decode()
    stored = Authenticator.objects.values_list("recovery_digests", flat=True).get()
    assert not set(codes) & set(stored)

    lost = half()
    assert lost.post("/admin/second-factor/", {"code": f" {codes[3].upper()} "}).status_code == 302
    assert "9 are left" in lost.get("/admin/").content.decode()
    assert half().post("/admin/second-factor/", {"code": codes[3]}).status_code == 200
    events = re.findall(r"event=(\w+)", caplog.text)
    assert {"two_factor_on", "log_in", "password_right"} <= set(events)
    for secret in (*codes, pending.secret):
        assert secret not in caplog.text
    says = list(LogEntry.objects.filter(object_id=root.pk).values_list("change_message", flat=True))
    assert "Turned two-factor log-in on." in says

    Authenticator.objects.update(throttling_failure_count=0)
    new = client.post(path, {"action": "codes"}).content.decode()
    assert codes[5] not in new
    assert half().post("/admin/second-factor/", {"code": codes[5]}).status_code == 200
    assert "Wrong password" in client.post(path, {"action": "remove", "own-password_again": "no"}).content.decode()
    assert Authenticator.objects.exists()
    assert client.post(path, {"action": "remove", "own-password_again": PASSWORD}).status_code == 302
    assert not Authenticator.objects.exists()
    assert half().get("/admin/").status_code == 200


def test_confirmed_one_is_not_replaced_by_beginning_again(authenticator):
    client = half()
    client.post("/admin/second-factor/", {"code": code_of(authenticator)})
    client.post("/admin/two-factor/", {"action": "begin"})
    client.post("/admin/two-factor/", {"action": "confirm", "code": "000000"})
    assert Authenticator.objects.get() == authenticator


def test_setting_requires_it_of_all_staff_at_every_door(root, settings):
    settings.REQUIRE_TWO_FACTOR = True
    client = half("/portal/login/")
    for path in ("/admin/", "/portal/", "/api/docs", "/admin/auth/user/"):
        assert client.get(path)["Location"].startswith("/admin/two-factor/?next="), path
    assert client.get("/admin/two-factor/").status_code == 200
    client.post("/admin/two-factor/", {"action": "begin"})
    client.post("/admin/two-factor/", {"action": "confirm", "code": code_of(Authenticator.objects.get())})
    assert client.get("/admin/").status_code == 200
    partner = AffiliateFactory()
    access.grant(partner, PASSWORD)
    portal = Client()
    knock("/portal/login/", name=partner.email, client=portal)
    assert portal.get("/portal/").status_code == 200  # an affiliate is no staff


def test_administrator_takes_it_away_from_somebody_who_lost_it(authenticator, root):
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    page = boss.get(f"/admin/auth/user/{root.pk}/change/").content.decode()
    path = f"/admin/auth/user/{root.pk}/two-factor/"
    assert path in page
    assert "Turn off" in boss.get(path).content.decode()
    assert boss.post(path).status_code == 302
    assert not Authenticator.objects.exists()
    entry = LogEntry.objects.filter(object_id=root.pk, user__username="boss").get()
    assert entry.change_message == "Turned two-factor log-in off."
    assert half().get("/admin/").status_code == 200


def test_secret_of_an_authenticator_is_stored_encrypted(authenticator):
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM config_authenticator")
        (stored,) = cursor.fetchone()
    assert authenticator.secret not in stored
    assert stored.startswith("🔒")
    assert Authenticator.objects.get().secret == authenticator.secret


def test_authenticator_under_another_key_refuses_codes_and_takes_recovery_codes(authenticator, settings):
    code = code_of(authenticator)
    (recovery, *_) = authenticator.make_recovery_codes()
    authenticator.save()
    settings.SECRET_KEY = "another"
    assert half().post("/admin/second-factor/", {"code": code}).status_code == 200
    Authenticator.objects.update(throttling_failure_count=0)
    assert half().post("/admin/second-factor/", {"code": recovery}).status_code == 302


# --- the password again -----------------------------------------------------------------
def grow_old(client: Client, seconds: float = 15 * 60) -> None:
    session = client.session
    session[sign_in.CONFIRMED_AT] = time.time() - seconds
    session.save()


@pytest.fixture
def stale(root) -> Client:
    """Signed in for longer than a password is good for."""
    client = Client()
    client.force_login(root)
    grow_old(client)
    return client


def test_pages_of_secrets_tokens_and_accounts_ask_for_the_password(stale, root):
    setting = CallbackSettingFactory()
    partner, token = setting.affiliate, ApiToken.objects.create(name="shop", digest="0")
    base = f"/admin/affiliates/affiliate/{partner.pk}/settings/"
    access.grant(partner, PASSWORD)
    paths = [
        f"{base}callbacks/created/{setting.pk}/secret/", f"{base}portal/", f"{base}portal/off/",
        "/admin/orders/apitoken/add/", f"/admin/orders/apitoken/{token.pk}/delete/", "/admin/auth/user/",
        "/admin/auth/user/add/", f"/admin/auth/user/{root.pk}/change/", f"/admin/auth/user/{root.pk}/password/",
        f"/admin/auth/user/{root.pk}/delete/", f"/admin/auth/user/{root.pk}/history/",
        f"/admin/auth/user/{root.pk}/two-factor/", "/admin/two-factor/",
    ]  # fmt: skip
    for path in paths:
        answer = stale.get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/admin/confirm-password/?next="), path
        assert "Confirm your password" in stale.post(path, {"post": "yes"}).content.decode(), path
    assert CallbackSetting.objects.get().secret == setting.secret
    assert ApiToken.objects.exists()
    assert User.objects.filter(username=partner.email).exists()
    for path in ("/admin/", "/admin/orders/order/", base, f"{base}callbacks/created/{setting.pk}/"):
        assert stale.get(path).status_code == 200, path


def test_password_leads_back_to_where_one_was(stale):
    asked = stale.get("/admin/auth/user/?role=merchant")["Location"]
    assert stale.get(asked).status_code == 200
    assert "Wrong password" in stale.post(asked, {"password_again": "wrong"}).content.decode()
    answer = stale.post(asked, {"password_again": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/auth/user/?role=merchant")
    assert stale.get("/admin/auth/user/?role=merchant").status_code == 200


def test_what_was_sent_is_kept_and_goes_on(stale):
    typed = {"username": "eve", "password1": "a first passphrase", "password2": "a first passphrase"}
    typed["role"] = "support"
    page = stale.post("/admin/auth/user/add/", typed)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode()))
    assert typed.items() <= fields.items()
    assert not User.objects.filter(username="eve").exists()
    answer = stale.post("/admin/auth/user/add/", fields | {"password_again": PASSWORD})
    assert answer.status_code == 302
    assert User.objects.get(username="eve").check_password("a first passphrase")


def test_e_mail_and_deletion_of_an_affiliate_with_a_login_ask_for_the_password(stale):
    partner, list_ = AffiliateFactory(name="Ann", email="ann@blog.example"), "/admin/affiliates/affiliate/"
    path = f"{list_}{partner.pk}/change/"
    fields = {"name": "Ann", "code": partner.code, "status": "approved", "commission_rate": "10"}
    assert stale.post(path, fields | {"email": "a@blog.example"}).status_code == 302  # there is no login yet
    partner.refresh_from_db()
    user = access.grant(partner, PASSWORD)
    assert stale.post(path, fields | {"email": "a@blog.example", "name": "Anna"}).status_code == 302
    gone = {"action": "delete_selected", "_selected_action": [partner.pk], "post": "yes"}
    taken = fields | {"email": "thief@blog.example"}
    for where, sent in ((path, taken), (list_, gone), (f"{list_}{partner.pk}/delete/", {"post": "yes"})):
        assert "Confirm your password" in stale.post(where, sent).content.decode(), where
    user.refresh_from_db()
    assert user.username == "a@blog.example"
    moved = fields | {"email": "moved@blog.example", "password_again": PASSWORD}
    assert stale.post(path, moved).status_code == 302
    user.refresh_from_db()
    assert user.username == "moved@blog.example"


def test_kept_fields_are_escaped_and_repeated_ones_stay(stale):
    sent = {"_selected_action": ["1", "2"], "action": '"><script>x</script>'}
    text = stale.post("/admin/auth/user/", sent).content.decode()
    assert "<script>x" not in text
    assert text.count('name="_selected_action"') == 2


def test_script_gets_the_form_for_its_window(stale):
    path = f"/admin/affiliates/affiliate/{AffiliateFactory().pk}/settings/portal/"
    answer = stale.post(path, {"new_password1": "x"}, headers=BY_SCRIPT)
    assert answer.status_code == 422
    assert "<html" not in answer.content.decode()
    assert f'action="{path}"' in answer.content.decode()


def test_wrong_passwords_there_count_as_those_of_a_log_in(stale):
    codes = [
        stale.post("/admin/confirm-password/", {"password_again": "wrong"}, REMOTE_ADDR=ATTACKER).status_code
        for _ in range(11)
    ]
    assert codes[-1] == 429


def test_wrong_old_passwords_count_as_those_of_a_log_in(root, caplog):
    """Whoever finds a browser that is signed in could guess the password there for ever."""
    client = Client()
    client.force_login(root)
    typed = {"new_password1": "another long passphrase", "new_password2": "another long passphrase"}
    codes = [
        client.post("/admin/password_change/", typed | {"old_password": f"wrong {n}"}).status_code for n in range(11)
    ]
    assert codes == [200] * 9 + [429] * 2
    assert client.post("/admin/password_change/", typed | {"old_password": PASSWORD}).status_code == 429
    assert "event=log_in_refused" in caplog.text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "http:evil.example"]
)
def test_nobody_is_led_off_the_site(stale, target):
    answer = stale.post(f"/admin/confirm-password/?next={target}", {"password_again": PASSWORD})
    assert answer["Location"] == "/admin/"


def test_new_secret_waits_for_the_password(stale):
    affiliate = AffiliateFactory()
    settings_page = f"/admin/affiliates/affiliate/{affiliate.pk}/settings/"
    url = {"method": "GET", "url": "https://tracker.example/?o={{order.number}}"}
    page = stale.post(f"{settings_page}callbacks/created/", url, follow=True).content.decode()
    secret = CallbackSetting.objects.get().secret
    assert secret not in page
    assert "Confirm your password to see it" in page
    stale.post("/admin/confirm-password/", {"password_again": PASSWORD})
    assert secret in stale.get(settings_page).content.decode()
    assert secret not in stale.get(settings_page).content.decode()

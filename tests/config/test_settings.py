"""How the environment is read."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST_LETTER = "from django.conf import settings; print(repr(settings.{name}))"


def setting(tmp_path: Path, name: str, **env: str) -> str:
    """What the setting `name` is in a process with this environment, as Python writes it."""
    return printed(tmp_path, FIRST_LETTER.format(name=name), **env)


def printed(tmp_path: Path, code: str, **env: str) -> str:
    own = {key: value for key, value in os.environ.items() if key not in {"SECRET_KEY", "DJANGO_SETTINGS_MODULE"}}
    own |= {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings", "OTHER": "from another"} | env
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("value", ["$OTHER", "$x", "$", "$$a$b", "$OTHER/rest", "a$OTHER", "${OTHER}"])
def test_value_that_begins_with_a_dollar_is_taken_as_it_is(tmp_path, value):
    assert setting(tmp_path, "SECRET_KEY", SECRET_KEY=value) == repr(value)
    proxy = f"http://{value.partition('/')[0]}:{value.partition('/')[0]}@proxy.example:3128"
    assert setting(tmp_path, "CALLBACKS_PROXY_URL", CALLBACKS_PROXY_URL=proxy) == repr(proxy)


def test_lists_and_paths_that_begin_with_a_dollar_too(tmp_path):
    assert setting(tmp_path, "ALLOWED_HOSTS", ALLOWED_HOSTS="$OTHER,b") == "['$OTHER', 'b']"
    assert setting(tmp_path, "REFERRAL_PARAMETERS", REFERRAL_PARAMETER="ref, aff") == "('ref', 'aff')"
    assert setting(tmp_path, "REFERRAL_PARAMETERS", REFERRAL_PARAMETER="$OTHER") == "('$OTHER',)"
    assert setting(tmp_path, "CALLBACKS_CA_BUNDLE", CALLBACKS_CA_BUNDLE="$OTHER") == "'$OTHER'"


@pytest.mark.parametrize("name", ["BEHIND_PROXY", "SECURE_COOKIES"])
def test_cookies_are_secure_and_of_this_host_alone(tmp_path, name):
    for cookie, own in (("SESSION", "__Host-sessionid"), ("CSRF", "__Host-csrftoken")):
        assert setting(tmp_path, f"{cookie}_COOKIE_NAME", **{name: "1"}) == repr(own)
        assert setting(tmp_path, f"{cookie}_COOKIE_SECURE", **{name: "1"}) == "True"
        assert setting(tmp_path, f"{cookie}_COOKIE_SECURE", **{name: ""}) == "False"


def test_proxy_in_front_means_https_only(tmp_path):
    assert setting(tmp_path, "SECURE_SSL_REDIRECT", BEHIND_PROXY="1") == "True"
    assert int(setting(tmp_path, "SECURE_HSTS_SECONDS", BEHIND_PROXY="1")) >= 31_536_000
    assert setting(tmp_path, "SECURE_SSL_REDIRECT", BEHIND_PROXY="") == "False"


def test_redirect_and_hsts_have_their_own_variables(tmp_path):
    assert setting(tmp_path, "SECURE_SSL_REDIRECT", BEHIND_PROXY="1", HTTPS_REDIRECT="0") == "False"
    assert setting(tmp_path, "SECURE_SSL_REDIRECT", BEHIND_PROXY="", HTTPS_REDIRECT="1") == "True"
    assert setting(tmp_path, "SECURE_SSL_REDIRECT", BEHIND_PROXY="1", HTTPS_REDIRECT="") == "True"
    assert setting(tmp_path, "SECURE_HSTS_SECONDS", BEHIND_PROXY="1", HSTS_SECONDS="0") == "0"
    assert setting(tmp_path, "SECURE_HSTS_SECONDS", BEHIND_PROXY="1", HSTS_SECONDS="3600") == "3600"


def test_processes_have_their_variables(tmp_path):
    assert setting(tmp_path, "CELERY_WORKER_CONCURRENCY", WORKER_CONCURRENCY="5") == "5"
    assert setting(tmp_path, "CELERY_WORKER_CONCURRENCY", WORKER_CONCURRENCY="") == "2"
    assert setting(tmp_path, "IS_SECRET_KEY_GIVEN", SECRET_KEY="x") == "True"
    assert setting(tmp_path, "IS_SECRET_KEY_GIVEN", SECRET_KEY="") == "False"


def test_days_of_retention_are_numbers(tmp_path):
    assert setting(tmp_path, "RETENTION_DELIVERIES_DAYS", RETENTION_DELIVERIES_DAYS="30") == "30"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        setting(tmp_path, "RETENTION_ATTEMPTS_DAYS", RETENTION_ATTEMPTS_DAYS="-1")
    assert "must be numbers of days" in refused.value.stderr


def test_server_that_says_nothing_is_given_up_after_ten_seconds_unless_the_url_says_otherwise(tmp_path):
    options = "DATABASES['default']['OPTIONS']"
    ours = ast.literal_eval(setting(tmp_path, options, DATABASE_URL="postgres://u:p@db.example/n"))
    assert ours["keepalives_idle"] + ours["keepalives_interval"] * ours["keepalives_count"] < 12
    assert ours["tcp_user_timeout"] == 10_000
    given = "postgres://u:p@db.example/n?keepalives_idle=60&tcp_user_timeout=0&connect_timeout=9&sslmode=require"
    theirs = ast.literal_eval(setting(tmp_path, options, DATABASE_URL=given))
    assert (theirs["keepalives_idle"], theirs["tcp_user_timeout"], theirs["connect_timeout"]) == (60, 0, 9)
    assert (theirs["keepalives_count"], theirs["sslmode"]) == (ours["keepalives_count"], "require")


# --- e-mail ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp+tls://me:a%2Fb%23c@mail.example", ("mail.example", 587, "a/b#c", True, False)),
        ("smtp+ssl://me:$x@mail.example", ("mail.example", 465, "$x", False, True)),
        ("smtp://127.0.0.1", ("127.0.0.1", 25, None, False, False)),
        ("smtp://127.0.0.1:2525", ("127.0.0.1", 2525, None, False, False)),
    ],
)
def test_email_url_names_the_server(tmp_path, url, expected):
    names = ("EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_PASSWORD", "EMAIL_USE_TLS", "EMAIL_USE_SSL")
    code = f"from django.conf import settings as s; print(tuple(getattr(s, n) for n in {names}))"
    assert printed(tmp_path, code, EMAIL_URL=url) == repr(expected)


@pytest.mark.parametrize("scheme", ["smtp", "smtp+tls", "http", "mail"])
@pytest.mark.parametrize("secret", ["hush/hush", "hush#hush", "12/hush", "hush@hush/"])
def test_broken_email_url_refuses_the_start_without_repeating_the_password(tmp_path, scheme, secret):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        setting(tmp_path, "EMAIL_HOST", EMAIL_URL=f"{scheme}://me:{secret}@mail.example:587")
    assert "EMAIL_URL" in caught.value.stderr
    assert "hush" not in caught.value.stderr


def test_links_begin_with_the_public_address(tmp_path):
    hosts = {"ALLOWED_HOSTS": ".panel.example,localhost", "PORT": "8123"}
    assert setting(tmp_path, "SITE_URL", BEHIND_PROXY="1", **hosts) == "'https://panel.example'"
    assert setting(tmp_path, "SITE_URL", BEHIND_PROXY="", **hosts) == "'http://127.0.0.1:8123'"
    assert setting(tmp_path, "SITE_URL", SITE_URL="https://a.example/", **hosts) == "'https://a.example'"

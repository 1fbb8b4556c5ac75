"""System checks of what an operator sets: each with a number, a sentence and a hint. `manage.py check` runs them.

E is refused at every start; W001 and up are said by `manage.py check --deploy` and `serve`.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own name for it

from callbacks.egress.proxy import proxy_from

ENGINES = {"django.db.backends.sqlite3", "django.db.backends.postgresql"}


@register("postbacks")
def check_environment(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    return [message for check in _ENVIRONMENT for message in check()]


@register("postbacks", deploy=True)
def check_production(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    return [message for check in _PRODUCTION for message in check()]


# --- every start -------------------------------------------------------------
def _port() -> list[CheckMessage]:
    if 0 < settings.PORT < 65536:
        return []
    return [Error(f"PORT is {settings.PORT}.", hint="Choose a number from 1 to 65535.", id="postbacks.E001")]


def _allowed_ports() -> list[CheckMessage]:
    if all(0 < port < 65536 for port in settings.CALLBACKS_ALLOWED_PORTS):
        return []
    return [
        Error(
            "CALLBACKS_ALLOWED_PORTS holds something that is no port.",
            hint="List numbers from 1 to 65535 with commas between them, such as 8081,9000.",
            id="postbacks.E002",
        )
    ]


def _broker() -> list[CheckMessage]:
    if urlsplit(settings.REDIS_URL).scheme in {"redis", "rediss"}:
        return []
    return [
        Error(
            "REDIS_URL is not the URL of a Valkey or Redis server.",
            hint="Write redis://HOST:PORT/0, or rediss:// for TLS; leave it out to use the embedded Valkey.",
            id="postbacks.E003",
        )
    ]


def _database() -> list[CheckMessage]:
    if settings.DATABASES["default"]["ENGINE"] in ENGINES:
        return []
    return [
        Error(
            "DATABASE_URL names a kind of database that this is not made for.",
            hint="Use postgres://USER:PASSWORD@HOST/NAME, or leave it out to use SQLite in DATA_DIR.",
            id="postbacks.E004",
        )
    ]


def _ca_bundle() -> list[CheckMessage]:
    if os.path.isfile(settings.CALLBACKS_CA_BUNDLE):  # noqa: PTH113 - the setting is a string
        return []
    return [
        Error(
            f"CALLBACKS_CA_BUNDLE names no file: {settings.CALLBACKS_CA_BUNDLE}.",
            hint="Name a file of PEM certificates, or leave it out to use the one that comes with certifi.",
            id="postbacks.E005",
        )
    ]


def _referral_parameter() -> list[CheckMessage]:
    if settings.REFERRAL_PARAMETER.replace("_", "").replace("-", "").isalnum():
        return []
    return [
        Error(
            "REFERRAL_PARAMETER cannot be the name of a link's parameter.",
            hint="Use letters, digits, - and _ only, such as ref.",
            id="postbacks.E006",
        )
    ]


def _proxy() -> list[CheckMessage]:
    try:
        proxy_from(settings.CALLBACKS_PROXY_URL)
    except ValueError as error:  # which repeats nothing of the URL
        return [
            Error(
                f"CALLBACKS_PROXY_URL cannot be used. {error}",
                hint="Write http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if the proxy "
                "wants them (percent-encoded), or leave it out to send directly.",
                id="postbacks.E007",
            )
        ]
    return []


# --- production --------------------------------------------------------------
def _demo() -> list[CheckMessage]:
    if not (settings.DEMO or settings.DEBUG):
        return []
    return [
        Warning(
            "The echo receiver at /echo/ is open to everybody.",
            hint="Unset DEMO and DEBUG.",
            id="postbacks.W001",
        )
    ]


def _open_networks() -> list[CheckMessage]:
    if not settings.CALLBACKS_ALLOWED_NETWORKS:
        return []
    networks = ", ".join(map(str, settings.CALLBACKS_ALLOWED_NETWORKS))
    return [
        Warning(
            f"Callbacks may reach {networks}, whatever is there.",
            hint="Whoever may write a callback's URL can send requests there: list in CALLBACKS_ALLOWED_NETWORKS only "
            "what trackers of yours need.",
            id="postbacks.W002",
        )
    ]


def _names_behind_proxy() -> list[CheckMessage]:
    if not settings.CALLBACKS_PROXY_URL:
        return []
    return [
        Warning(
            "Callbacks go through a proxy, which looks their hosts' names up itself.",
            hint="Where a name leads cannot be seen from here: have the proxy refuse private networks and the cloud's "
            "metadata addresses.",
            id="postbacks.W004",
        )
    ]


def _sqlite() -> list[CheckMessage]:
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3":
        return []
    return [
        Warning(
            "The database is SQLite: one machine, one writer at a time.",
            hint="That is enough for a small shop. Set DATABASE_URL to a PostgreSQL database for more.",
            id="postbacks.W003",
        )
    ]


_Check = Callable[[], list[CheckMessage]]
_ENVIRONMENT: tuple[_Check, ...] = (
    _port, _allowed_ports, _broker, _database, _ca_bundle, _referral_parameter, _proxy,
)  # fmt: skip
_PRODUCTION: tuple[_Check, ...] = (_demo, _open_networks, _sqlite, _names_behind_proxy)

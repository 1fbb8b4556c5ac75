"""System checks of what an operator sets: each with a number, a sentence and a hint.

An error (E) is refused at every start; those of `check_start` where it is production. Warnings (W) are shown by
`manage.py check --deploy`, `serve` and `web`.
"""

import os
from collections.abc import Callable, Sequence
from ipaddress import IPv6Network
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own name for it
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from callbacks.egress.addresses import NAT64_LENGTHS, WELL_KNOWN_NAT64, nat64_prefixes
from callbacks.egress.dns import Resolver
from callbacks.egress.dns import system_lookup as look_up
from callbacks.egress.proxy import proxy_from
from config.security import encryption
from config.stack.data_dir import open_to_others

SQLITE = "django.db.backends.sqlite3"
IPV4_ONLY_NAME, LOOKUP_S = "ipv4only.arpa", 2.0
ENGINES = {SQLITE, "config.postgresql"}


@register("postbacks")
def check_environment(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    proxy_fault = _proxy_fault()
    rows = (  # number, whether it is wrong, sentence, hint
        (1, not _is_port(settings.PORT), f"PORT is {settings.PORT}.", "Choose a number from 1 to 65535."),
        (
            2,
            not all(map(_is_port, settings.CALLBACKS_ALLOWED_PORTS)),
            "CALLBACKS_ALLOWED_PORTS has a value that is not a port.",
            "Use numbers from 1 to 65535, separated by commas, such as 8081,9000.",
        ),
        (
            3,
            not _is_broker(settings.REDIS_URL),
            "REDIS_URL is not the URL of a Valkey or Redis server.",
            "Use redis://HOST:PORT/0, or rediss:// for TLS. Remove it to use the embedded Valkey.",
        ),
        (
            4,
            settings.DATABASES["default"]["ENGINE"] not in ENGINES,
            "DATABASE_URL names an unsupported database.",
            "Use postgres://USER:PASSWORD@HOST/NAME. Remove it to use SQLite in DATA_DIR.",
        ),
        (
            5,
            not os.path.isfile(settings.CALLBACKS_CA_BUNDLE),  # noqa: PTH113 - the setting is a string
            f"CALLBACKS_CA_BUNDLE is not a file: {settings.CALLBACKS_CA_BUNDLE}.",
            "Name a file of PEM certificates. Remove it to use certifi's.",
        ),
        (
            6,
            not all(map(_is_parameter, settings.REFERRAL_PARAMETERS or ("",))),
            "REFERRAL_PARAMETER has a value that is not a parameter name.",
            "Use letters, digits, - and _, and separate names by commas, such as ref,aff.",
        ),
        (
            7,
            bool(proxy_fault),
            f"CALLBACKS_PROXY_URL cannot be used. {proxy_fault}",
            (
                "Use http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ (percent-encoded) before the host if "
                "the proxy needs them. Remove it to send directly."
            ),
        ),
        (
            8,
            any(network.prefixlen not in NAT64_LENGTHS for network in settings.CALLBACKS_NAT64_PREFIXES),
            "CALLBACKS_NAT64_PREFIXES has a prefix of a length that NAT64 does not allow.",
            "Use 32, 40, 48, 56, 64 or 96 bits (RFC 6052), as in 2001:db8:64::/96.",
        ),
    )
    return [Error(text, hint=hint, id=f"postbacks.E{number:03}") for number, is_wrong, text, hint in rows if is_wrong]


@register("postbacks", deploy=True)
def check_production(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    prefixes = "" if settings.CALLBACKS_PROXY_URL else ", ".join(map(str, sorted(_unknown_nat64())))
    readable = open_to_others(settings.DATA_DIR, [*settings.DATABASE_FILES, settings.BASE_DIR / ".env"])
    rows = (
        (
            1,
            settings.DEMO or settings.DEBUG,
            "Anybody can use the echo receiver at /echo/.",
            "Unset DEMO and DEBUG.",
        ),
        (
            2,
            settings.CALLBACKS_ALLOWED_NETWORKS,
            f"Callbacks may call every address in {', '.join(map(str, settings.CALLBACKS_ALLOWED_NETWORKS))}.",
            (
                "Everybody who may edit callbacks can send requests there. List only the networks of your trackers in "
                "CALLBACKS_ALLOWED_NETWORKS."
            ),
        ),
        (
            3,
            settings.DATABASES["default"]["ENGINE"] == SQLITE,
            "The database is SQLite, which allows one machine and one writer at a time.",
            "This is enough for a small shop. For more, set DATABASE_URL to a PostgreSQL database.",
        ),
        (
            4,
            settings.CALLBACKS_PROXY_URL,
            "Callbacks go through a proxy, which looks up host names itself.",
            (
                "Private addresses cannot be blocked here. Configure the proxy to refuse private networks and cloud "
                "metadata addresses."
            ),
        ),
        (
            5,
            settings.SECURE_PROXY_SSL_HEADER and not settings.TRUSTED_PROXIES,
            "TRUSTED_PROXIES is not set, so all log-ins seem to come from the proxy.",
            (
                "List the addresses or networks of your proxies, such as 10.0.0.5. Without them nobody is locked out "
                "by address, and the log has the proxy's address."
            ),
        ),
        (
            6,
            _count(encryption.count_plain),
            "Some signing secrets of an older release are stored unencrypted.",
            "They are encrypted automatically an hour after the upgrade. To do it now, run manage.py encrypt_secrets.",
        ),
        (
            7,
            _count(encryption.count_unreadable),
            UNREADABLE,
            "Restore the previous SECRET_KEY, or run manage.py rotate_secret_key with it.",
        ),
        (
            8,
            prefixes,
            f"This network translates IPv6 to IPv4 (NAT64) with its own prefix: {prefixes}.",
            (
                f"Set CALLBACKS_NAT64_PREFIXES={prefixes.replace(' ', '')}. Otherwise private IPv4 addresses behind "
                "this prefix are not blocked."
            ),
        ),
        (
            9,
            readable,
            f"Other users of this machine may read or write {', '.join(map(str, readable[:3]))}.",
            "They contain secrets. Make the user that runs this their owner, and run chmod go-rwx on them.",
        ),
    )
    return [Warning(text, hint=hint, id=f"postbacks.W{number:03}") for number, is_open, text, hint in rows if is_open]


@register("postbacks", deploy=True)
def check_start(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """What web and worker of a production do not start with."""
    is_several_hosts = settings.DATABASES["default"]["ENGINE"] != SQLITE
    try:
        waiting = unapplied_migrations()
    except DatabaseError:  # whoever needs it will say so
        waiting = []
    names = ", ".join(waiting[:3]) + (" ..." if len(waiting) > 3 else "")
    rows = (
        (
            9,
            is_several_hosts and not settings.IS_SECRET_KEY_GIVEN,
            "SECRET_KEY is not set, but several hosts can use this database.",
            (
                "Each host would create its own key, so sessions and stored secrets of one could not be read by "
                f"another. Put SECRET_KEY=... into .env, the same on every host. The key used so far is in "
                f"{settings.DATA_DIR / 'secret_key'}; with several hosts use the key of the first one."
            ),
        ),
        (
            10,
            waiting,
            f"The database is not up to date: {len(waiting)} migrations are missing ({names}).",
            "Run manage.py migrate, or start with serve --migrate.",
        ),
    )
    return [Error(text, hint=hint, id=f"postbacks.E{number:03}") for number, is_wrong, text, hint in rows if is_wrong]


def unapplied_migrations(database: Any = connection) -> list[str]:
    """As `app.name`. Raises what the database raises."""
    executor = MigrationExecutor(database)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


UNREADABLE = "Stored secrets were encrypted with another SECRET_KEY, so postbacks cannot be signed."


def _count(found: Callable[[], int]) -> int:
    """0 if the database cannot be asked, or has no tables yet."""
    try:
        return found()
    except DatabaseError:
        return 0


def _is_parameter(name: str) -> bool:
    return name.replace("_", "").replace("-", "").isalnum()


def _is_port(number: int) -> bool:
    return 0 < number < 65536


def _unknown_nat64() -> set[IPv6Network]:
    """The NAT64 prefixes that this network's name server uses and no setting names; none if it does not answer soon."""
    resolver = Resolver(look_up)
    resolver.cached(IPV4_ONLY_NAME)
    resolver.wait(LOOKUP_S)
    found = [address for _, addresses in resolver.results() for address in addresses]
    return nat64_prefixes(found) - {WELL_KNOWN_NAT64, *settings.CALLBACKS_NAT64_PREFIXES}


def _is_broker(url: str) -> bool:
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return urlsplit(url).scheme in {"redis", "rediss"}


def _proxy_fault() -> str:
    try:
        proxy_from(settings.CALLBACKS_PROXY_URL)
    except ValueError as error:  # its text repeats nothing of the URL
        return str(error)
    return ""

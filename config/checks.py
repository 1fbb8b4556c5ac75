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
ENGINES = {SQLITE, "django.db.backends.postgresql"}


@register("postbacks")
def check_environment(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    proxy_fault = _proxy_fault()
    rows = (  # number, whether it is wrong, sentence, hint
        (1, not _is_port(settings.PORT), f"PORT is {settings.PORT}.", "Choose a number from 1 to 65535."),
        (
            2,
            not all(map(_is_port, settings.CALLBACKS_ALLOWED_PORTS)),
            "CALLBACKS_ALLOWED_PORTS holds something that is no port.",
            "List numbers from 1 to 65535 with commas between them, such as 8081,9000.",
        ),
        (
            3,
            not _is_broker(settings.REDIS_URL),
            "REDIS_URL is not the URL of a Valkey or Redis server.",
            "Write redis://HOST:PORT/0, or rediss:// for TLS; leave it out to use the embedded Valkey.",
        ),
        (
            4,
            settings.DATABASES["default"]["ENGINE"] not in ENGINES,
            "DATABASE_URL names a kind of database that this is not made for.",
            "Use postgres://USER:PASSWORD@HOST/NAME, or leave it out to use SQLite in DATA_DIR.",
        ),
        (
            5,
            not os.path.isfile(settings.CALLBACKS_CA_BUNDLE),  # noqa: PTH113 - the setting is a string
            f"CALLBACKS_CA_BUNDLE names no file: {settings.CALLBACKS_CA_BUNDLE}.",
            "Name a file of PEM certificates, or leave it out to use the one that comes with certifi.",
        ),
        (
            6,
            not settings.REFERRAL_PARAMETER.replace("_", "").replace("-", "").isalnum(),
            "REFERRAL_PARAMETER cannot be the name of a link's parameter.",
            "Use letters, digits, - and _ only, such as ref.",
        ),
        (
            7,
            bool(proxy_fault),
            f"CALLBACKS_PROXY_URL cannot be used. {proxy_fault}",
            (
                "Write http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if the proxy wants "
                "them (percent-encoded), or leave it out to send directly."
            ),
        ),
        (
            8,
            any(network.prefixlen not in NAT64_LENGTHS for network in settings.CALLBACKS_NAT64_PREFIXES),
            "CALLBACKS_NAT64_PREFIXES holds a prefix that no NAT64 translator can have.",
            "A prefix has 32, 40, 48, 56, 64 or 96 bits (RFC 6052), as in 2001:db8:64::/96.",
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
            "The echo receiver at /echo/ is open to everybody.",
            "Unset DEMO and DEBUG.",
        ),
        (
            2,
            settings.CALLBACKS_ALLOWED_NETWORKS,
            f"Callbacks may reach {', '.join(map(str, settings.CALLBACKS_ALLOWED_NETWORKS))}, whatever is there.",
            (
                "Whoever may write a callback's URL can send requests there: list in CALLBACKS_ALLOWED_NETWORKS only "
                "what trackers of yours need."
            ),
        ),
        (
            3,
            settings.DATABASES["default"]["ENGINE"] == SQLITE,
            "The database is SQLite: one machine, one writer at a time.",
            "That is enough for a small shop. Set DATABASE_URL to a PostgreSQL database for more.",
        ),
        (
            4,
            settings.CALLBACKS_PROXY_URL,
            "Callbacks go through a proxy, which looks their hosts' names up itself.",
            (
                "Where a name leads cannot be seen from here: have the proxy refuse private networks and the cloud's "
                "metadata addresses."
            ),
        ),
        (
            5,
            settings.SECURE_PROXY_SSL_HEADER and not settings.TRUSTED_PROXIES,
            "Everybody who logs in seems to come from the proxy: TRUSTED_PROXIES does not name it.",
            (
                "List the addresses or networks of your proxies, such as 10.0.0.5. Without them nobody is locked out "
                "by address, and the log says the proxy's."
            ),
        ),
        (
            6,
            _count(encryption.count_plain),
            "Signing secrets of an older release are stored as they are.",
            "They are encrypted an hour after the update; manage.py encrypt_secrets does it at once.",
        ),
        (
            7,
            _count(encryption.count_unreadable),
            UNREADABLE,
            "Put the right SECRET_KEY back, or run manage.py rotate_secret_key with the one that was in use before.",
        ),
        (
            8,
            prefixes,
            f"This network translates IPv6 to IPv4 (NAT64) with a prefix of its own: {prefixes}.",
            (
                f"Set CALLBACKS_NAT64_PREFIXES={prefixes.replace(' ', '')}: else an address with this prefix is not "
                "judged by the IPv4 address in it, which may be a private one."
            ),
        ),
        (
            9,
            readable,
            f"Other users of this machine may read or write {', '.join(map(str, readable[:3]))}.",
            "These hold secrets: give them to the user that runs this, with chmod go-rwx.",
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
            "SECRET_KEY is not set, and the database is one that several hosts can use.",
            (
                "Each host would make a key of its own: a log-in at one would be none at the other, and stored secrets "
                f"could not be read there. The key in use so far is in {settings.DATA_DIR / 'secret_key'}: put it into "
                ".env as SECRET_KEY=..., the same on every host. With more than one host, take the key of the one that "
                "was first."
            ),
        ),
        (
            10,
            waiting,
            f"The database is not up to date: {len(waiting)} migrations are missing ({names}).",
            "Run manage.py migrate; or start with serve --migrate.",
        ),
    )
    return [Error(text, hint=hint, id=f"postbacks.E{number:03}") for number, is_wrong, text, hint in rows if is_wrong]


def unapplied_migrations(database: Any = connection) -> list[str]:
    """As `app.name`. Raises what the database raises."""
    executor = MigrationExecutor(database)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


UNREADABLE = "Stored secrets were encrypted under another SECRET_KEY: nothing can be signed with them."


def _count(found: Callable[[], int]) -> int:
    """0 if the database cannot be asked, or has no tables yet."""
    try:
        return found()
    except DatabaseError:
        return 0


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

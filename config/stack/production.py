"""What production refuses to start with: another key on each host, and tables of another release.

`manage.py dev` needs none of this: it is one machine, makes a key of its own and migrates by itself. The sentences are
those of `config.checks`.
"""

import ipaddress
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection, connections

SAY_EACH_S = 60.0

log = structlog.get_logger(__name__)


def prepare(*, migrates: bool) -> None:
    """Migrate if that is asked for, and run `check --deploy`. Raises `CommandError` for what must not start."""
    if migrates:
        call_command("migrate", interactive=False)
    call_command("check", deploy=True)


def wait_for_database(is_asked_to_end: Callable[[], bool] = lambda: False) -> None:
    """Come back once the database answers: a worker that is started while it is away has time."""
    said_at = -SAY_EACH_S
    while not is_asked_to_end():
        try:
            connection.ensure_connection()
        except OperationalError:
            if time.monotonic() - said_at >= SAY_EACH_S:
                said_at = time.monotonic()
                log.warning("database_awaited")
            time.sleep(1)
        else:
            return


def refuse_worker() -> None:
    """End this process, with a sentence, if a worker must not work. It keeps no connection: a worker forks."""
    import django

    django.setup()  # Celery does it later
    from config.checks import check_start  # it needs the apps

    wait_for_database()
    errors = check_start(None)
    connections.close_all()
    if errors:
        raise SystemExit("\n".join(f"{error.msg} {error.hint}" for error in errors))


def exposed(host: str) -> str:
    """A warning if other machines can reach the site in plain HTTP; else nothing."""
    if settings.BEHIND_PROXY or _is_loopback(host):
        return ""
    return (
        f"WARNING: {host} can be reached from other machines, and passwords and tokens are sent over plain HTTP. "
        "Use a proxy with TLS, listen on 127.0.0.1, and set BEHIND_PROXY=1."
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

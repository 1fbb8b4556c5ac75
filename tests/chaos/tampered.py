"""Runs a program of the product with something wrong in it, which is how a fault happens at one exact place.

`python -m tests.chaos.tampered celery ...`, `shop`, `web FD`, `manage ...` or `plain-migrate`, which is Django's own.
CHAOS_DIE_AT names one of `places`: the process kills itself there, once for each file CHAOS_DIE_ONCE. CHAOS_CLOCK is a
file with the seconds by which the clock is wrong. CHAOS_WITHOUT names one of `safeties`, which is taken out: what the
tests look for then happens. CHAOS_MIGRATIONS is a package with the migrations of `callbacks`. Nothing else is different
from the real programs.
"""

import contextlib
import functools
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core import management
from django.utils import timezone


def die(*_: object) -> None:
    """Die at once, without a chance to tidy up; but not a second time."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(os.environ["CHAOS_DIE_ONCE"], os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    wrap(owner, name, lambda original, *a, **k: (die(), original(*a, **k))[1])


def after(owner: Any, name: str) -> None:
    """After a call that did something: an empty answer does not count."""

    def dying(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if result is None or result:
            die()
        return result

    wrap(owner, name, dying)


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    setattr(owner, name, functools.partial(around, getattr(owner, name)))


def places() -> dict[str, Callable[[], None]]:
    from callbacks.delivery import outbox, queue, resend, settle, wakeup
    from callbacks.jobs import runner  # Django is set up only now

    return {
        "recorded, not committed": lambda: after(outbox, "record"),
        "committed, no wake-up sent": lambda: before(wakeup, "send"),
        "claimed, not sent": lambda: after(queue, "claim"),
        "answered 2xx, not settled": lambda: before(settle, "settle"),
        "attempt written, not committed": lambda: after(settle, "write_attempts"),
        "settled": lambda: after(settle, "settle"),
        "resent, step not committed": lambda: after(resend, "resend"),
        "backfilled, step not committed": lambda: after(outbox, "record_events"),
        "step committed": lambda: after(runner, "step"),
        "leases taken back, no wake-up sent": lambda: after(queue, "recover"),
    }


def safeties() -> dict[str, Callable[[], None]]:
    from callbacks.delivery import outbox, queue
    from callbacks.egress.outcome import Outcome
    from callbacks.egress.transport import Transport
    from callbacks.models import Delivery  # Django is set up only now

    turns = itertools.count()

    def record_some(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return None if next(turns) % 5 == 0 else original(*args, **kwargs)

    def forget_leases(original: Callable[..., Any]) -> Any:
        Delivery.objects.filter(status="sending").update(leased_until=timezone.now() - timedelta(seconds=1))
        return original()

    submit = Transport.submit

    def submit_some(transport: Any, request: Any) -> None:
        if next(turns) % 5 == 0:
            transport._finished.append(Outcome(request.key, 200, "", "It is said to have been sent."))
        else:
            submit(transport, request)

    return {
        "recording": lambda: wrap(outbox, "record", record_some),
        "leases": lambda: wrap(queue, "recover", forget_leases),
        "sending": lambda: setattr(Transport, "submit", submit_some),
    }


def set_clock(file: Path) -> None:
    """Have all that Django and the engine know of the time be wrong by what the file says, as soon as it says so."""
    right = timezone.now

    def wrong() -> Any:
        return right() + timedelta(seconds=float(file.read_text()))

    timezone.now = wrong


def main() -> None:
    django.setup()
    if place := os.environ.get("CHAOS_DIE_AT"):
        places()[place]()
    if without := os.environ.get("CHAOS_WITHOUT"):
        safeties()[without]()
    if clock := os.environ.get("CHAOS_CLOCK"):
        set_clock(Path(clock))
    if package := os.environ.get("CHAOS_MIGRATIONS"):
        settings.MIGRATION_MODULES = {"callbacks": package}
    match sys.argv.pop(1):
        case "shop":
            from tests.chaos import shop

            shop.serve()
        case "web":
            from config.stack import web

            web.serve(socket.socket(fileno=int(sys.argv[1])))
        case "manage":
            management.execute_from_command_line()
        case "plain-migrate":
            from django.core.management.commands.migrate import Command  # without our waiting

            management.call_command(Command())
        case _:
            from celery.__main__ import main as celery

            celery()


if __name__ == "__main__":
    main()

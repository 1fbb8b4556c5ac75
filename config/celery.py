"""The Celery application and the schedule of beat. The tasks are in `callbacks.tasks`."""

import atexit
import gc
import os
import signal
from functools import cached_property
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    worker_before_create_process,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)
from celery.utils.nodenames import default_nodename

from config import db_locks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Without this, a name server that does not answer blocks the thread that asks it for half a minute.
os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:2")

_background: Any = None
_poller: Any = None


class Application(Celery):
    @cached_property
    def Beat(self) -> Any:  # noqa: N802 - Celery's name
        name: Any = "config.broker_retry:QuietBeat"  # celery-types knows classes only
        return self.subclass_with_self(name)


app = Application("postbacks")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.worker_consumer = "config.broker_retry:PromptConsumer"
app.conf.worker_cancel_long_running_tasks_on_connection_loss = True  # we have none; but without it, it warns each time
app.conf.beat_scheduler = "config.broker_retry:PromptScheduler"
app.autodiscover_tasks()
# Beat keeps no note of what ran: what is to run once a day needs a time of day (`crontab`), or it would begin to wait
# anew with each start. What comes at least once a minute is done by the workers themselves while beat is away.
app.conf.beat_schedule = {
    "sweep": {"task": "callbacks.tasks.sweep", "schedule": 2.0, "options": {"expires": 10}},
    "jobs": {"task": "callbacks.tasks.step_errands", "schedule": 1.0, "options": {"expires": 2}},
    "encrypt secrets": {"task": "callbacks.tasks.encrypt_secrets", "schedule": 3600.0, "options": {"expires": 3600}},
    "prune": {"task": "callbacks.tasks.prune", "schedule": 60.0, "options": {"expires": 60}},
    "hourly counts": {"task": "callbacks.tasks.tally", "schedule": 20.0, "options": {"expires": 20}},
}


@setup_logging.connect
def _keep_our_log(**_: Any) -> None:
    """Django has set it up. Celery, which leaves it alone because of this, would ignore LOG_LEVEL."""


@celeryd_init.connect
def _start_without_banner(instance: Any, conf: Any, **_: Any) -> None:
    from celery.apps import worker  # large, and the settings are named only now
    from django.conf import settings

    if settings.LOG_LEVEL != "DEBUG":
        instance.quiet = True
        worker.safe_say = lambda *_: None  # type: ignore[attr-defined]  # celery-types leaves it out


@worker_init.connect
def _refuse_to_start(**_: Any) -> None:
    """A worker with another key, or with tables of another release, would send wrongly or not at all."""
    from config.stack import production  # only a worker asks

    production.refuse_worker()


@celeryd_init.connect
def _name_worker(instance: Any, **_: Any) -> None:
    """Give each worker of a host a name of its own, unless it was given one."""
    if instance.hostname == default_nodename(""):
        instance.hostname = instance.hostname.replace("@", f"-{os.getpid()}@", 1)


@worker_ready.connect
def _sweep_at_once(**_: Any) -> None:
    """Send what is due as soon as there is a worker."""
    app.send_task("callbacks.tasks.sweep", expires=10)


@worker_before_create_process.connect
def _share_memory(**_: Any) -> None:
    """Let the pool's processes share memory: the garbage collector does not write into what is frozen."""
    gc.collect()
    gc.freeze()


@worker_process_init.connect
def _wait_briefly_for_locks(**_: Any) -> None:
    """A worker must record what it has sent before its leases end, so it does not wait long behind one lock."""
    db_locks.set_timeout(3)


@worker_process_init.connect
def _end_with_the_parent(**_: Any) -> None:
    """Leave it to the parent when this process ends: it is told by a signal to all processes of the worker too, as
    systemd and others send it, and lets them finish. The kernel kills them if it dies.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@worker_process_init.connect
def _start_threads(**_: Any) -> None:
    global _poller  # noqa: PLW0603 - one for the process
    from callbacks.poller import Poller  # its models are loaded only now

    _start_background("worker")
    _poller = Poller()
    _poller.start()


@beat_init.connect
def _say_that_beat_lives(**_: Any) -> None:
    db_locks.limit_waiting()
    _start_background("beat")
    atexit.register(_background.stop)  # Celery has no signal for the end of beat


@worker_process_shutdown.connect
def _stop_threads(**_: Any) -> None:
    _poller.stop()
    _background.stop(timeout_s=0.5)  # its parent waits for both, and is to end in time


def _start_background(kind: str) -> None:
    global _background  # noqa: PLW0603 - one for the process
    from config.monitoring import alarms  # its models are loaded only now
    from config.monitoring.background import Background  # as above

    _background = Background(kind, (alarms.look,))
    _background.start()

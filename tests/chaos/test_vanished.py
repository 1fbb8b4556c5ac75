"""PostgreSQL's host vanishes without a word: what is sent there is neither answered nor refused."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests.chaos import databases
from tests.chaos.host import Host
from tests.chaos.surroundings import Surroundings
from tests.postgresql import Cluster
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

pytestmark = pytest.mark.full  # a silence is told from a slow answer after ten seconds
BACK_S, ENDED_S = 30, 15  # what is waited for at most: that all is out, that a worker ends


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.remove()


@pytest.fixture
def cluster(host: Host) -> Iterator[Cluster]:
    with host.entered():
        running = Cluster(durable=True, address=host.address)
    yield running
    running.stop()


@pytest.fixture
def new_chaos_database(cluster: Cluster, django_db_blocker: DjangoDbBlocker) -> Callable[[], str]:
    with django_db_blocker.unblock():
        return databases.of_cluster(cluster.url)


@pytest.fixture
def remote(around: Surroundings, host: Host) -> Surroundings:
    """Worker and beat reach the database over the cable; the test itself by the server's socket."""
    local = around.env["DATABASE_URL"].partition("?")[0]
    around.env["DATABASE_URL"] = local.replace("postgres@/", f"postgres@{host.address}/")
    return around


def wait(seconds: float) -> None:
    with contextlib.suppress(AssertionError):
        wait_until(bool, seconds)


@pytest.mark.parametrize("gone_s", [5, 20, 40])
def test_all_is_out_soon_after_the_database_is_back(
    remote: Surroundings, host: Host, receiver: Receiver, report: Callable[..., None], gone_s: int
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    codes = remote.place(2000)
    remote.beat()
    remote.worker()
    receiver.wait_for(300, 60)
    host.unplug()
    wait(1)  # what was on the wire has been answered
    remote.note_fault(remote.claimed(), time.time())
    remote.place(200, codes)
    wait(gone_s - 1)
    host.plug()
    took = remote.wait_until_sent(BACK_S)
    report(f"PostgreSQL's host silent for {gone_s} s", remote.count(), f"all out {took:.1f} s after its return")


def test_all_is_out_soon_after_the_host_was_replaced_while_an_answer_was_waited_for(
    remote: Surroundings, host: Host, cluster: Cluster, receiver: Receiver, report: Callable[..., None]
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    codes = remote.place(2000)
    remote.beat()
    remote.worker()
    receiver.wait_for(300, 60)
    with psycopg.connect(cluster.url.replace("/postgres?", f"/{connection.settings_dict['NAME']}?")) as other:
        other.execute("LOCK TABLE callbacks_delivery IN ACCESS EXCLUSIVE MODE")
        wait_until(lambda: _wait_for_a_lock(other), 10)
        host.unplug()
    wait(1)
    remote.note_fault(remote.claimed(), time.time())
    connection.close()  # the test's own
    cluster.end(signal.SIGINT)
    host.replace()
    with host.entered():
        cluster.start()
    remote.place(200, codes)
    took = remote.wait_until_sent(BACK_S)
    report("PostgreSQL's host replaced", remote.count(), f"all out {took:.1f} s after its return")


def _wait_for_a_lock(other: psycopg.Connection) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL AND wait_event_type = 'Lock'"
    return other.execute(waiting).fetchone() != (0,)


@pytest.mark.parametrize("gone_s", [1, 15])
def test_worker_asked_to_end_meanwhile_ends(
    remote: Surroundings, host: Host, receiver: Receiver, report: Callable[..., None], gone_s: int
) -> None:
    receiver.answer("*", Answer(delay_s=0.02))
    remote.place(2000)
    worker = remote.worker()
    remote.beat()
    receiver.wait_for(300, 60)
    host.unplug()
    wait(gone_s)
    began = time.monotonic()
    worker.process.terminate()
    worker.process.wait(timeout=2 * ENDED_S)
    took = time.monotonic() - began
    host.plug()
    remote.note_deaths()
    remote.expire_leases()
    remote.worker()
    remote.wait_until_sent(60)
    report(f"SIGTERM {gone_s} s after PostgreSQL's host fell silent", remote.count(), f"ended after {took:.1f} s")
    assert took < ENDED_S

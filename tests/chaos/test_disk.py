"""A disk that is full for a while: what cannot be written is not accepted, and afterwards everything goes on."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests.chaos import databases
from tests.chaos.broker import Broker
from tests.chaos.conftest import IS_POSTGRESQL
from tests.chaos.judging import judge
from tests.chaos.offering import Offering
from tests.chaos.small_disk import SmallDisk
from tests.chaos.surroundings import Surroundings
from tests.postgresql import Cluster

pytestmark = pytest.mark.full

FULL_S = 20
MIB = 400 if IS_POSTGRESQL else 40


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    # A socket's path has 103 characters at most.
    made = SmallDisk(Path(f"/tmp/full{id(object()):x}"), MIB)
    yield made
    made.unmount()
    made.directory.rmdir()


@pytest.fixture
def cluster(disk: SmallDisk) -> Iterator[Cluster | None]:
    running = Cluster(durable=True, parent=disk.directory) if IS_POSTGRESQL else None
    yield running
    if running:
        running.stop()


@pytest.fixture
def chaos_broker(disk: SmallDisk) -> Iterator[Broker]:
    running = Broker(disk.directory)
    yield running
    running.stop()


@pytest.fixture
def new_chaos_database(
    disk: SmallDisk, cluster: Cluster | None, django_db_blocker: DjangoDbBlocker
) -> Callable[[], str]:
    with django_db_blocker.unblock():
        return databases.of_cluster(cluster.url) if cluster else databases.of_sqlite(disk.directory)


def test_disk_full_for_a_while_loses_nothing_that_was_accepted(
    around: Surroundings, offering: Offering, report: Callable[..., None], disk: SmallDisk, cluster: Cluster | None
) -> None:
    def strike(around: Surroundings, offering: Offering) -> int:
        with disk.full():
            threading.Event().wait(FULL_S)
        if cluster and cluster.process.poll() is not None:  # as a supervisor would
            cluster.start()
        connection.close()
        return 0

    judge(around, offering, report, f"disk full {FULL_S} s", strike)

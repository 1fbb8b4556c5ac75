"""Fixtures of the fault tests, and the table that `make chaos` ends with."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django import DjangoDbBlocker

from tests.chaos import databases
from tests.chaos.broker import Broker
from tests.chaos.judging import EVENTS
from tests.chaos.offering import Offering
from tests.chaos.surroundings import IS_FULL, Surroundings, connected
from tests.conftest import CLUSTER_URL
from tests.receiver import Answer, Receiver

if TYPE_CHECKING:
    from tests.chaos.counting import Counts

IS_POSTGRESQL = os.environ.get("TEST_DATABASE", "sqlite") == "postgresql"
# Not skipped, but absent: faults of the database that this run is not on.
collect_ignore = ["test_sqlite.py"] if IS_POSTGRESQL else ["test_postgresql.py", "test_upgrade.py", "test_vanished.py"]
ROW = "fault"  # the name of a test's property, which comes from xdist's workers too


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: only in full size, because others are more telling or it takes a minute")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [] if IS_FULL else [item for item in items if item.get_closest_marker("full")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def new_chaos_database(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Callable[[], str]:
    """Makes a new database with all tables; its URL."""
    with django_db_blocker.unblock():
        if IS_POSTGRESQL:
            return databases.of_cluster(os.environ[CLUSTER_URL])
        return databases.of_sqlite(tmp_path_factory.mktemp("databases"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def chaos_broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def around(
    tmp_path: Path,
    new_chaos_database: Callable[[], str],
    chaos_broker: Broker,
    receiver: Receiver,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Surroundings]:
    """Everything but worker, beat and shop, which the test starts."""
    url = new_chaos_database()
    with django_db_blocker.unblock(), connected(url):
        surroundings = Surroundings(tmp_path, url, chaos_broker, receiver)
        try:
            yield surroundings
        finally:
            surroundings.close()


@pytest.fixture
def offering(around: Surroundings, receiver: Receiver) -> Iterator[Offering]:
    """The whole product, and a shop that offers orders at its web process. Their clocks can be set."""
    receiver.answer("*", Answer(delay_s=0.02))
    around.beat(**around.wrong_clock)
    around.worker(**around.wrong_clock)
    port = around.web(**around.wrong_clock).port
    with Offering([port], around.token(), around.affiliates(4), around.next_number(1)) as running:
        running.wait_for_more(EVENTS)
        receiver.wait_for(EVENTS, 30)
        yield running


# --- the table -----------------------------------------------------------------
@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Add a line to the table: the fault, the counts, who noticed it (its bite), what else is worth saying."""

    def add(fault: str, counts: "Counts | None", remark: str = "", bite: str = "") -> None:
        columns = _columns(counts) if counts else " | " * 7
        request.node.user_properties.append((ROW, f"| {fault} | {columns} | {bite} | {remark} |"))

    return add


def _columns(counts: "Counts") -> str:
    figures = [counts.offered, counts.accepted, counts.deliveries, counts.once, counts.twice, counts.never]
    figures += [counts.silently_done, counts.in_flight]
    return " | ".join("" if figure is None else f"{figure:,}" for figure in figures)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = [test for outcome in ("passed", "failed") for test in terminalreporter.getreports(outcome)]
    ended = sorted((test for test in ended if test.when == "call"), key=lambda test: test.location)
    if rows := [row for test in ended for name, row in test.user_properties if name == ROW]:
        terminalreporter.section(f"faults on {'PostgreSQL' if IS_POSTGRESQL else 'SQLite'}")
        heads = "fault | offered | accepted | deliveries | received once | twice | never | silently marked done"
        terminalreporter.write_line(f"| {heads} | in flight at a fault | bite | remark |")
        terminalreporter.write_line("|---" * 11 + "|")
        for row in rows:
            terminalreporter.write_line(row)

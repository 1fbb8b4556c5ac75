"""What every test stands on: surroundings of its own (data, database, broker), made before Django reads its settings.

TEST_DATABASE chooses `sqlite` (the default) or `postgresql`. With pytest-xdist each worker has a broker and a data
directory of its own; one PostgreSQL cluster serves them all.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from config.stack.valkey import Valkey
from tests import machine
from tests.postgresql import Cluster

# The faults take their time and want the machine for themselves: `make chaos` asks for them, and so does `make test`
# once everything else is done.
collect_ignore = [] if "CHAOS" in os.environ else ["chaos"]

# The time of one example depends on how busy the machine is.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

CLUSTER_URL = "TEST_POSTGRESQL_URL"  # how xdist's workers learn of the cluster that their controller started
CLUSTER = pytest.StashKey[Cluster]()
BROKER = pytest.StashKey[Valkey]()
DIRECTORY = pytest.StashKey[Path]()
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped or xfailed test is a failed one")
    parser.addoption("--database-only", action="store_true", help="leave out what knows no database, and ran already")


# --- surroundings ------------------------------------------------------------
def pytest_configure(config: pytest.Config) -> None:
    """Runs before pytest-django sets Django up."""
    chosen = os.environ.get("TEST_DATABASE", "sqlite")
    if chosen not in {"sqlite", "postgresql"}:
        raise pytest.UsageError(f"TEST_DATABASE is {chosen!r}; it can be sqlite or postgresql.")
    if chosen == "postgresql" and CLUSTER_URL not in os.environ:
        config.stash[CLUSTER] = Cluster()
        os.environ[CLUSTER_URL] = config.stash[CLUSTER].url
    directory = config.stash[DIRECTORY] = Path(tempfile.mkdtemp(prefix="postbacks-"))
    for name in [name for name in os.environ if name.startswith("CALLBACKS_")]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATA_DIR": str(directory),
        "DATABASE_URL": os.environ.get(CLUSTER_URL, "") if chosen == "postgresql" else "",
        "REDIS_URL": "",
        "TIME_ZONE": "",
        "SECRET_KEY": "for-tests-only-" + "x" * 50,
        "DEBUG": "",
        "DEMO": "",
        "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
        # Playwright's event loop runs in the thread of the tests, where Django would take it for ours.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
    }
    if not _only_hands_out_work(config):
        broker = config.stash[BROKER] = Valkey(directory)
        os.environ["REDIS_URL"] = broker.url
    sys.addaudithook(_refuse_other_machines)
    from django.conf import settings  # reads the environment, so not before now

    if directory != settings.DATA_DIR:  # pytest-django was quicker, and set Django up with the surroundings of others
        raise pytest.UsageError("DJANGO_SETTINGS_MODULE must not be set: the tests make their own surroundings first.")
    # Made slow on purpose, and hashing passwords is not what is tested here.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if _only_hands_out_work(config):
        del os.environ["DJANGO_SETTINGS_MODULE"]  # as for us, so for the workers, who inherit this


def pytest_unconfigure(config: pytest.Config) -> None:
    if broker := config.stash.get(BROKER, None):
        broker.stop()
    if cluster := config.stash.get(CLUSTER, None):
        cluster.stop()
        os.environ.pop(CLUSTER_URL, None)
    if directory := config.stash.get(DIRECTORY, None):
        shutil.rmtree(directory, ignore_errors=True)


def _only_hands_out_work(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no"


def _refuse_other_machines(event: str, arguments: tuple[object, ...]) -> None:
    """No test speaks to anything but this machine."""
    if event == "socket.connect" and isinstance(address := arguments[1], tuple):
        host = str(address[0])
        if not (host.startswith("127.") or host in {"::1", "localhost"}):
            raise AssertionError(f"A test tried to connect to {host}.")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    pytestconfig: pytest.Config, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """SQLite's test database is a file in this process's data directory, so that a real worker can open it too."""
    from django.conf import settings  # Django is set up only now

    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
        path = pytestconfig.stash[DIRECTORY] / "test.sqlite3"
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(path)


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_found_once() -> Iterator[None]:
    """Every test client has middleware of its own, and WhiteNoise's looks for all files anew: here it is told them.

    Where files were collected, it looks by itself.
    """
    from whitenoise.middleware import WhiteNoiseMiddleware  # when the settings are named, as above

    found: dict[str, dict[str, object]] = {}
    look_for_files = WhiteNoiseMiddleware.add_files_from_finders

    def add_files(self: WhiteNoiseMiddleware) -> None:
        if self.files or self.static_prefix not in found:
            collected = bool(self.files)
            look_for_files(self)
            if not collected:
                found[self.static_prefix] = dict(self.files)
        else:
            self.files.update(found[self.static_prefix])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_files)
        yield


@pytest.fixture
def caplog(caplog):
    """pytest's, with lines as the log has them."""
    from config.monitoring import logs  # when the settings are named, as below

    caplog.handler.setFormatter(logs.formatter("text", []))
    return caplog


@pytest.fixture
def broker(pytestconfig: pytest.Config) -> Valkey:
    """The real broker of this process, empty; after an earlier failure of it, wake-ups are sent again."""
    import redis

    from callbacks.delivery import wakeup

    running = pytestconfig.stash[BROKER]
    with redis.Redis.from_url(running.url) as client:
        client.flushall()
    wakeup._quiet_until = 0.0
    return running


@pytest.fixture(scope="session")
def postgresql(pytestconfig: pytest.Config) -> bool:
    """Whether this run is on PostgreSQL."""
    return CLUSTER_URL in os.environ


@pytest.fixture
def database_away(transactional_db: None) -> Iterator[None]:
    """The database of this process cannot be reached: its file has no directory, or nobody listens at its port."""
    from django.db import connection

    was = dict(connection.settings_dict)
    connection.close()
    is_file = connection.vendor == "sqlite"
    connection.settings_dict |= {"NAME": "/nothing/x.sqlite3"} if is_file else {"HOST": "127.0.0.1", "PORT": "1"}
    yield
    connection.settings_dict |= was
    connection.close()


# --- the second database -------------------------------------------------------
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Addresses, templates, answers or colours are no different for another database."""
    if config.getoption("database_only"):
        left_out = [item for item in items if not _needs_database(item)]
        items[:] = [item for item in items if _needs_database(item)]
        config.hook.pytest_deselected(items=left_out)


def _needs_database(item: pytest.Item) -> bool:
    """pytest-django lets nobody else near it; walks through the running stack, which take long, say so themselves."""
    if item.path.parent.name == "e2e":
        return item.get_closest_marker("both") is not None
    fixtures = {"db", "transactional_db", "postgresql"}.intersection(getattr(item, "fixturenames", ()))
    marks = {mark.name for mark in item.iter_markers()}
    return bool(fixtures or "django_db" in marks) and "once" not in marks


# --- no skips ----------------------------------------------------------------
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _without_skip(item.config, report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _without_skip(collector.config, report)


def _without_skip(config: pytest.Config, report: Report) -> Report:
    if report.skipped and config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, and with --no-skips that is a failure: {report.longrepr}"
        vars(report).pop("wasxfail", None)
    return report


# --- the browser -------------------------------------------------------------
@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    """The system's Chromium, without what it would like to tell or ask its maker."""
    program = machine.chromium()
    assert program, "Chromium is not installed here; 'make test' says more."
    switches = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    switches += ["--disable-quic"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    return browser_type_launch_args | {"executable_path": str(program), "args": switches}

"""Fixtures of the end-to-end tests: running installations, and a page in the system's Chromium."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.conftest import CLUSTER_URL
from tests.e2e.installation import Installation, free_port
from tests.receiver import Receiver

expect.set_options(timeout=20_000)  # a machine that runs all tests at once is a slow one


@pytest.fixture(scope="session")
def new_database() -> Callable[[], str]:
    """Makes the DATABASE_URL of a new, empty database of the kind that this run is on ("" is SQLite in DATA_DIR)."""

    def make() -> str:
        if CLUSTER_URL not in os.environ:
            return ""
        url, name = os.environ[CLUSTER_URL], f"e2e_{uuid4().hex}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return url.replace("/postgres?", f"/{name}?")

    return make


@pytest.fixture(scope="session")
def session_receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str], session_receiver: Receiver
) -> Iterator[Installation]:
    """A running demo installation with its login, shared by the tests of one process. It may call `tracker`."""
    ports = {"CALLBACKS_ALLOWED_PORTS": str(session_receiver.port), "CALLBACKS_ALLOWED_NETWORKS": "127.0.0.1/32"}
    installation = Installation(tmp_path_factory.mktemp("stack"), free_port(), new_database(), ports)
    try:
        installation.start()
        yield installation
        assert installation.stop() == 0
    finally:
        installation.clean_up()


@pytest.fixture
def installation(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Installation]:
    """An installation that has not been started yet; whatever of it is left after the test is killed."""
    made = Installation(tmp_path, free_port(), new_database())
    yield made
    made.clean_up()


@pytest.fixture
def browser_page(page: Page) -> Iterator[Page]:
    """A page in Chromium. A script that fails, or that the content security policy stops, fails the test."""
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # A refused form is answered with 4xx on purpose, and Chromium says so.
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            problems.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    assert problems == []


@pytest.fixture(scope="session")
def merchant_cookie(stack: Installation) -> dict[str, str]:
    """The session of the merchant, who signed in once."""
    assert stack.login
    url = f"{stack.base_url}/admin/login/"
    with requests.Session() as client:
        client.get(url, timeout=10)
        typed = {"username": stack.login.username, "password": stack.login.password}
        client.post(url, typed | {"csrfmiddlewaretoken": client.cookies["csrftoken"]}, timeout=10)
        return {"name": "sessionid", "value": client.cookies["sessionid"], "url": stack.base_url}


@pytest.fixture
def merchant(stack: Installation, browser_page: Page, merchant_cookie: dict[str, str]) -> Page:
    """The overview, open for a merchant who has signed in."""
    browser_page.context.add_cookies([merchant_cookie])
    browser_page.goto(f"{stack.base_url}/admin/")
    return browser_page


@pytest.fixture
def merchant_without_scripts(stack: Installation, browser: Browser, merchant_cookie: dict[str, str]) -> Iterator[Page]:
    with browser.new_context(java_script_enabled=False) as context:
        context.add_cookies([merchant_cookie])
        page = context.new_page()
        page.goto(f"{stack.base_url}/admin/")
        yield page

"""Nonsense for every parameter of every page, in its path, query and form: there is an answer, and never an error.

Which parameters a view reads is not listed anywhere: it is seen by looking at what it asks its request for.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from django.apps import apps
from django.db import transaction
from django.http import QueryDict
from django.test import Client

from tests.roles import world as worlds
from tests.roles.matrix import TABLE
from tests.roles.world import ACTION

pytestmark = pytest.mark.django_db

NONSENSE = (
    *("-1", "9" * 19, "9" * 4000, "9" * 5000, "1e999", "\N{ARABIC-INDIC DIGIT THREE}"),  # for numbers
    *("\0", "(.*)*x$", "%'[{\N{RIGHT-TO-LEFT OVERRIDE}", "null", "1,x,2-"),  # for texts
    *("9999-12", "0000-00", "9999-12-31", "0001-01-01T00:00:00+23:59"),  # for times
)
IDS = ("0", "-1", "9" * 19, "9" * 4000, "9" * 5000, "\0", "%2F", "a_b", "\N{ARABIC-INDIC DIGIT THREE}")
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
ROUTES = [*worlds.views(), *worlds.actions()]


@pytest.fixture
def world(shared_world):
    return shared_world


@contextmanager
def noting_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of all parameters that views ask for meanwhile."""
    names: set[str] = set()

    def noting(method):
        def noted(self, name, *rest, **more):
            names.add(name)
            return method(self, name, *rest, **more)

        return noted

    with monkeypatch.context() as patched:
        for method in ("__getitem__", "__contains__", "_getlist"):
            patched.setattr(QueryDict, method, noting(getattr(QueryDict, method)))
        yield names


def failures(client: Client, method: str, path: str, queries: list[dict[str, str]]) -> list[tuple[str, ...]]:
    found = []
    for query in queries:
        with transaction.atomic():
            answer = client.get(path, query) if method == "GET" else client.post(path, query)
            answer.getvalue()
            if answer.status_code >= 500:
                found.append((method, path[:80], str({name: str(value)[:40] for name, value in query.items()})))
            transaction.set_rollback(True)
    return found


def lookups(route: str) -> list[str]:
    """What somebody may try to look up in a list: parameters that no filter declares."""
    parts = route.split("/")
    try:
        model = apps.get_model(parts[1], parts[2])
    except (IndexError, LookupError):
        return []
    fields = [field.name for field in model._meta.get_fields()]
    ends = ("", "__regex", "__year", "__isnull", "__in", "__range", "__password__startswith")
    return [f"{name}{end}" for name in fields for end in ends]


def mixed(names: list[str], shift: int) -> dict[str, str]:
    """Another nonsense for each name."""
    return {name: NONSENSE[(number + shift) % len(NONSENSE)] for number, name in enumerate(names)}


def sent(names: list[str], typed: dict[str, str]) -> list[dict[str, str]]:
    """Every name alone beside what is right, and all of them together."""
    alone = [typed | {name: value} for name, value in mixed(names, 0).items()]
    return alone + [typed | mixed(names, shift) for shift in range(0, len(NONSENSE), 3)]


@pytest.mark.parametrize("route", ROUTES)
def test_nonsense_in_the_address_and_in_the_form_is_no_error(world, route, monkeypatch):
    client = world.client("affiliate" if route.startswith("portal/") else "administrator")
    client.raise_request_exception = False
    path, typed, found = worlds.path_of(route, world), worlds.typed(route, world), []
    may_read, _, may_post = ("403/" + TABLE[route][-1] if ACTION in route else TABLE[route][-1]).partition("/")
    if may_read == "ok":
        with noting_names(monkeypatch) as names:
            failures(client, "GET", path, [{}])
        looked_up = [dict.fromkeys(lookups(route), "(.*)*x$")]
        found += failures(client, "GET", path, sent(sorted(names), {}) + looked_up)
    if may_post in {"ok", "wrote", "go"}:
        with noting_names(monkeypatch) as names:
            failures(client, "POST", path, [typed])
        found += failures(client, "POST", path, sent(sorted(names), typed))
    assert found == []


@pytest.mark.parametrize("route", [route for route in worlds.views() if "<" in route])
def test_nonsense_for_an_id_is_no_error(world, route):
    client = world.client("affiliate" if route.startswith("portal/") else "administrator")
    client.raise_request_exception = False
    method, found = "GET" if TABLE[route][-1].startswith(("ok", "go", "4")) else "POST", []
    for parameter in PARAMETER.findall(route):
        for value in IDS:
            written = quote(value, safe="")
            path = re.sub(rf"<(?:\w+:)?{parameter}>", lambda _, written=written: written, route)
            path = "/" + path if PARAMETER.search(path) is None else worlds.path_of(path, world)
            found += failures(client, method, path, [{}])
    assert found == []

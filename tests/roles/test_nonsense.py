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
from tests.roles.world import ACTION, World

pytestmark = pytest.mark.django_db

NONSENSE = (
    *("-1", "9" * 19, "9" * 4000, "9" * 5000, "1e999", "\N{ARABIC-INDIC DIGIT THREE}"),  # for numbers
    *("\0", "(.*)*x$", "%'[{\N{RIGHT-TO-LEFT OVERRIDE}", "null", "1,x,2-"),  # for texts
    *("9999-12", "0000-00", "9999-12-31", "0001-01-01T00:00:00+23:59"),  # for times
)
WORST = ("(.*)*x$", "9" * 30, "\0", "9999-12")  # alone, beside what is right
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
ROUTES = [*worlds.views(), *worlds.actions()]


@pytest.fixture
def world(broker) -> World:
    return worlds.make()


@contextmanager
def noting_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The names of all parameters that views ask for meanwhile."""
    names: set[str] = set()

    def noting(method):
        def noted(self, name, *rest):
            names.add(name)
            return method(self, name, *rest)

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
            if answer.status_code >= 500 and not path.startswith("/readyz"):
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


@pytest.mark.parametrize("route", ROUTES)
def test_nonsense_in_the_address_and_in_the_form_is_no_error(world, route, monkeypatch):
    client = world.client("affiliate" if route.startswith("portal/") else "administrator")
    client.raise_request_exception = False
    path, typed = worlds.path_of(route, world), worlds.typed(route, world)
    found = []
    if ACTION not in route:
        with noting_names(monkeypatch) as names:
            failures(client, "GET", path, [{}])
        queries = [{name: value} for name in sorted(names) for value in WORST]
        queries += [dict.fromkeys(lookups(route), value) for value in WORST]
        found += failures(client, "GET", path, queries)
        found += failures(client, "GET", path, [dict.fromkeys(names, value) for value in NONSENSE])
    with noting_names(monkeypatch) as names:
        failures(client, "POST", path, [typed])
    found += failures(client, "POST", path, [typed | {name: value} for name in sorted(names) for value in WORST])
    found += failures(client, "POST", path, [dict.fromkeys(names, value) for value in NONSENSE])
    assert found == []


@pytest.mark.parametrize("route", [route for route in worlds.views() if "<" in route])
def test_nonsense_for_an_id_is_no_error(world, route):
    client = world.client("affiliate" if route.startswith("portal/") else "administrator")
    client.raise_request_exception = False
    parameters = PARAMETER.findall(route)
    found = []
    for parameter in parameters:
        for value in NONSENSE:
            written = quote(value, safe="")
            path = re.sub(rf"<(?:\w+:)?{parameter}>", lambda _, written=written: written, route)
            path = "/" + path if PARAMETER.search(path) is None else worlds.path_of(path, world)
            found += failures(client, "GET", path, [{}]) + failures(client, "POST", path, [worlds.typed(route, world)])
    assert found == []

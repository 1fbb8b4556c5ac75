"""Who may do what: every view of the project and every action of its lists, asked by each kind of person.

`matrix.txt` has a line for each, with a column for each person: what a GET is answered with, and after a slash a POST.
    ok     the page                           wrote   done, and the database is another one than before
    go     sent on, nothing was written       login   sent to a sign-in
    403    not allowed (so too 404, 405 ...)
A view without a line fails `test_view_answers_as_the_matrix_says`, which then prints the line to judge and to add.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.test import Client

from tests.roles import world as worlds
from tests.roles.matrix import FILE, TABLE
from tests.roles.world import ACTION, PEOPLE, World

pytestmark = [pytest.mark.django_db, pytest.mark.once]

OWN_WRITES = {"admin/email-notifications/", "admin/password_change/", "admin/two-factor/"}
SUPPORT_WRITES = OWN_WRITES | {
    "admin/callbacks/delivery/<int:pk>/resend/",
    "admin/callbacks/delivery/ !resend_selected",
    "admin/callbacks/delivery/resend/",
    "admin/callbacks/errand/<int:pk>/stop/",
}


# An export, or the portal as an affiliate sees it, is noted in a history, which is no change.
NOTES = " WHERE change_message NOT LIKE 'Exported %' AND change_message NOT LIKE 'Viewed the portal %'"
READS = ("SELECT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK", "EXPLAIN")
ASKED = [*worlds.views(), *worlds.actions()]


# --- asking -----------------------------------------------------------------------
def digest() -> str:
    """Of all that is in the database, but for who is signed in and since when, and notes of what was looked at."""
    found = hashlib.sha256()
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            if table not in {"django_session", "axes_accesslog"}:
                noted = NOTES if table == "django_admin_log" else ""
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}{noted}")
                found.update(repr((table, sorted(map(repr, cursor.fetchall())))).encode())
    return found.hexdigest()


@contextmanager
def noting_writes() -> Iterator[list[str]]:
    """The statements meanwhile that may have changed what is in the database."""
    written: list[str] = []

    def note(execute, sql, params, many, context):
        if not sql.lstrip("( ").startswith(READS):
            written.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield written


def asked(client: Client, method: str, path: str, before: str, data=None) -> str:
    """The word for what came of it. All that was written is undone again, so `before`, the digest, stays right."""
    with transaction.atomic():
        with noting_writes() as written:
            answer = client.get(path) if method == "GET" else client.generic(method, path) if data is None else None
            answer = answer or client.post(path, data)
            answer.getvalue()  # a CSV is made while it is read
        has_written = bool(written) and digest() != before
        transaction.set_rollback(True)
    if 300 <= answer.status_code < 400:
        word = "login" if "/login/" in answer["Location"] else "go"
    else:
        word = "ok" if answer.status_code == 200 else str(answer.status_code)
    if has_written:
        return "wrote" if word in {"ok", "go", "201"} else f"{word}-but-wrote"
    return word


def cells(route: str, world: World) -> list[str]:
    path, data = worlds.path_of(route, world), worlds.typed(route, world)
    found, before = [], digest()
    for person in PEOPLE:
        post = asked(world.client(person), "POST", path, before, data)
        found.append(post if ACTION in route else f"{asked(world.client(person), 'GET', path, before)}/{post}")
    return found


def line(route: str, found: list[str]) -> str:
    return f"{route:<98}| " + " ".join(f"{cell:<12}" for cell in found).rstrip()


# --- the matrix -------------------------------------------------------------------
@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


@pytest.mark.parametrize("route", ASKED)
def test_view_answers_as_the_matrix_says(world: World, route: str) -> None:
    found = cells(route, world)
    shown = f"{'':<100}{' '.join(f'{person:<12}' for person in PEOPLE)}\n{line(route, found)}"
    assert route in TABLE, (
        f"{FILE.name} has no line for this view. Say in world.py what is posted to it, if an empty form says nothing, "
        f"and what stands for its parameters. Today it answers so; if that is right, add the line:\n{shown}"
    )
    assert found == TABLE[route], f"It answers otherwise than {FILE.name} says:\n{shown}\n{line(route, TABLE[route])}"


@pytest.mark.parametrize("route", [route for route in ASKED if ACTION not in route])
def test_view_asked_by_other_methods_writes_nothing(world: World, route: str) -> None:
    path = worlds.path_of(route, world)
    before = digest()
    for person in PEOPLE:
        answers = [asked(world.client(person), method, path, before) for method in ("PUT", "DELETE")]
        assert not [answer for answer in answers if "wrote" in answer], person


def test_matrix_has_no_line_for_what_is_gone() -> None:
    assert set(TABLE) - set(ASKED) == set()


def test_matrix_lets_nobody_write_by_reading() -> None:
    assert [route for route, row in TABLE.items() for cell in row if cell.startswith("wrote/")] == []


@pytest.mark.parametrize(
    ("person", "allowed"),
    [
        ("nobody", set()),
        ("affiliate", {"portal/email-notifications/", "portal/language/"}),
        ("staff", OWN_WRITES),
        ("support", SUPPORT_WRITES),
    ],
)
def test_matrix_lets_people_write_only_what_is_theirs(person: str, allowed: set[str]) -> None:
    column = PEOPLE.index(person)
    assert {route for route, row in TABLE.items() if "wrote" in row[column]} == allowed


def test_matrix_keeps_accounts_for_administrators() -> None:
    accounts = [row for route, row in TABLE.items() if route.startswith("admin/auth/user/")]
    assert accounts
    assert {cell for row in accounts for cell in row[2:5] if "ok" in cell or "wrote" in cell} == set()

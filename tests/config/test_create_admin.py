"""`manage.py create_admin`: the first administrator."""

import getpass
import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery"


def create(*arguments: str) -> str:
    said = io.StringIO()
    call_command("create_admin", *arguments, stdout=said)
    return said.getvalue()


def type_in(monkeypatch, *lines: str, is_terminal: bool = False) -> None:
    stdin = io.StringIO("".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(stdin, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stdin", stdin)


def test_admin_gets_a_password_that_is_printed_and_logs_in(client):
    said = create("joe", "--email=joe@shop.example")
    password = said.partition("Password: ")[2].split()[0]
    assert len(password) >= 20
    user = User.objects.get()
    assert (user.username, user.email) == ("joe", "joe@shop.example")
    assert user.is_active and user.is_staff and user.is_superuser  # noqa: PT018 - one statement about one user
    answer = client.post("/admin/login/", {"username": "joe", "password": password})
    assert answer.status_code == 302
    assert client.get("/admin/auth/user/").status_code == 200


def test_admin_gets_the_password_of_standard_input_which_is_not_printed(monkeypatch):
    type_in(monkeypatch, GOOD)
    assert GOOD not in create("joe", "--password-stdin")
    assert User.objects.get().check_password(GOOD)


@pytest.mark.parametrize("password", ["", "password", "short", "12345678901", "joe-lindberg"])
def test_weak_password_is_refused(monkeypatch, password):
    type_in(monkeypatch, password)
    with pytest.raises(CommandError, match="No user was added"):
        create("joe-lindberg", "--password-stdin")
    assert not User.objects.exists()


@pytest.mark.parametrize("arguments", [["a b"], ["joe", "--email=nonsense"], ["x" * 151]])
def test_name_or_address_that_cannot_be_is_refused(arguments):
    with pytest.raises(CommandError, match="No user was added"):
        create(*arguments)
    assert not User.objects.exists()


def test_name_that_somebody_has_is_told_and_nothing_is_changed():
    create("joe")
    before = User.objects.values().get()
    with pytest.raises(CommandError, match="The user 'joe' already exists"):
        create("joe")
    assert User.objects.values().get() == before


def test_without_a_name_it_asks(monkeypatch):
    type_in(monkeypatch, is_terminal=True)
    monkeypatch.setattr("builtins.input", lambda _: " joe ")
    monkeypatch.setattr(getpass, "getpass", lambda _: GOOD)
    assert "Password" not in create()
    assert User.objects.get(username="joe").check_password(GOOD)
    answers = iter([GOOD, "another one"])
    monkeypatch.setattr("builtins.input", lambda _: "jane")
    monkeypatch.setattr(getpass, "getpass", lambda _: next(answers))
    with pytest.raises(CommandError, match="do not match"):
        create()
    assert User.objects.count() == 1


def test_without_a_name_or_a_terminal_it_says_what_to_type(monkeypatch):
    type_in(monkeypatch)
    with pytest.raises(CommandError, match="create_admin NAME"):
        create()


def test_before_the_tables_are_there_it_says_so():
    (last,) = MigrationExecutor(connection).loader.graph.leaf_nodes("config")
    MigrationRecorder(connection).record_unapplied(*last)
    with pytest.raises(CommandError, match="The database is not up to date"):
        create("joe")

"""New migrations are such that old code can run beside them, and that nobody waits behind them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CheckConstraint, F, Q
from django.db.models.constraints import BaseConstraint

from config import migration_operations as ours
from config.management.commands import migrate

# Older ones are as they are: they have been applied everywhere.
SINCE = {"affiliates": "0002", "callbacks": "0015", "config": "0001", "orders": "0005"}
HOT = {("callbacks", "delivery"), ("callbacks", "attempt"), ("orders", "order")}  # written all the time
# Left unused by the release before, so that its code can run beside this one: ("callbacks", "delivery", "old_field")
UNUSED: set[tuple[str, ...]] = set()
REPEATABLE = (
    ours.AddIndexConcurrently,
    ours.RemoveIndexConcurrently,
    ours.AddUniqueConcurrently,
    ours.AddConstraintNotValid,
    ours.ValidateConstraint,
)


def faults_of(migration: Migration, state: ProjectState) -> Iterator[str]:  # noqa: C901 - a table of what is forbidden
    """What ARCHITECTURE.md forbids in this migration; `state` is that before it, and becomes that after it."""
    for operation in migration.operations:
        app, model = migration.app_label, str(getattr(operation, "model_name", getattr(operation, "name", ""))).lower()
        before = state.clone()
        operation.state_forwards(app, state)
        if not migration.atomic and not isinstance(operation, REPEATABLE):
            yield "is not atomic, and cannot be applied again after it was broken off"
        match operation:
            case ops.RenameField() | ops.RenameModel() | ops.AlterModelTable():
                yield "renames what old code knows by its old name"
            case ops.RemoveField() if (app, model, operation.name) not in UNUSED:
                yield "removes what old code asks for"
            case ops.DeleteModel() if (app, model) not in UNUSED:
                yield "removes what old code asks for"
            case ops.AddField() if not (operation.field.null or operation.field.has_db_default()):
                yield "adds a column that old code does not fill"
            case ops.AddField() if (app, model) in HOT and _is_indexed_or_checked(state, app, operation):
                yield "builds an index or checks rows while others wait"
            case ops.AlterField() if (app, model) in HOT and _changes_table(before, state, app, operation):
                yield "alters a column while others wait"
            case ops.AddIndex() if (app, model) in HOT and not isinstance(operation, ours.AddIndexConcurrently):
                yield "builds an index while others wait"
            case ops.AddConstraint() if (app, model) in HOT and not isinstance(
                operation, ours.AddConstraintNotValid | ours.AddUniqueConcurrently
            ):
                yield "checks rows while others wait"
            case ops.AlterUniqueTogether() if (app, model) in HOT:
                yield "builds an index while others wait"


def _is_indexed_or_checked(state: ProjectState, app: str, operation: ops.AddField) -> bool:
    field: Any = state.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)
    is_key = field.remote_field is not None and field.db_constraint
    is_json = isinstance(field, models.JSONField)  # only SQLite checks it, and an empty column need not be read
    return bool(field.db_index or field.unique or is_key or (not is_json and field.db_check(connection)))


def _changes_table(before: ProjectState, after: ProjectState, app: str, operation: ops.AlterField) -> bool:
    name = operation.model_name
    fields: list[Any] = [state.apps.get_model(app, name)._meta.get_field(operation.name) for state in (before, after)]
    if fields[0].unique and not fields[1].unique:
        fields[0]._unique = False  # a constraint that is dropped is dropped at once
    return connection.schema_editor()._field_should_be_altered(*fields)


def test_new_migrations_let_old_code_run_and_keep_nobody_waiting() -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    state, faults, seen = ProjectState(real_apps=loader.unmigrated_apps), [], 0
    for key in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        migration = loader.graph.nodes[key]
        if key[0] in SINCE and key[1][:4] > SINCE[key[0]]:
            faults += [f"{key[0]}.{key[1]} {fault}" for fault in faults_of(migration, state)]
            seen += 1
        else:
            migration.mutate_state(state, preserve=False)
    assert not faults
    assert seen  # or the numbers in SINCE are not right


def _index() -> models.Index:
    return models.Index(fields=["status"], name="status_index")


def _constraint() -> BaseConstraint:
    return CheckConstraint(condition=Q(id__gt=0), name="positive")


FORBIDDEN = {
    "index": [ops.AddIndex("delivery", _index())],
    "constraint": [ops.AddConstraint("delivery", _constraint())],
    "another type": [ops.AlterField("delivery", "status", models.TextField())],
    "null no more": [ops.AlterField("delivery", "note", models.TextField())],
    "column without default": [ops.AddField("affiliate", "x", models.IntegerField(default=0))],
    "column with an index": [ops.AddField("delivery", "x", models.IntegerField(null=True, db_index=True))],
    "column that is checked": [ops.AddField("delivery", "x", models.PositiveIntegerField(null=True))],
    "unique together": [ops.AlterUniqueTogether("delivery", {("status", "note")})],
    "renamed field": [ops.RenameField("affiliate", "note", "remark")],
    "renamed model": [ops.RenameModel("Affiliate", "Partner")],
    "removed field": [ops.RemoveField("affiliate", "note")],
    "removed model": [ops.DeleteModel("Affiliate")],
}
ALLOWED = {
    "index": [ours.AddIndexConcurrently("delivery", _index())],
    "constraint": [
        ours.AddConstraintNotValid("delivery", _constraint()),
        ours.ValidateConstraint("delivery", "positive"),
    ],
    "other choices": [ops.AlterField("delivery", "status", models.CharField(max_length=9, choices=[("a", "A")]))],
    "column with a default": [ops.AddField("delivery", "x", models.IntegerField(default=0, db_default=0))],
    "index of a quiet table": [ops.AddIndex("affiliate", _index())],
    "new model": [ops.CreateModel("New", [("id", models.BigAutoField(primary_key=True))])],
}  # fmt: skip


def _faults_of(some: list[Any]) -> list[str]:
    state = ProjectState()
    for name in ("Delivery", "Affiliate"):
        fields = [("id", models.BigAutoField(primary_key=True)), ("status", models.CharField(max_length=9))]
        state.add_model(ModelState("callbacks", name, [*fields, ("note", models.TextField(null=True))]))
    migration = Migration("0099_new", "callbacks")
    migration.operations, migration.atomic = some, not isinstance(some[0], REPEATABLE)
    return list(faults_of(migration, state))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_migration_that_breaks_the_rule_is_found(what: str) -> None:
    assert len(_faults_of(FORBIDDEN[what])) == 1


@pytest.mark.parametrize("what", ALLOWED)
def test_migration_that_keeps_the_rule_is_let_through(what: str) -> None:
    assert _faults_of(ALLOWED[what]) == []


def test_migration_that_cannot_be_repeated_is_found() -> None:
    assert _faults_of([*ALLOWED["index"], *ALLOWED["column with a default"]]) == [
        "is not atomic, and cannot be applied again after it was broken off"
    ]


# --- the operations --------------------------------------------------------------
CONDITION, NAME = Q(name__gt=""), "affiliate_named"
INDEX = models.Index(F("name"), F("id"), name="affiliate_by_name")


@pytest.fixture
def app_state(transactional_db: None) -> ProjectState:
    return MigrationLoader(connection).project_state()


def _apply(state: ProjectState, operation: Any, *, backwards: bool = False) -> ProjectState:
    after = state.clone()
    operation.state_forwards("affiliates", after)
    with connection.schema_editor(atomic=False) as editor:
        if backwards:
            operation.database_backwards("affiliates", editor, after, state)
        else:
            operation.database_forwards("affiliates", editor, state, after)
    return after


def _constraints() -> dict[str, Any]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, "affiliates_affiliate")


def test_index_is_built_again_after_its_building_was_broken_off(postgresql: bool, app_state: ProjectState) -> None:
    operation = ours.AddIndexConcurrently("affiliate", INDEX)
    _apply(app_state, operation)
    if postgresql:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'affiliate_by_name'::regclass")
        _apply(app_state, operation)
        with connection.cursor() as cursor:
            cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'affiliate_by_name'::regclass")
            assert cursor.fetchone() == (True,)
        _apply(app_state, operation)  # it is there already
    assert INDEX.name in _constraints()
    _apply(app_state, operation, backwards=True)
    assert INDEX.name not in _constraints()


def test_index_is_removed_and_comes_back(app_state: ProjectState) -> None:
    with_index = _apply(app_state, ours.AddIndexConcurrently("affiliate", INDEX))
    operation = ours.RemoveIndexConcurrently("affiliate", INDEX.name)
    _apply(with_index, operation)
    assert INDEX.name not in _constraints()
    _apply(with_index, operation, backwards=True)
    assert INDEX.name in _constraints()
    _apply(with_index, operation)


def test_constraint_is_added_and_validated_and_can_be_so_again(postgresql: bool, app_state: ProjectState) -> None:
    operation = ours.AddConstraintNotValid("affiliate", CheckConstraint(condition=CONDITION, name=NAME))
    after = _apply(app_state, operation)
    if postgresql:
        _apply(app_state, operation)
    _apply(after, ours.ValidateConstraint("affiliate", NAME))
    assert _constraints()[NAME]["check"]
    if postgresql:
        with connection.cursor() as cursor:
            cursor.execute("SELECT convalidated FROM pg_constraint WHERE conname = %s", [NAME])
            assert cursor.fetchone() == (True,)
    _apply(app_state, operation, backwards=True)
    assert NAME not in _constraints()


# --- the command -----------------------------------------------------------------
@pytest.fixture
def other(postgresql: bool, transactional_db: None) -> Iterator[BaseDatabaseWrapper]:
    made = connections.create_connection(DEFAULT_DB_ALIAS)
    yield made
    made.close()


def test_migrate_says_who_holds_a_lock_for_too_long(
    other: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On SQLite a lock has its own waiting, see `config.db_locks`."""
    if other.vendor == "sqlite":
        call_command("migrate", verbosity=0)
        return
    monkeypatch.setattr(migrate, "TRIES", 2)
    monkeypatch.setattr(migrate, "PAUSE_S", 0.1)
    with other.cursor() as cursor:
        cursor.execute("SET application_name = 'long report'")
        cursor.execute("BEGIN; LOCK TABLE django_content_type IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(CommandError, match=r"process \d+ of postgres \(long report\), since"):
        call_command("migrate", verbosity=0)
    assert capsys.readouterr().out == "Waiting for a lock ...\n" * 2
    with other.cursor() as cursor:
        cursor.execute("ROLLBACK")
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
    call_command("migrate", verbosity=0)


def test_migrate_waits_for_another_migrate(
    other: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if other.vendor == "sqlite":
        call_command("migrate", verbosity=0)
        return
    monkeypatch.setattr(migrate, "TRIES", 1)
    monkeypatch.setattr(migrate, "PAUSE_S", 0.1)
    with other.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({migrate.MIGRATING})")
    with pytest.raises(CommandError):
        call_command("migrate", verbosity=0)
    assert capsys.readouterr().out == "Waiting for another migrate to finish ...\n"

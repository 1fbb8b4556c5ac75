"""What a migration of a table that is written all the time is made of: nobody waits behind it while it works.

On PostgreSQL an index is built concurrently, and a constraint holds for new rows first and is then checked for the
old ones. On SQLite, which can do neither, the same operations are the plain ones; so are indexes of a table that its
owner has partitioned (docs/growth.md). A migration that has one of them says
`atomic = False`, holds nothing else, and can be applied again after it was broken off: what is there already stays.
How `migrate` waits for locks is said in `config.management.commands.migrate`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres import operations
from django.db import transaction
from django.db.migrations.operations import AddConstraint, AddIndex, RemoveIndex
from django.db.models import CheckConstraint, UniqueConstraint


class AddIndexConcurrently(operations.AddIndexConcurrently):
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _is_plain(self, app_label, schema_editor, to_state):
            AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)
            return
        is_valid = _asked(
            schema_editor, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", self.index.name
        )
        with _waiting_for_readers(schema_editor):
            if is_valid is False:  # its building was broken off
                schema_editor.execute(f"DROP INDEX CONCURRENTLY {schema_editor.quote_name(self.index.name)}")
            if not is_valid:
                super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _is_plain(self, app_label, schema_editor, from_state):
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)
            return
        with _waiting_for_readers(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class RemoveIndexConcurrently(operations.RemoveIndexConcurrently):
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _is_plain(self, app_label, schema_editor, from_state):
            RemoveIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)
            return
        with _waiting_for_readers(schema_editor):  # Django's SQL says IF EXISTS
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _is_plain(self, app_label, schema_editor, to_state):
            RemoveIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)
            return
        with _waiting_for_readers(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class AddUniqueConcurrently(operations.NotInTransactionMixin, AddConstraint):
    """For a `UniqueConstraint` with a condition, which is a unique index."""

    model_name: str
    constraint: UniqueConstraint

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _is_plain(self, app_label, schema_editor, to_state):
            with transaction.atomic(schema_editor.connection.alias):  # SQLite makes the table anew
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        self._ensure_not_in_transaction(schema_editor)
        name = self.constraint.name
        is_valid = _asked(schema_editor, "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", name)
        with _waiting_for_readers(schema_editor):
            if is_valid is False:  # its building was broken off
                schema_editor.execute(f"DROP INDEX CONCURRENTLY {schema_editor.quote_name(name)}")
            if not is_valid:
                model = to_state.apps.get_model(app_label, self.model_name)
                statement = str(self.constraint.create_sql(model, schema_editor))
                schema_editor.execute(
                    statement.replace("CREATE UNIQUE INDEX", "CREATE UNIQUE INDEX CONCURRENTLY", 1), params=None
                )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        with transaction.atomic(schema_editor.connection.alias):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class AddConstraintNotValid(operations.AddConstraintNotValid):
    """To be followed by `ValidateConstraint`."""

    constraint: CheckConstraint

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            with transaction.atomic(schema_editor.connection.alias):  # SQLite makes the table anew
                AddConstraint.database_forwards(self, app_label, schema_editor, from_state, to_state)
        elif not _asked(schema_editor, "SELECT true FROM pg_constraint WHERE conname = %s", self.constraint.name):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        with transaction.atomic(schema_editor.connection.alias):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class ValidateConstraint(operations.NotInTransactionMixin, operations.ValidateConstraint):
    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            # In the transaction that added the constraint, everybody would wait until all rows are checked.
            self._ensure_not_in_transaction(schema_editor)
            super().database_forwards(app_label, schema_editor, from_state, to_state)


def _is_plain(operation: Any, app_label: str, schema_editor: Any, state: Any) -> bool:
    if schema_editor.connection.vendor != "postgresql":
        return True
    table = state.apps.get_model(app_label, operation.model_name)._meta.db_table  # noqa: SLF001 - as in Django's own
    return bool(_asked(schema_editor, "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", table))


def _asked(schema_editor: Any, sql: str, name: str) -> Any:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(sql, [name])
        row = cursor.fetchone()
    return row and row[0]


@contextmanager
def _waiting_for_readers(schema_editor: Any) -> Iterator[None]:
    """Wait as long as it takes: whoever reads or writes meanwhile does not wait for what is done concurrently."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        before = cursor.fetchone()[0]
        cursor.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])

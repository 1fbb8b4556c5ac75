"""Many rows, or many ids, in one statement, for which the ORM takes longer than the database.

`field__among=[...]` is one of many ids, sent to the database as a single value: `__in` sends a parameter for each, and
preparing five hundred of them costs more than the statement does. `insert` writes rows without making instances.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Lookup

# For so many rows or more, COPY is quicker than INSERT.
_COPY_FROM = 10


class Among(Lookup):  # type: ignore[type-arg]  # generic for the type checker alone
    """The right side is a list of integers."""

    lookup_name = "among"
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, list[Any]]:
        among, ids = one_of(int(number) for number in value)
        return among, [ids]

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        left, parameters = self.process_lhs(compiler, connection)
        right, more = self.get_db_prep_lookup(self.rhs, connection)
        return f"{left} {right}", [*parameters, *more]


def one_of(values: Iterable[int]) -> tuple[str, Any]:
    """The right side of a condition in raw SQL, and its only parameter."""
    if connection.vendor == "postgresql":
        return "= ANY(%s)", list(values)
    return "IN (SELECT value FROM json_each(%s))", json.dumps(list(values))


def uuid_value(value: uuid.UUID) -> uuid.UUID | str:
    """A UUID as the database takes it."""
    return value if connection.features.has_native_uuid_field else value.hex


def insert(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows of values as the database takes them: JSON as text, times and UUIDs adapted."""
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and len(rows) >= _COPY_FROM:
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(columns))
            insert_one = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - our own names
            if len(rows) == 1:  # which takes fewer round trips
                cursor.execute(insert_one, rows[0])
            else:
                cursor.executemany(insert_one, rows)

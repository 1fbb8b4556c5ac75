"""`field__among=[...]`: one of many ids, sent to the database as a single value.

`__in` sends each id as a parameter of its own; preparing five hundred of them costs more than the statement does.
"""

import json
from typing import Any

from django.db.models import Lookup


class Among(Lookup):  # type: ignore[type-arg]  # generic for the type checker alone
    """The right side is a list of integers."""

    lookup_name = "among"
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, list[Any]]:
        ids = [int(number) for number in value]
        return ("= ANY(%s)", [ids]) if connection.vendor == "postgresql" else (_JSON, [json.dumps(ids)])

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        left, parameters = self.process_lhs(compiler, connection)
        right, more = self.get_db_prep_lookup(self.rhs, connection)
        return f"{left} {right}", [*parameters, *more]


_JSON = "IN (SELECT value FROM json_each(%s))"

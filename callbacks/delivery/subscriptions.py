"""Reads the callback settings of some affiliates, as far as recording their events needs them.

Every save of an order with an affiliate does this once, so it has SQL of its own: Django takes longer to build the
query than the database to answer it.
"""

import json
from collections.abc import Collection
from typing import NamedTuple

from django.db import connection

from callbacks.models import sql


class Subscription(NamedTuple):
    """A callback setting, with the status and the code of its affiliate."""

    setting_id: int
    affiliate_id: int
    event: str
    is_active: bool
    only_statuses: list[str]
    affiliate_status: str
    affiliate_code: str


_SUBSCRIPTIONS = """
SELECT s.id, s.affiliate_id, s.event, s.is_active, s.only_statuses, a.status, a.code
FROM callbacks_callbacksetting s JOIN affiliates_affiliate a ON a.id = s.affiliate_id
WHERE s.affiliate_id {among} ORDER BY s.id
"""


def of_affiliates(affiliate_ids: Collection[int]) -> list[Subscription]:
    """All callback settings of these affiliates, the oldest first."""
    among, ids = sql.one_of(affiliate_ids)
    with connection.cursor() as cursor:
        cursor.execute(_SUBSCRIPTIONS.format(among=among), [ids])
        return [
            Subscription(pk, affiliate, event, bool(is_active), json.loads(statuses), *rest)
            for pk, affiliate, event, is_active, statuses, *rest in cursor.fetchall()
        ]

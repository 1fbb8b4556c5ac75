"""Reads who wants to hear of what: the callback settings of some affiliates, as far as recording needs them.

Every save of an order with an affiliate asks this once, so it is asked in SQL of our own: putting it into words took
Django longer than the database takes to answer.
"""

import json
from collections.abc import Collection
from typing import NamedTuple

from django.db import connection

from callbacks.models import sql


class Subscription(NamedTuple):
    """A callback setting, and what of its affiliate decides."""

    setting_id: int
    affiliate_id: int
    event: str
    is_active: bool
    only_statuses: list[str]
    affiliate_status: str
    affiliate_code: str


_LISTENERS = """
SELECT s.id, s.affiliate_id, s.event, s.is_active, s.only_statuses, a.status, a.code
FROM callbacks_callbacksetting s JOIN affiliates_affiliate a ON a.id = s.affiliate_id
WHERE s.affiliate_id {among} ORDER BY s.id
"""


def of(affiliate_ids: Collection[int]) -> list[Subscription]:
    """All callback settings of these affiliates, the oldest first."""
    among, ids = sql.one_of(affiliate_ids)
    with connection.cursor() as cursor:
        cursor.execute(_LISTENERS.format(among=among), [ids])
        return [
            Subscription(pk, affiliate, event, bool(is_active), json.loads(statuses), *rest)
            for pk, affiliate, event, is_active, statuses, *rest in cursor.fetchall()
        ]

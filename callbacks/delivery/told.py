"""What the tracker of a callback was told last of an order: changes of its amounts are reckoned from there.

That is the newest delivery to the same callback, or to one of the other event at the same host, that succeeded or is
still on its way. One that waits and is about to be replaced (`callbacks.delivery.superseded`) is not told, nor is one
that waits for a paused callback.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.db import connection

from callbacks.delivery.superseded import variable
from callbacks.models import Delivery, EventType, sql
from callbacks.postback.variables import AMOUNT, COMMISSION, CURRENCY, STATUS

NAMES = (AMOUNT, COMMISSION, CURRENCY, STATUS)
# At most two rows for each order and callback, however often the order changed.
_SELECT = """
SELECT d.order_id, s.affiliate_id, s.id, d.event, s.host, d.status, {variables}
FROM callbacks_delivery d JOIN callbacks_callbacksetting s ON s.id = d.setting_id
WHERE d.id IN (
    SELECT MAX(id) FROM callbacks_delivery
    WHERE order_id {among} AND origin <> 'test' AND setting_id IS NOT NULL
      AND status IN ('pending', 'sending', 'succeeded')
    GROUP BY order_id, setting_id, status = 'pending')
  AND (d.status <> 'pending' OR s.is_active)
ORDER BY d.id DESC
"""


class Callback(NamedTuple):
    """What is to be known of a callback setting."""

    affiliate_id: int
    setting_id: int
    event: str
    host: str


class Told:
    """What was told of these orders. It is read with one query; with none if there are no orders."""

    def __init__(self, order_keys: Collection[int]) -> None:
        self._newest_first: dict[int, list[tuple[Callback, bool, dict[str, str]]]] = defaultdict(list)
        if not order_keys:
            return
        among, ids = sql.one_of(order_keys)
        variables = ", ".join(variable("d", name) for name in NAMES)
        with connection.cursor() as cursor:
            cursor.execute(_SELECT.format(variables=variables, among=among), [ids])
            for order_id, affiliate_id, setting_id, event, host, status, *values in cursor.fetchall():
                callback = Callback(affiliate_id, setting_id, event, host)
                is_waiting = status == Delivery.Status.PENDING
                row = (callback, is_waiting, dict(zip(NAMES, values, strict=True)))
                self._newest_first[order_id].append(row)

    def last(self, order_id: int, callback: Callback, origin: str) -> Mapping[str, str] | None:
        """The variables `NAMES` that the tracker was told before a new delivery of this origin; None if it was not."""
        replaces_waiting = callback.event == EventType.CREATED and origin == Delivery.Origin.EVENT
        for to, is_waiting, variables in self._newest_first[order_id]:
            if to.affiliate_id != callback.affiliate_id:
                continue
            if to.setting_id == callback.setting_id:
                is_told = not is_waiting
            else:
                is_other_event = to.event != callback.event and to.host == callback.host
                is_told = is_other_event and not (is_waiting and replaces_waiting)
            if is_told:
                return variables
        return None

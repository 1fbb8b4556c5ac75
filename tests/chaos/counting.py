"""The count after a fault: what was lost, what came twice, what came in the wrong order."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from callbacks.models import Delivery
from orders.models import Order
from tests.receiver import Received


@dataclass(frozen=True)
class Fault:
    """What was claimed, and not recorded, at the time of a fault. What had been sent until then has arrived."""

    identity: frozenset[str]
    at: float


@dataclass(frozen=True)
class Counts:
    """How it ended. `in_flight` counts what had been sent and was not recorded when a fault came, for each fault."""

    deliveries: int
    lost: int
    duplicates: int
    in_flight: int


def count(requests: Sequence[Received], faults: Sequence[Fault], refused: Collection[str] = ()) -> Counts:
    """Count, and assert what holds after every fault: nothing is lost; twice came only what was in flight at a fault,
    once more for each, and under the same id; per order *created* came before *updated*.

    What was `refused`, or got no answer, came again rightly.
    """
    came: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        event_id = request.header("webhook-id") or ""
        assert ("id", event_id) in request.query
        came[event_id].append(request.at)
    rows = Delivery.objects.exclude(status="skipped").values_list("event_id", "status")
    states = {str(event_id): status for event_id, status in rows}
    assert came.keys() <= states.keys(), "Something was sent that is not in the database."
    lost = [event_id for event_id, status in states.items() if status != "succeeded" or event_id not in came]
    assert not lost, f"lost: {len(lost)} of {len(states)}"
    _assert_all_recorded()
    _assert_order(requests)
    _assert_one_id_for_each_event(requests)
    in_flight = {event_id: _times_in_flight(event_id, times, faults) for event_id, times in came.items()}
    more = {event_id: len(times) - 1 for event_id, times in came.items() if event_id not in refused}
    unexcused = [event_id for event_id, count in more.items() if count > in_flight[event_id]]
    assert not unexcused, f"came again without a reason: {len(unexcused)} of {len(states)}"
    return Counts(len(states), len(lost), sum(more.values()), sum(in_flight.values()))


def _times_in_flight(event_id: str, came: Sequence[float], faults: Sequence[Fault]) -> int:
    """At how many faults it had been sent, anew after the fault before, and was not recorded."""
    count, since = 0, 0.0
    for fault in (fault for fault in faults if event_id in fault.identity):
        count += any(since < at <= fault.at for at in came)
        since = fault.at
    return count


def _assert_all_recorded() -> None:
    recorded = set(Delivery.objects.filter(event="order.created").values_list("order__number", flat=True))
    wanted = Order.objects.filter(affiliate__callback_settings__event="order.created")
    missing = set(wanted.values_list("number", flat=True)) - recorded
    assert not missing, f"saved, but never recorded: {missing}"


def _assert_one_id_for_each_event(requests: Sequence[Received]) -> None:
    """An event, known by its order, type and status, never comes under a second id."""
    ids: dict[tuple[str, ...], str] = {}
    for request in requests:
        query = dict(request.query)
        event = query["order"], query["event"], query["status"]
        assert ids.setdefault(event, query["id"]) == query["id"], f"{event} came under two ids."


def _assert_order(requests: Sequence[Received]) -> None:
    created: set[str] = set()
    for request in requests:
        query = dict(request.query)
        if query["event"] == "order.created":
            created.add(query["order"])
        assert query["order"] in created, f"{query['order']} was updated before it was created."

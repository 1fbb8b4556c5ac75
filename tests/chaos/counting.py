"""The count after a fault: what was lost, what came twice, what came in the wrong order."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from callbacks.models import Delivery
from orders.models import Order
from tests.chaos.offering import Offered
from tests.receiver import Received


@dataclass(frozen=True)
class Fault:
    """What was claimed, and not recorded, at the time of a fault. What had been sent until then has arrived."""

    identity: frozenset[str]
    at: float


@dataclass(frozen=True)
class Counts:
    """How it ended. `once` and `twice` count deliveries that the receiver got so often, `duplicates` the requests too
    many. `in_flight` counts what had been sent and was not recorded when a fault came, for each fault.

    `offered` and `accepted` count events (an order made, an order changed) that were handed over by HTTP; `never` is
    accepted, or in the database, and not received; `silently_done` is said to be delivered and was not received.
    `without_reason` came again although it was not in flight at a fault.
    """

    deliveries: int
    duplicates: int = 0
    in_flight: int = 0
    once: int = 0
    twice: int = 0
    never: int = 0
    silently_done: int = 0
    without_reason: int = 0
    offered: int | None = None
    accepted: int | None = None


def count(
    requests: Sequence[Received], faults: Sequence[Fault], refused: Collection[str] = (), offered: Offered | None = None
) -> Counts:
    """Count, and assert what holds after every fault: nothing is lost; twice came only what was in flight at a fault,
    once more for each, and under the same id; per order *created* came before *updated*.

    What was `refused`, or got no answer, came again rightly.
    """
    came = _came(requests)
    states = _states()
    assert came.keys() <= states.keys(), "Something was sent that is not in the database."
    counts = tally(requests, faults, refused, offered)
    assert not counts.never, f"never received: {counts.never}, {counts}"
    assert not counts.silently_done, f"silently marked done: {counts.silently_done}, {counts}"
    unsettled = [event_id for event_id, status in states.items() if status != "succeeded"]
    assert not unsettled, f"not recorded: {len(unsettled)} of {len(states)}"
    _assert_all_recorded()
    _assert_order(requests)
    _assert_one_id_for_each_event(requests)
    assert not counts.without_reason, f"came again without a reason: {counts.without_reason}, {counts}"
    return counts


def tally(
    requests: Sequence[Received], faults: Sequence[Fault], refused: Collection[str] = (), offered: Offered | None = None
) -> Counts:
    """Count, whatever came of it."""
    came, states = _came(requests), _states()
    missing = states.keys() - came.keys()
    more = {event_id: len(times) - 1 for event_id, times in came.items() if event_id not in refused}
    in_flight = {event_id: _times_in_flight(event_id, times, faults) for event_id, times in came.items()}
    events = {(query["order"], query["event"]) for query in (dict(request.query) for request in requests)}
    never = len(offered.accepted - events) if offered else len(missing)
    return Counts(
        deliveries=len(states),
        duplicates=sum(more.values()),
        in_flight=sum(in_flight.values()),
        once=sum(len(times) == 1 for times in came.values()),
        twice=sum(count > 0 for count in more.values()),
        never=never,
        silently_done=sum(states[event_id] == "succeeded" for event_id in missing),
        without_reason=sum(count > in_flight[event_id] for event_id, count in more.items()),
        offered=len(offered.events) if offered else None,
        accepted=len(offered.accepted) if offered else None,
    )


def _came(requests: Sequence[Received]) -> dict[str, list[float]]:
    """When each event id came."""
    came: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        event_id = request.header("webhook-id") or ""
        assert ("id", event_id) in request.query
        came[event_id].append(request.at)
    return came


def _states() -> dict[str, str]:
    rows = Delivery.objects.exclude(status="skipped").values_list("event_id", "status")
    return {str(event_id): status for event_id, status in rows}


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

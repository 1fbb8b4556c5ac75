"""The count after a fault: what was lost, what came twice, what came in the wrong order."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from callbacks.models import Delivery
from orders.models import Order
from tests.receiver import Received


@dataclass(frozen=True)
class Fault:
    """What was claimed, and not recorded, at the time of a fault."""

    event_ids: frozenset[str]
    at: float


@dataclass(frozen=True)
class Tally:
    """How it ended. `in_flight` counts what had been sent and was not recorded when a fault came."""

    deliveries: int
    lost: int
    duplicates: int
    in_flight: int


def tally(requests: Sequence[Received], faults: Sequence[Fault], refused: Collection[str] = ()) -> Tally:
    """Count, and assert what holds after every fault: nothing is lost; twice came only what was in flight at a fault,
    under the same id; per order *created* came before *updated*.

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
    twice = {event_id for event_id, times in came.items() if len(times) > 1}.difference(refused)
    excused = set().union(*(fault.event_ids for fault in faults))
    assert twice <= excused, f"came twice without a reason: {len(twice - excused)} of {len(states)}"
    in_flight = sum(min(came[i]) < fault.at for fault in faults for i in fault.event_ids if i in came)
    duplicates = sum(len(came[event_id]) - 1 for event_id in twice)
    assert duplicates <= in_flight, f"{duplicates} duplicates of {in_flight} in flight"
    return Tally(len(states), len(lost), duplicates, in_flight)


def _assert_all_recorded() -> None:
    told = set(Delivery.objects.filter(event="order.created").values_list("order__number", flat=True))
    wanted = Order.objects.filter(affiliate__callback_settings__event="order.created")
    untold = set(wanted.values_list("number", flat=True)) - told
    assert not untold, f"saved, but never recorded: {untold}"


def _assert_order(requests: Sequence[Received]) -> None:
    created: set[str] = set()
    for request in requests:
        query = dict(request.query)
        if query["event"] == "order.created":
            created.add(query["order"])
        assert query["order"] in created, f"{query['order']} was updated before it was created."

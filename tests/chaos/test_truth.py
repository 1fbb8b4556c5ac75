"""A tracker that fails at random, while its orders change: the last thing that it accepted is the truth."""

import random
from collections import Counter
from collections.abc import Callable

from affiliates.models import Affiliate
from callbacks.models import Delivery
from orders.models import Order
from tests.chaos.counting import Counts
from tests.chaos.surroundings import Surroundings
from tests.receiver import Answer, Received, Receiver
from tests.waiting import wait_until

ORDERS, CHANGES, FAILING = 200, 3, 0.4
QUERY = "?order={{order.number}}&event={{event}}&status={{order.status}}&amount={{order.amount}}&id={{event.id}}"


def test_last_thing_that_each_tracker_accepted_is_the_orders_state(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    chance = random.Random(20261128)
    accepted: dict[tuple[str, str], dict[str, str]] = {}  # the last of each tracker and order
    ids: Counter[str] = Counter()

    def answer(request: Received) -> Answer:
        if chance.random() < FAILING:
            return Answer(status=503)
        query = dict(request.query)
        accepted[request.path.strip("/"), query["order"]] = query
        ids[query["id"]] += 1
        return Answer()

    receiver.answer("*", answer)
    codes = around.affiliates(2)
    affiliates = list(Affiliate.objects.filter(code__in=codes))
    for setting in (setting for affiliate in affiliates for setting in affiliate.callback_settings.all()):
        setting.url = setting.url.partition("?")[0] + QUERY
        setting.save()
    around.beat()
    around.worker()
    orders = [Order(number=str(n), affiliate=chance.choice(affiliates), amount=58) for n in range(ORDERS)]
    changes = [order for order in orders for _ in range(CHANGES)]
    chance.shuffle(changes)
    for order in orders:
        order.save()
    for order in changes:
        match chance.choice(["status", "status", "amount", "affiliate"]):
            case "status":
                order.status = chance.choice(["new", "approved", "rejected"])
            case "amount":
                order.amount = chance.randint(1, 999)
            case "affiliate":  # and often back again
                order.affiliate = next(each for each in affiliates if each != order.affiliate)
        order.save()
        if chance.random() < 0.02:
            _make_due()
    _wait_until_sent(around)
    pairs = [(code, order) for code in codes for order in orders]
    wrong = {(code, order.number): found for code, order in pairs if (found := _untrue(code, order, accepted))}
    assert not wrong, f"{len(wrong)}: {wrong} {around.log()}"
    states = Counter(Delivery.objects.values_list("status", "skip_reason"))
    assert states.keys() == {("succeeded", ""), ("skipped", "superseded")}
    again = sum(count > 1 for count in ids.values())
    counts = Counts(states.total(), ids.total() - len(ids), once=len(ids) - again, twice=again)
    report(
        f"tracker fails {FAILING:.0%} at random", counts, f"{states['skipped', 'superseded']} replaced by newer ones"
    )


def _untrue(code: str, order: Order, accepted: dict[tuple[str, str], dict[str, str]]) -> object:
    """What the tracker believes, if that is wrong."""
    told = accepted.get((code, order.number))
    is_theirs = order.affiliate is not None and order.affiliate.code == code
    if told is None:
        return "never told" if is_theirs else None
    if not is_theirs:
        return None if told["status"] == "rejected" else told
    return None if (told["status"], told["amount"]) == (order.status, f"{order.amount:.2f}") else told


def _make_due() -> None:
    from django.utils import timezone

    Delivery.objects.filter(status="pending", attempt_count__gt=0).update(next_attempt_at=timezone.now(), retry_step=0)


def _wait_until_sent(around: Surroundings) -> None:
    def is_sent() -> bool:
        _make_due()
        return not Delivery.objects.filter(status__in=["pending", "sending"]).exists()

    wait_until(is_sent, 90, around.log)

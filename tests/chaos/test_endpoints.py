"""Settings that are edited, paused or deleted between two attempts, and while one is on the wire."""

from collections.abc import Callable

import pytest

from callbacks.models import Attempt, CallbackSetting, Delivery
from orders.models import Order
from tests.chaos.surroundings import QUERY, Surroundings
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

ORDERS = 20


@pytest.fixture
def code(around: Surroundings, receiver: Receiver) -> str:
    """An affiliate whose tracker refused all orders once."""
    (code,) = around.affiliates(1)
    receiver.answer(f"/{code}", Answer(status=503))
    around.beat()
    around.worker()
    around.shop().do(first=around.next_number(ORDERS), count=ORDERS, codes=[code], is_bulk=True)
    wait_until(lambda: Attempt.objects.count() == ORDERS, 30, around.log)
    Delivery.objects.update(next_attempt_at="2100-01-01T00:00:00Z")  # not before the test has done its part
    receiver.clear()
    return code


def created() -> CallbackSetting:
    return CallbackSetting.objects.get(event="order.created")


def test_endpoint_edited_between_attempts_repairs_what_waits(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], code: str
) -> None:
    setting = created()
    setting.url = receiver.url("/corrected") + QUERY
    setting.save()
    around.make_due()
    around.wait_until_sent(30)
    assert {request.path for request in receiver.requests} == {"/corrected"}
    assert Attempt.objects.count() == 2 * ORDERS
    report("endpoint edited between attempts", around.tally())


def test_endpoint_paused_between_attempts_waits_until_it_is_resumed(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], code: str
) -> None:
    receiver.answer(f"/{code}", Answer())
    CallbackSetting.objects.update(is_active=False)
    around.make_due()
    other = around.affiliates(1)  # who goes after them in the queue, and is not kept waiting
    around.shops[0].do(first=around.next_number(3), count=3, codes=other, is_bulk=True)
    receiver.wait_for(3, 30)
    wait_until(lambda: around.states() == {"pending": ORDERS, "succeeded": 3}, 10)
    assert {request.path for request in receiver.requests} == {f"/{other[0]}"}
    CallbackSetting.objects.update(is_active=True)
    around.wait_until_sent(30)
    report("endpoint paused between attempts", around.tally())


def test_endpoint_deleted_between_attempts_ends_them_with_the_reason(
    around: Surroundings, receiver: Receiver, report: Callable[..., None], code: str
) -> None:
    created().delete()
    around.make_due()
    around.wait_until_sent(30)
    assert not receiver.requests
    assert around.states() == {"skipped": ORDERS}
    assert set(Delivery.objects.values_list("skip_reason", flat=True)) == {Delivery.SkipReason.SETTING_DELETED}
    assert Attempt.objects.count() == ORDERS  # what had been sent stays on record
    report("endpoint deleted between attempts", around.tally())


def test_endpoints_changed_while_requests_are_on_the_wire_record_what_was_answered(
    around: Surroundings, receiver: Receiver, report: Callable[..., None]
) -> None:
    edited, paused, deleted, emptied = codes = around.affiliates(4)
    receiver.answer("*", Answer(delay_s=1.5))
    around.beat()
    around.worker()
    around.shop().do(first=around.next_number(8), count=8, codes=codes, is_bulk=True)
    requests = receiver.wait_for(8, 30)
    settings = CallbackSetting.objects.filter(event="order.created")
    settings.filter(affiliate__code=edited).update(url=receiver.url("/elsewhere") + QUERY)
    settings.filter(affiliate__code=paused).update(is_active=False)
    settings.filter(affiliate__code=deleted).delete()
    Delivery.objects.filter(affiliate__code=emptied).delete()
    Order.objects.filter(affiliate__code=emptied).delete()
    around.wait_until_sent(30)
    wait_until(lambda: not around.claimed(), 10)
    kept = [request for request in requests if request.path != f"/{emptied}"]
    assert receiver.requests == requests
    receiver.requests[:] = kept  # what is not in the database any more cannot be counted
    tally = around.tally()
    assert (tally.deliveries, tally.duplicates) == (6, 0)
    attempts = Attempt.objects.values_list("url", "status_code")
    assert sorted(attempts) == sorted((receiver.url(request.target), 200) for request in kept)
    report("endpoint edited, paused, deleted while requests are on the wire", tally)

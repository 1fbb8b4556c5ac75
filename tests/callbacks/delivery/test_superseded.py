"""The tracker ends up knowing the truth: a newer event of an order replaces an older one that still waits."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import db_thread, queue, resend, settle
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
from tests.callbacks.delivery.settlements import settlement
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(affiliate: Affiliate) -> Order:
    """Made, and its *created* delivered."""
    order = OrderFactory(affiliate=affiliate)
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    return order


def changed(order: Order, **fields: object) -> Delivery:
    """The delivery of the change, for the first callback."""
    last = Delivery.objects.order_by("pk").last()
    for name, value in fields.items():
        setattr(order, name, value)
    order.save()
    return Delivery.objects.filter(pk__gt=last.pk if last else 0).earliest("pk")


def state(delivery: Delivery) -> str:
    delivery.refresh_from_db()
    return delivery.skip_reason or delivery.status


def claimed_statuses() -> list[str]:
    return [claimed.due.variables["order.status"] for claimed in queue.claim(10)]


def fail(claims: list[queue.Claimed], *, wait_s: float = 5) -> None:
    again = timezone.now() + timedelta(seconds=wait_s)
    settle.settle([settlement(claimed, "pending", again, code=503, retry_step=1) for claimed in claims])


def test_newer_update_replaces_one_that_waits_for_its_turn(order: Order) -> None:
    approved, rejected = changed(order, status="approved"), changed(order, status="rejected")
    assert (state(approved), state(rejected)) == ("superseded", "pending")
    assert claimed_statuses() == ["rejected"]


def test_newer_update_replaces_one_that_waits_for_its_next_attempt(order: Order) -> None:
    approved = changed(order, status="approved")
    fail(queue.claim(10))
    changed(order, status="rejected")
    assert state(approved) == "superseded"


def test_newer_update_waits_for_what_is_on_the_wire_which_is_replaced_if_it_fails(order: Order) -> None:
    approved = changed(order, status="approved")
    on_the_wire = queue.claim(10)
    changed(order, status="rejected")
    assert (state(approved), claimed_statuses()) == ("sending", [])
    fail(on_the_wire, wait_s=0)
    assert state(approved) == "superseded"
    assert claimed_statuses() == ["rejected"]


def test_what_a_dead_worker_held_is_replaced_when_it_is_taken_back(order: Order) -> None:
    approved = changed(order, status="approved")
    queue.claim(10)
    changed(order, status="rejected")
    Delivery.objects.filter(pk=approved.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    queue.recover()
    found = db_thread.claim_due(10, queue.EVERYTHING, queue.LEASE)
    assert [claimed.due.variables["order.status"] for claimed in found.claims] == ["rejected"]
    assert state(approved) == "superseded"


def test_two_callbacks_of_one_event_do_not_replace_each_other(affiliate: Affiliate, order: Order) -> None:
    CallbackSettingFactory(affiliate=affiliate, event="order.updated", name="second")
    CallbackSettingFactory(affiliate=affiliate, event="order.created", name="second")
    changed(order, status="approved")
    assert claimed_statuses() == ["approved", "approved"]
    OrderFactory(affiliate=affiliate)
    assert claimed_statuses() == ["new", "new"]


def test_order_of_another_affiliate_or_another_order_is_left_alone(affiliate: Affiliate, order: Order) -> None:
    other = OrderFactory(affiliate=affiliate)
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    approved = changed(other, status="approved")
    changed(order, status="rejected")
    assert state(approved) == "pending"


@pytest.mark.parametrize(
    ("later", "expected"), [({"amount": 99}, "pending"), ({"status": "rejected"}, "superseded")], ids=["true", "untrue"]
)
def test_update_left_out_by_statuses_replaces_what_is_no_longer_true(
    order: Order, later: dict[str, object], expected: str
) -> None:
    CallbackSetting.objects.filter(event="order.updated").update(only_statuses=["approved"])
    approved = changed(order, status="approved")
    changed(order, **later)
    assert state(approved) == expected


def test_order_that_came_back_replaces_the_rejection(affiliate: Affiliate, order: Order) -> None:
    other = AffiliateFactory()
    rejection = changed(order, affiliate=other)
    assert rejection.variables["order.status"] == "rejected"
    back = changed(order, affiliate=affiliate)
    assert (state(rejection), back.event) == ("superseded", "order.created")
    assert claimed_statuses() == ["new"]


def test_order_that_came_back_waits_for_a_rejection_on_the_wire(affiliate: Affiliate, order: Order) -> None:
    rejection = changed(order, affiliate=AffiliateFactory())
    on_the_wire = queue.claim(10)
    changed(order, affiliate=affiliate)
    assert claimed_statuses() == []
    fail(on_the_wire, wait_s=0)
    assert state(rejection) == "superseded"
    assert claimed_statuses() == ["new"]


@pytest.fixture
def other(new_affiliate: Callable[[], Affiliate]) -> Affiliate:
    return new_affiliate()


def test_order_that_came_back_is_told_by_updated_where_created_has_no_callback(
    affiliate: Affiliate, order: Order, other: Affiliate
) -> None:
    CallbackSetting.objects.filter(affiliate=affiliate, event="order.created").delete()
    rejection = changed(order, affiliate=other)
    order.affiliate = affiliate
    order.save()
    assert state(rejection) == "superseded"
    back = Delivery.objects.filter(affiliate=affiliate).latest("pk")
    assert (back.event, back.status, back.variables["order.status"]) == ("order.updated", "pending", "new")


def test_order_that_came_back_is_told_by_updated_after_a_rejection_on_the_wire(
    affiliate: Affiliate, order: Order, other: Affiliate
) -> None:
    CallbackSetting.objects.filter(event="order.created").delete()
    rejection = changed(order, affiliate=other)
    on_the_wire = queue.claim(10)
    changed(order, affiliate=affiliate)
    fail(on_the_wire, wait_s=0)
    assert state(rejection) == "superseded"
    back = Delivery.objects.filter(affiliate=affiliate).latest("pk")
    assert back.pk in [claimed.pk for claimed in queue.claim(10)]


@pytest.mark.parametrize(
    ("url", "fields", "expected"),
    [
        ("https://tracker.example/created", {}, ["order.created"]),
        ("https://other.example/", {}, ["order.created", "order.updated"]),
        ("https://tracker.example:8443/", {}, ["order.created", "order.updated"]),
        ("https://tracker.example/", {"is_active": False}, ["order.updated"]),
        ("https://tracker.example/", {"only_statuses": ["approved"]}, ["order.updated"]),
    ],
    ids=["same host", "other host", "other port", "paused", "other status"],
)
def test_order_that_came_back_is_told_at_each_host(
    affiliate: Affiliate, order: Order, other: Affiliate, url: str, fields: dict[str, object], expected: list[str]
) -> None:
    created = CallbackSetting.objects.get(affiliate=affiliate, event="order.created")
    created.url = url
    for name, value in fields.items():
        setattr(created, name, value)
    created.save()
    changed(order, affiliate=other)
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    order.affiliate = affiliate
    order.save()
    waiting = Delivery.objects.filter(affiliate=affiliate, status="pending").order_by("pk")
    assert [delivery.event for delivery in waiting] == expected


def test_order_that_came_first_to_an_affiliate_is_told_by_created_only(order: Order, other: Affiliate) -> None:
    CallbackSetting.objects.filter(affiliate=other, event="order.created").update(host="other.example")
    changed(order, affiliate=other)
    assert [delivery.event for delivery in Delivery.objects.filter(affiliate=other)] == ["order.created"]


def test_order_that_came_back_replaces_its_first_created(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    first = Delivery.objects.get()
    changed(order, affiliate=AffiliateFactory())
    changed(order, affiliate=affiliate, amount=99)
    assert state(first) == "superseded"
    assert [claimed.due.variables["order.amount"] for claimed in queue.claim(10)] == ["99.00"]


def test_created_that_was_paused_does_not_come_after_an_update(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    created = CallbackSetting.objects.filter(event="order.created")
    created.update(is_active=False)
    changed(order, status="approved")
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    created.update(is_active=True)
    assert db_thread.claim_due(10, queue.EVERYTHING, queue.LEASE).claims == []
    assert state(Delivery.objects.get(event="order.created")) == "superseded"


def test_created_that_was_paused_goes_out_where_no_update_was_accepted(affiliate: Affiliate) -> None:
    order = OrderFactory(affiliate=affiliate)
    CallbackSetting.objects.filter(event="order.updated").update(host="other.example")
    changed(order, status="approved")
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10) if claimed.host == "other.example"])
    assert Delivery.objects.get(event="order.created").status == "sending"


def test_order_made_again_under_a_number_replaces_what_waits_for_the_deleted_one(
    affiliate: Affiliate, other: Affiliate, admin_client: Client
) -> None:
    first = OrderFactory(number="#7", affiliate=affiliate)
    fail(queue.claim(10), wait_s=0)
    first.delete()
    again = OrderFactory(number="#7", affiliate=affiliate)
    found = db_thread.claim_due(10, queue.EVERYTHING, queue.LEASE).claims
    assert [claimed.due.event for claimed in found] == ["order.created"]
    settle.settle([settlement(claimed, "succeeded") for claimed in found])
    assert db_thread.claim_due(10, queue.EVERYTHING, queue.LEASE).claims == []
    old = Delivery.objects.exclude(order=again)
    assert [delivery.skip_reason for delivery in old] == ["superseded", "superseded"]
    page = admin_client.get(old[0].get_absolute_url()).content.decode()
    assert f'href="{Delivery.objects.get(order=again).get_absolute_url()}">View the newer event' in page


def test_resend_of_a_deleted_order_that_was_made_again_is_refused(affiliate: Affiliate) -> None:
    first = OrderFactory(number="#7", affiliate=affiliate)
    settle.settle([settlement(claimed, "failed", code=500) for claimed in queue.claim(10)])
    old = Delivery.objects.get()
    first.delete()
    Delivery.objects.exclude(pk=old.pk).delete()
    assert resend.resend([old.pk], resend.REASONS_ALONE).count == 1
    OrderFactory(number="#7", affiliate=affiliate)
    found = db_thread.claim_due(10, queue.EVERYTHING, queue.LEASE).claims
    assert (old.pk in [claimed.pk for claimed in found], state(old)) == (False, "superseded")
    assert resend.resend([old.pk], resend.REASONS_ALONE).refused == {old.pk: resend.MADE_AGAIN}


def test_order_made_again_for_another_affiliate_replaces_nothing(affiliate: Affiliate, other: Affiliate) -> None:
    first = OrderFactory(number="#7", affiliate=affiliate)
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    first.delete()
    OrderFactory(number="#7", affiliate=other)
    OrderFactory(number="#8", affiliate=affiliate)
    found = db_thread.claim_due(10, queue.EVERYTHING, queue.LEASE).claims
    assert sorted(claimed.due.variables["order.status"] for claimed in found) == ["new", "new", "rejected"]


# --- a person ------------------------------------------------------------------
@pytest.fixture
def older(order: Order) -> Delivery:
    """One that failed for good, and a newer one was delivered since."""
    older = changed(order, status="approved")
    settle.settle([settlement(claimed, "failed", code=503) for claimed in queue.claim(10)])
    changed(order, status="rejected")
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    return older


def test_resend_of_many_leaves_out_what_a_newer_one_replaces(older: Delivery) -> None:
    assert "newer" in resend.resend([older.pk]).refused[older.pk]


def test_resend_alone_sends_the_older_one_after_saying_what_that_does(older: Delivery, admin_client: Client) -> None:
    page = admin_client.get(older.get_absolute_url()).content.decode()
    newer = Delivery.objects.latest("pk")
    assert f'href="{newer.get_absolute_url()}">A newer event of this order' in page
    assert "the tracker gets the older values" in page
    admin_client.post(f"/admin/callbacks/delivery/{older.pk}/resend/")
    (claimed,) = queue.claim(10)
    assert (claimed.pk, claimed.due.is_superseded) == (older.pk, False)


def test_resend_alone_of_created_tells_of_an_update_delivered_since(order: Order, admin_client: Client) -> None:
    created = Delivery.objects.get()
    assert "A newer event" not in admin_client.get(created.get_absolute_url()).content.decode()
    changed(order, status="approved")
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    assert "A newer event" in admin_client.get(created.get_absolute_url()).content.decode()


def test_resend_of_many_leaves_out_created_where_an_update_was_accepted_since(order: Order) -> None:
    created = Delivery.objects.get()
    Delivery.objects.update(status="failed")
    changed(order, status="approved")
    assert resend.resend([created.pk]).count == 1  # the update waits for it
    settle.settle([settlement(claimed, "failed", code=503) for claimed in queue.claim(10)])
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    assert "newer" in resend.resend([created.pk]).refused[created.pk]
    assert resend.resend([created.pk], resend.REASONS_ALONE).count == 1


def test_resend_of_many_leaves_out_created_while_an_update_is_on_the_wire(order: Order) -> None:
    created = Delivery.objects.get()
    Delivery.objects.update(status="failed")
    changed(order, status="approved")
    on_the_wire = queue.claim(10)
    assert "newer" in resend.resend([created.pk]).refused[created.pk]
    settle.settle([settlement(claimed, "succeeded") for claimed in on_the_wire])
    assert claimed_statuses() == []


def test_resend_alone_is_refused_while_a_newer_one_is_on_its_way(older: Delivery, order: Order) -> None:
    changed(order, amount=99)
    assert "waiting to be sent" in resend.resend([older.pk], resend.REASONS_ALONE).refused[older.pk]


def test_resend_of_the_newer_one_replaces_an_older_one_that_was_resent(older: Delivery) -> None:
    resend.resend([older.pk], resend.REASONS_ALONE)
    newer = Delivery.objects.latest("pk")
    assert resend.resend([newer.pk]).count == 1
    assert (state(older), claimed_statuses()) == ("superseded", ["rejected"])


def test_replaced_delivery_links_to_the_newer_one(order: Order, admin_client: Client) -> None:
    older, newer = changed(order, status="approved"), changed(order, status="rejected")
    page = admin_client.get(older.get_absolute_url()).content.decode()
    assert f'href="{newer.get_absolute_url()}">View the newer event' in page


def test_resend_of_two_of_one_order_sends_the_newer_only(order: Order) -> None:
    for status in ("approved", "rejected"):
        changed(order, status=status)
        settle.settle([settlement(claimed, "failed", code=503) for claimed in queue.claim(10)])
    resent = resend.resend(list(Delivery.objects.filter(event="order.updated").values_list("pk", flat=True)))
    assert (resent.count, len(resent.refused)) == (1, 1)
    assert claimed_statuses() == ["rejected"]


def test_saving_an_order_again_and_again_leaves_one_delivery_waiting(order: Order) -> None:
    for amount in range(1, 20):
        changed(order, amount=amount)
    waiting = Delivery.objects.filter(status="pending")
    assert [delivery.variables["order.amount"] for delivery in waiting] == ["19.00"]


def test_bulk_of_two_affiliates_with_the_same_host(new_affiliate: Callable[[], Affiliate]) -> None:
    orders = [OrderFactory(affiliate=new_affiliate()) for _ in range(2)]
    settle.settle([settlement(claimed, "succeeded") for claimed in queue.claim(10)])
    for order in orders:
        changed(order, status="approved")
    assert claimed_statuses() == ["approved", "approved"]


@pytest.fixture
def new_affiliate() -> Callable[[], Affiliate]:
    def new() -> Affiliate:
        affiliate = AffiliateFactory()
        callbacks_for(affiliate, "https://tracker.example/")
        return affiliate

    return new

"""What a resend or a backfill does step by step: each row once, at its rate, wherever it is interrupted."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery import queue, reconcile, resend
from callbacks.jobs import runner
from callbacks.jobs.backfill import Backfill
from callbacks.log import explain
from callbacks.models import CallbackSetting, Delivery, Job
from callbacks.reports import reconciliation
from callbacks.reports.reconciliation import Month
from orders.models import Order
from tests.callbacks.jobs.steps import do_all, to_backfill, to_resend
from tests.callbacks.panel import at_once
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory

pytestmark = pytest.mark.django_db


def failed(setting: CallbackSetting, count: int) -> list[int]:
    """So many deliveries that were given up; their keys."""
    Order.objects.bulk_create(
        Order(number=f"#{uuid.uuid4().hex[:12]}", affiliate=setting.affiliate, amount=1, currency="USD")
        for _ in range(count)
    )
    rows = Delivery.objects.filter(setting=setting, status="pending")
    pks = list(rows.order_by("pk").values_list("pk", flat=True))
    rows.update(status="failed", next_attempt_at=None, attempt_count=10, retry_step=9)
    return pks


def waiting() -> list[int]:
    return list(Delivery.objects.filter(status="pending").order_by("pk").values_list("pk", flat=True))


# --- resend --------------------------------------------------------------------
def test_resend_makes_each_delivery_due_once_and_keeps_its_event(setting: CallbackSetting) -> None:
    pks = failed(setting, 120)
    ids = dict(Delivery.objects.values_list("pk", "event_id"))
    job = do_all(to_resend(status__exact="failed"))
    assert (job.state, job.done, job.refused) == ("finished", 120, {})
    assert waiting() == pks
    assert dict(Delivery.objects.values_list("pk", "event_id")) == ids
    assert set(Delivery.objects.values_list("next_trigger", "retry_step")) == {("manual", 0)}


def test_resend_leaves_alone_what_came_after_it_was_confirmed(setting: CallbackSetting) -> None:
    pks = failed(setting, 3)
    job = to_resend(status__exact="failed")
    failed(setting, 2)
    assert do_all(job).done == 3
    assert waiting() == pks


def test_resend_leaves_out_what_was_delivered_unless_it_is_meant(setting: CallbackSetting) -> None:
    pks = failed(setting, 4)
    Delivery.objects.filter(pk__in=pks[:2]).update(status="succeeded")
    do_all(to_resend())
    assert waiting() == pks[2:]
    assert do_all(to_resend(with_delivered=True)).done == 4
    assert waiting() == pks


def test_resend_counts_what_cannot_go_out_with_the_reasons(setting: CallbackSetting) -> None:
    good, paused, orphan, test, sending = failed(setting, 5)
    other = CallbackSettingFactory(is_active=False)
    Delivery.objects.filter(pk=paused).update(setting=other)
    Delivery.objects.filter(pk=orphan).update(setting=None)
    Delivery.objects.filter(pk=test).update(origin="test")
    Delivery.objects.filter(pk=sending).update(
        status="sending", claim_token=uuid.uuid4(), leased_until=timezone.now() + timedelta(minutes=1)
    )
    job = do_all(to_resend())
    assert job.done == 1
    assert waiting() == [good]
    assert job.refused == {
        resend.PAUSED: 1,
        resend.DELETED: 1,
        resend.TEST: 1,
        resend.SENDING: 1,
    }
    assert [pk for pk, _ in job.refused_first] == [paused, orphan, test, sending]


def test_resend_keeps_the_names_of_the_first_refused_only(setting: CallbackSetting) -> None:
    pks = failed(setting, 30)
    CallbackSetting.objects.update(is_active=False)
    job = do_all(to_resend())
    assert job.refused == {resend.PAUSED: 30}
    assert [pk for pk, _ in job.refused_first] == pks[:20]


@pytest.mark.parametrize("rate", [5, 50, 500])
def test_step_takes_no_more_than_its_rate_allows(setting: CallbackSetting, rate: int) -> None:
    failed(setting, rate * 4)
    job, began = to_resend(rate), timezone.now()
    for tenth in range(21):
        with time_machine.travel(began + timedelta(seconds=tenth / 10), tick=False):
            while runner.step(job.pk):
                pass
        allowed = rate * (1 + tenth / 10)
        assert allowed - max(1, rate / 20) <= len(waiting()) <= allowed + 1


def test_step_after_a_long_absence_does_not_make_up_for_all_of_it(setting: CallbackSetting) -> None:
    failed(setting, 400)
    job, began = to_resend(50), timezone.now()
    with time_machine.travel(began, tick=False):
        while runner.step(job.pk):
            pass
    assert len(waiting()) == 50
    with time_machine.travel(began + timedelta(hours=1), tick=False):
        while runner.step(job.pk):
            pass
    assert len(waiting()) == 150


def test_clock_set_back_does_not_stop_a_job(setting: CallbackSetting) -> None:
    failed(setting, 100)
    job, began = to_resend(50), timezone.now()
    for moment in (began, began - timedelta(hours=1)):
        with time_machine.travel(moment, tick=False):
            while runner.step(job.pk):
                pass
    assert len(waiting()) == 100


def test_step_that_breaks_off_has_done_nothing(setting: CallbackSetting) -> None:
    pks = failed(setting, 3)
    job = to_resend()

    def break_off(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    pre_save.connect(break_off, sender=Job)
    try:
        with pytest.raises(KeyboardInterrupt):
            runner.step(job.pk)
    finally:
        pre_save.disconnect(break_off, sender=Job)
    assert waiting() == []
    job.refresh_from_db()
    assert (job.position, job.done, job.state) == (0, 0, "waiting")
    do_all(job)
    assert waiting() == pks


def test_job_with_an_error_of_ours_breaks_off_and_leaves_the_others(setting: CallbackSetting) -> None:
    failed(setting, 3)
    broken = to_resend(affiliate__id__exact="nobody")
    good = to_resend()
    runner.run_all()
    broken.refresh_from_db()
    good.refresh_from_db()
    assert (broken.state, broken.note) == ("failed", runner.OUR_ERROR)
    assert (good.state, good.done) == ("finished", 3)


def test_stop_leaves_the_rest_alone_and_continue_does_it(setting: CallbackSetting) -> None:
    pks = failed(setting, 120)
    job = to_resend()
    runner.step(job.pk)
    assert job.stop()
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        assert not runner.step(job.pk)
    assert waiting() == pks[:50]
    assert not job.stop()
    assert job.resume()
    assert not job.resume()
    assert do_all(job).done == 120
    assert waiting() == pks


def test_filter_that_nothing_matches_ends_at_once(setting: CallbackSetting) -> None:
    failed(setting, 3)
    job = to_resend(host="elsewhere.example")
    assert not runner.step(job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.share) == ("finished", 0, 1.0)


def test_step_asks_as_often_for_thirty_as_for_one(setting: CallbackSetting) -> None:
    def queries(count: int) -> int:
        failed(setting, count)
        job = to_resend(status__exact="failed")
        with CaptureQueriesContext(connection) as captured:
            runner.step(job.pk)
        assert Job.objects.get(pk=job.pk).done == count
        Delivery.objects.all().delete()
        return len(captured)

    assert queries(1) == queries(30)


# --- two at a time ---------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_steps_at_the_same_time_take_nothing_twice_and_keep_the_rate(setting: CallbackSetting) -> None:
    pks = failed(setting, 300)
    job = to_resend(20)
    began = timezone.now()
    at_once([runner.run_all] * 6)
    took = (timezone.now() - began).total_seconds()
    job.refresh_from_db()
    assert 20 <= job.done <= 20 * (1 + took) + 1
    assert waiting() == pks[: job.done]
    assert job.position == pks[job.done - 1]


# --- backfill --------------------------------------------------------------------
def backfilled() -> list[str]:
    rows = Delivery.objects.filter(origin="backfill").order_by("pk")
    return [delivery.order_number for delivery in rows]


def past_orders(affiliate: Affiliate, *numbers: str, **fields: Any) -> None:
    """Orders that came in before there was a callback."""
    for number in numbers:
        OrderFactory(number=number, affiliate=affiliate, **fields)


def test_backfill_tells_a_new_callback_of_past_orders_in_their_order(joe: Affiliate) -> None:
    past_orders(joe, "#1", "#2", "#3")
    past_orders(AffiliateFactory(), "#4")
    setting = CallbackSettingFactory(affiliate=joe)
    job = do_all(to_backfill(setting))
    assert (job.state, job.done) == ("finished", 3)
    assert backfilled() == ["#1", "#2", "#3"]
    delivery = Delivery.objects.filter(origin="backfill")[0]
    assert (delivery.event, delivery.status, delivery.next_trigger) == ("order.created", "pending", "initial")
    assert (delivery.setting, delivery.affiliate) == (setting, joe)
    assert delivery.variables["event"] == "order.created"
    assert delivery.variables["event.id"] == str(delivery.event_id)


def test_backfill_leaves_out_what_this_callback_was_told_of(joe: Affiliate) -> None:
    other = CallbackSettingFactory(affiliate=joe, name="old")
    past_orders(joe, "#1")
    setting = CallbackSettingFactory(affiliate=joe, name="new")
    past_orders(joe, "#2")
    assert do_all(to_backfill(setting)).done == 1
    assert backfilled() == ["#1"]
    assert do_all(to_backfill(setting)).done == 0
    assert do_all(to_backfill(setting, again=True)).done == 2
    assert do_all(to_backfill(other)).done == 0


def test_backfill_does_not_take_a_test_for_having_been_told(joe: Affiliate) -> None:
    past_orders(joe, "#1")
    setting = CallbackSettingFactory(affiliate=joe)
    Delivery.objects.create(
        setting=setting, order=Order.objects.get(), event="order.created", origin="test", status="succeeded"
    )
    assert do_all(to_backfill(setting)).done == 1


def test_backfill_takes_the_values_as_they_are_now_and_whose_order_it_is_now(joe: Affiliate) -> None:
    past_orders(joe, "#1", "#2")
    gone, kept = Order.objects.get(number="#2"), Order.objects.get(number="#1")
    gone.affiliate = AffiliateFactory()
    gone.save()
    kept.status, kept.amount = "approved", 99
    kept.save()
    do_all(to_backfill(CallbackSettingFactory(affiliate=joe)))
    (delivery,) = Delivery.objects.filter(origin="backfill")
    assert (delivery.variables["order.status"], delivery.variables["order.amount"]) == ("approved", "99.00")


def test_backfill_respects_the_status_filter_of_its_callback(joe: Affiliate) -> None:
    past_orders(joe, "#1")
    past_orders(joe, "#2", status="approved")
    setting = CallbackSettingFactory(affiliate=joe, only_statuses=["approved"])
    assert do_all(to_backfill(setting)).done == 1
    assert backfilled() == ["#2"]
    assert not Delivery.objects.filter(status="skipped").exists()


def test_backfill_takes_whole_days_of_utc(joe: Affiliate) -> None:
    for number, moment in {
        "#1": "2026-03-01T23:59:59",
        "#2": "2026-03-02T00:00:00",
        "#3": "2026-03-03T23:59:59",
        "#4": "2026-03-04T00:00:00",
    }.items():
        with time_machine.travel(f"{moment}+00:00", tick=False):
            past_orders(joe, number)
    setting = CallbackSettingFactory(affiliate=joe)
    do_all(to_backfill(setting, **{"from": "2026-03-02", "to": "2026-03-03"}))
    assert backfilled() == ["#2", "#3"]


@pytest.mark.parametrize("change", ["pause", "block", "delete"])
def test_backfill_stops_with_a_sentence_when_nothing_can_be_sent_any_more(joe: Affiliate, change: str) -> None:
    past_orders(joe, "#1")
    setting = CallbackSettingFactory(affiliate=joe)
    job = to_backfill(setting)
    if change == "pause":
        CallbackSetting.objects.update(is_active=False)
    elif change == "block":
        Affiliate.objects.update(status="blocked")
    else:
        setting.delete()
    runner.run_all()
    job.refresh_from_db()
    assert job.state == "stopped"
    assert {"pause": "paused", "block": "blocked", "delete": "deleted"}[change] in job.note
    assert backfilled() == []


def test_backfill_of_an_updated_callback_tells_how_the_order_stands(joe: Affiliate) -> None:
    past_orders(joe, "#1", status="approved")
    do_all(to_backfill(CallbackSettingFactory(affiliate=joe, event="order.updated")))
    (delivery,) = Delivery.objects.filter(origin="backfill")
    assert (delivery.event, delivery.variables["order.status"]) == ("order.updated", "approved")
    assert [claimed.pk for claimed in queue.claim(10)] == [delivery.pk]


@pytest.mark.django_db(transaction=True)
def test_backfill_never_tells_of_what_an_order_was_while_somebody_changes_it(joe: Affiliate, postgresql: bool) -> None:
    """While a save is open a step gives way; after it, it tells what was saved."""
    past_orders(joe, "#1")
    setting = CallbackSettingFactory(affiliate=joe)
    job = to_backfill(setting)
    if postgresql:  # elsewhere only one writes at a time
        with transaction.atomic():
            order = Order.objects.get()
            order.amount = 77
            order.save()
            at_once([runner.run_all])
            assert backfilled() == []
    else:
        Order.objects.get().save()
        Order.objects.update(amount=77)
    do_all(job)
    (delivery,) = Delivery.objects.filter(origin="backfill")
    assert delivery.variables["order.amount"] == "77.00"


def test_backfill_asks_as_often_for_thirty_as_for_one(joe: Affiliate) -> None:
    def queries(count: int) -> int:
        affiliate = AffiliateFactory()
        OrderFactory.create_batch(count, affiliate=affiliate)
        job = to_backfill(CallbackSettingFactory(affiliate=affiliate))
        with CaptureQueriesContext(connection) as captured:
            runner.step(job.pk)
        assert Job.objects.get(pk=job.pk).done == count
        return len([query for query in captured if "callbacks_delivery (event_id" not in query["sql"]])

    assert queries(1) == queries(30)


def test_why_not_of_a_backfill_is_empty_for_a_callback_that_can_be_sent_to(setting: CallbackSetting) -> None:
    assert Backfill.of(setting, {}).why_not() == ""


@pytest.mark.django_db(transaction=True)
def test_two_backfills_of_one_callback_at_once_tell_of_each_order_once(joe: Affiliate) -> None:
    past_orders(joe, *(f"#{number}" for number in range(40)))
    setting = CallbackSettingFactory(affiliate=joe)
    jobs = [to_backfill(setting) for _ in range(3)]
    at_once([runner.run_all] * 3)
    assert sum(do_all(job).done for job in jobs) == 40
    assert sorted(backfilled()) == sorted(f"#{number}" for number in range(40))


# --- what was backfilled is a delivery like any other -----------------------------
def test_backfilled_order_is_told_of_in_every_figure(joe: Affiliate) -> None:
    past_orders(joe, "#1")
    order = Order.objects.get()
    setting = CallbackSettingFactory(affiliate=joe)
    month = Month.of(order.created_at)
    (before,) = (line for line in reconciliation.reconcile(joe, month).lines if line.setting)
    assert before.counts["succeeded"] == 0
    do_all(to_backfill(setting))
    (explanation,) = (found for found in explain.explain(order) if found.setting)
    assert (explanation.state, explanation.sentence) == (
        "pending",
        "Due now. Sent as soon as a worker is free.",
    )
    Delivery.objects.update(status="succeeded", next_attempt_at=None, last_attempt_at=timezone.now())
    (line,) = (line for line in reconciliation.reconcile(joe, month).lines if line.setting)
    assert line.counts["succeeded"] == 1
    assert list(reconcile.missed(order.created_at)) == []
    order.status = "approved"
    order.save()
    assert Delivery.objects.count() == 1  # there is no callback for updates

"""What is older than it is kept goes, in batches; what is still needed stays."""

import time
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from axes.models import AccessLog
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks import tasks
from callbacks.models import Attempt, Delivery, HourlyCount, Pruned, TroubledHost
from callbacks.models.retention import deliveries_kept_since
from callbacks.reports import hourly
from callbacks.retention import prune
from config.models import Email
from orders.models import ApiToken, IdempotentAnswer, Message, Order, Shop
from tests.factories import AffiliateFactory, CallbackSettingFactory, OrderFactory, callbacks_for, in_state

pytestmark = pytest.mark.django_db

URL = "https://tracker.example/?o={{order.number}}&s={{order.status}}"


@pytest.fixture
def joe() -> Affiliate:
    affiliate = AffiliateFactory()
    callbacks_for(affiliate, URL)
    return affiliate


def aged(days: float, *, status: str = "succeeded", attempts: int = 1, **given: Any) -> Delivery:
    """The delivery of an order that came in so long ago, with its attempts."""
    order = OrderFactory(**given)
    delivery = Delivery.objects.filter(order=order).latest("pk")
    return age(delivery, days, status=status, attempts=attempts)


def age(delivery: Delivery, days: float, *, status: str = "succeeded", attempts: int = 1) -> Delivery:
    moment = timezone.now() - timedelta(days=days)
    Order.objects.filter(pk=delivery.order_id).update(created_at=moment)
    fields = {"attempt_count": attempts, "last_attempt_at": moment if attempts else None}
    fields |= {"skip_reason": ""} if status != "skipped" else {}
    Delivery.objects.filter(pk=delivery.pk).update(created_at=moment, **in_state(status, **fields))
    for _ in range(attempts):
        Attempt.objects.create(delivery=delivery, trigger="initial", method="GET", status_code=200, created_at=moment)
    return delivery


def counted() -> None:
    while hourly.count():
        pass


def test_prune_attempts_and_deliveries_each_by_its_own_age(joe: Affiliate) -> None:
    kept, bare, gone = aged(89, affiliate=joe), aged(91, affiliate=joe), aged(401, affiliate=joe)
    counted()
    for found in (prune.count(), prune.run()):
        assert (found["attempts"], found["deliveries"]) == (2, 1)
    assert set(Delivery.objects.values_list("pk", flat=True)) == {kept.pk, bare.pk}
    assert list(Attempt.objects.values_list("delivery", flat=True)) == [kept.pk]
    assert not Delivery.objects.filter(pk=gone.pk).exists()


def test_prune_attempts_that_are_not_counted_stay_until_they_are(joe: Affiliate) -> None:
    aged(500, affiliate=joe)
    prune.run()
    assert (Attempt.objects.count(), Delivery.objects.count()) == (1, 1)
    counted()
    prune.run()
    assert (Attempt.objects.count(), Delivery.objects.count()) == (0, 0)
    assert sum(HourlyCount.objects.values_list("delivered", flat=True)) == 1
    hourly.count()
    assert sum(HourlyCount.objects.values_list("delivered", flat=True)) == 1


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_prune_what_is_not_over_stays_with_all_that_may_replace_it(joe: Affiliate, status: str) -> None:
    waiting = aged(500, affiliate=joe, attempts=0, status=status)
    order = waiting.order
    assert order is not None
    order.status = "approved"
    order.save()
    newer = age(Delivery.objects.latest("pk"), 450, attempts=0)
    other = aged(450, affiliate=joe, attempts=0)
    prune.run()
    assert set(Delivery.objects.values_list("pk", flat=True)) == {waiting.pk, newer.pk}
    Delivery.objects.filter(pk=waiting.pk).update(**in_state("succeeded", claim_token=None, leased_until=None))
    prune.run()
    assert not Delivery.objects.exists()
    assert other.pk


def test_prune_what_a_person_resent_lately_stays_as_long_as_its_attempts(joe: Affiliate) -> None:
    delivery = aged(500, affiliate=joe, attempts=0, status="failed")
    Delivery.objects.update(last_attempt_at=timezone.now() - timedelta(days=89))
    prune.run()
    assert Delivery.objects.get() == delivery
    Delivery.objects.update(last_attempt_at=timezone.now() - timedelta(days=91))
    prune.run()
    assert not Delivery.objects.exists()


def test_prune_zero_days_keeps_for_ever(joe: Affiliate, settings: Any) -> None:
    aged(5000, affiliate=joe)
    counted()
    settings.RETENTION_ATTEMPTS_DAYS = settings.RETENTION_DELIVERIES_DAYS = 0
    prune.run()
    assert (Attempt.objects.count(), Delivery.objects.count()) == (1, 1)
    settings.RETENTION_DELIVERIES_DAYS = 30
    prune.run()
    assert (Attempt.objects.count(), Delivery.objects.count()) == (0, 0)


def test_prune_goes_on_where_the_last_run_ended(joe: Affiliate) -> None:
    Order.objects.bulk_create(Order(number=str(n), affiliate=joe, amount=1) for n in range(300))
    old = timezone.now() - timedelta(days=500)
    first = list(Delivery.objects.order_by("pk").values_list("pk", flat=True)[:60])
    Delivery.objects.update(**in_state("succeeded", created_at=old))
    Delivery.objects.filter(pk__in=first).update(**in_state("pending"))  # they stay, and are passed over once
    runs = 0
    while Delivery.objects.filter(status="succeeded").exists():
        runs += 1
        one_batch = iter([False] * 3 + [True] * 100)  # looked at before each kind of rows, and after each batch
        prune.run(lambda one_batch=one_batch: next(one_batch))
        assert runs < 20
    assert runs > 1
    assert Delivery.objects.count() == 60
    prune.run()
    assert Pruned.objects.get(kind="deliveries").position == 0


def test_prune_remembers_how_far_back_deliveries_are_kept(joe: Affiliate, settings: Any) -> None:
    prune.run()
    assert deliveries_kept_since() is None
    aged(500, affiliate=joe, attempts=0)
    prune.run()
    kept_since = deliveries_kept_since()
    assert kept_since is not None
    assert abs(timezone.now() - timedelta(days=400) - kept_since) < timedelta(minutes=1)
    settings.RETENTION_DELIVERIES_DAYS = 1000  # what is gone does not come back
    aged(1001, affiliate=joe, attempts=0)
    prune.run()
    assert deliveries_kept_since() == kept_since


def test_prune_messages_of_shops_and_repeatable_answers() -> None:
    shop, token = Shop.make("shopify", "Shop"), ApiToken.objects.create(name="shop", digest="0")
    for days, hours in ((8, 25), (6, 23)):
        message = Message.objects.create(shop=shop, key=str(days), topic="orders/create", outcome="created")
        given = IdempotentAnswer.objects.create(token=token, key=str(hours), fingerprint="", status=200, body="")
        Message.objects.filter(pk=message.pk).update(received_at=timezone.now() - timedelta(days=days))
        IdempotentAnswer.objects.filter(pk=given.pk).update(created_at=timezone.now() - timedelta(hours=hours))
    gone = prune.run()
    assert (gone["messages of shops"], gone["repeatable answers"]) == (1, 1)
    assert (Message.objects.get().key, IdempotentAnswer.objects.get().key) == ("6", "23")


def test_prune_sessions_and_log_in_records() -> None:
    user = User.objects.create_user("sam")
    now, old = timezone.now(), timezone.now() - timedelta(days=31)
    about = ContentType.objects.get_for_model(User)
    for message, at in (("Logged in.", old), ("Logged in, with a second factor.", old), ("Logged in.", now),
                        ("Turned two-factor log-in on.", old)):  # fmt: skip
        entry = LogEntry.objects.create(user=user, content_type=about, action_flag=CHANGE, change_message=message)
        LogEntry.objects.filter(pk=entry.pk).update(action_time=at)
    for at in (old, now):
        for status in Email.Status.values:  # what waits is never pruned
            Email.objects.create(user=user, subject="x", body="x", path="/", status=status, created_at=at, due_at=at)
        AccessLog.objects.filter(pk=AccessLog.objects.create(username="sam").pk).update(attempt_time=at)
    for seconds in (-60, 60):
        store = SessionStore()
        store.set_expiry(seconds)
        store.create()
    gone = prune.run()
    assert (gone["history entries of log-ins"], gone["log-ins"], gone["sessions"]) == (2, 1, 1)
    assert sorted(LogEntry.objects.values_list("change_message", flat=True)) == [
        "Logged in.", "Turned two-factor log-in on.",
    ]  # fmt: skip
    assert (AccessLog.objects.count(), Session.objects.count()) == (1, 1)
    assert [email.status for email in Email.objects.filter(created_at=old)] == [Email.Status.WAITING]
    assert Email.objects.filter(created_at=now).count() == len(Email.Status.values)


def test_prune_by_command_says_what_would_go_and_what_went(joe: Affiliate) -> None:
    aged(500, affiliate=joe)
    counted()
    for arguments, words in ((["--dry-run"], "1 deliveries would be deleted"), ([], "1 deliveries deleted")):
        out = StringIO()
        call_command("prune", *arguments, stdout=out)
        assert words in out.getvalue()
    assert not Delivery.objects.exists()


def test_prune_task_gives_way_to_what_waits_for_a_worker(joe: Affiliate) -> None:
    limit = prune.TimeLimit(lambda: False)
    assert not limit()
    OrderFactory(affiliate=joe)
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert not limit()  # each run has a second, so that it comes to an end beside a host that is always behind
    limit._ask_at = time.monotonic()
    assert limit()
    Delivery.objects.update(**in_state("succeeded"))
    assert not limit()
    assert prune.TimeLimit(lambda: True)()
    aged(500, affiliate=joe, attempts=0)
    tasks.prune()
    assert Delivery.objects.count() == 1


def test_postgresql_cleans_the_tables_that_change_most_sooner(postgresql: bool) -> None:
    found = {}
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL AND relkind = 'r'")
            found = {table: options for table, options in cursor.fetchall() if not table.startswith("pg_")}
    tables = (
        "callbacks_attempt callbacks_delivery callbacks_hour callbacks_troubledhost config_countedsample config_process"
    )
    assert set(found) == (set(tables.split()) if postgresql else set())
    assert all("autovacuum_vacuum_scale_factor=0.01" in options for options in found.values())


def test_prune_hosts_in_trouble_that_no_callback_calls_any_more(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    for host in (setting.host, "gone.example"):
        TroubledHost.objects.create(host=host, failures=20, probe_at=timezone.now())
    assert prune.count()["states of unused hosts"] == 1
    assert prune.run()["states of unused hosts"] == 1
    assert [row.host for row in TroubledHost.objects.all()] == [setting.host]

"""What is wrong with the installation is told once when it began and once when it is over, and nothing else is."""

import json
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from callbacks.delivery import wakeup, webhooks
from callbacks.models.setting import SYSTEM
from callbacks.postback.request import DATA
from config.models import AlarmState, Email, Process
from config.monitoring import alarms
from tests.factories import CallbackSettingFactory, OrderFactory

STEP = timedelta(seconds=15)


@pytest.fixture(autouse=True)
def working(administrator, broker, time_machine):
    """An installation of one worker and one beat, which somebody has looked at."""
    time_machine.move_to(timezone.now(), tick=False)
    beat_of("worker")
    beat_of("beat")
    alarms.look()
    assert alarms.open() == []


def beat_of(kind, **values):
    Process.objects.update_or_create(
        name=f"host:{kind}", defaults={"kind": kind, "seen_at": timezone.now(), "disk_free": 0.5} | values
    )


def go_on(time_machine, *alive, seconds, **values):
    """Let time pass, with these processes alive and somebody looking as often as somebody does."""
    for _ in range(seconds // 15):
        time_machine.move_to(timezone.now() + STEP, tick=False)
        for kind in alive:
            beat_of(kind, **values)
        alarms.look()


def subjects():
    return list(Email.objects.order_by("pk").values_list("subject", flat=True))


def kinds():
    return [alarm.kind for alarm in alarms.open()]


@pytest.mark.parametrize(("gone", "stays"), [("worker", "beat"), ("beat", "worker")])
def test_process_that_is_gone_for_a_minute_is_told_once_and_its_return_once(time_machine, gone, stays):
    seen_at = Process.objects.get(kind=gone).seen_at
    go_on(time_machine, stays, seconds=45)
    assert kinds() == []
    go_on(time_machine, stays, seconds=60)  # within 105 s
    (alarm,) = alarms.open()
    assert (alarm.kind, alarm.since) == (gone, seen_at)
    assert subjects() == [alarm.title]
    go_on(time_machine, stays, seconds=300)
    assert subjects() == [alarm.title]
    go_on(time_machine, "worker", "beat", seconds=60)
    assert kinds() == []
    assert subjects() == [alarm.title, f"Resolved: {alarm.title}"]


def test_worker_that_ended_as_asked_is_missed_since_then(time_machine):
    go_on(time_machine, "worker", "beat", seconds=60)
    Process.objects.filter(kind="worker").delete()
    go_on(time_machine, "beat", seconds=90)
    (alarm,) = alarms.open()
    assert timezone.now() - alarm.since <= timedelta(seconds=75)


def test_restart_is_no_alarm(time_machine):
    go_on(time_machine, "beat", seconds=45)
    go_on(time_machine, "worker", "beat", seconds=15)
    go_on(time_machine, "beat", seconds=45)
    assert kinds() == []
    assert subjects() == []


def test_worker_that_comes_for_a_moment_ends_no_alarm(time_machine):
    go_on(time_machine, "beat", seconds=120)
    go_on(time_machine, "worker", "beat", seconds=15)
    go_on(time_machine, "beat", seconds=60)
    assert kinds() == ["worker"]
    assert len(subjects()) == 1


def test_new_installation_raises_no_alarm(time_machine):
    AlarmState.objects.all().delete()
    Process.objects.all().delete()
    alarms.look()
    go_on(time_machine, seconds=30)
    go_on(time_machine, "worker", "beat", seconds=90)
    assert subjects() == []


def test_installation_that_was_off_for_a_night_raises_no_alarm_when_it_starts(time_machine):
    go_on(time_machine, seconds=30)
    time_machine.move_to(timezone.now() + timedelta(hours=8), tick=False)
    alarms.look()
    go_on(time_machine, "worker", "beat", seconds=90)
    assert subjects() == []


@pytest.mark.parametrize("away_s", [30, 45, 75])
def test_worker_that_nobody_could_see_while_the_database_was_away_is_no_alarm(time_machine, away_s):
    go_on(time_machine, "beat", seconds=30)  # it has just ended, and starts again now
    time_machine.move_to(timezone.now() + timedelta(seconds=away_s), tick=False)
    alarms.look()  # before it and beat have said that they live
    go_on(time_machine, "worker", "beat", seconds=60)
    assert subjects() == []


def test_delivery_that_waits_for_more_than_five_minutes_is_told(time_machine):
    OrderFactory(affiliate=CallbackSettingFactory().affiliate)
    go_on(time_machine, "worker", "beat", seconds=300)
    assert kinds() == []
    go_on(time_machine, "worker", "beat", seconds=60)
    assert kinds() == ["waiting"]
    assert "Pending deliveries: 1." in Email.objects.get().body


def test_broker_that_is_away_is_told_and_that_workers_go_on(time_machine, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # nobody listens
    wakeup._valkey.cache_clear()
    try:
        go_on(time_machine, "worker", "beat", seconds=75)
    finally:
        wakeup._valkey.cache_clear()
    assert kinds() == ["broker"]
    assert "Postbacks are still sent" in Email.objects.get().body


def test_disk_of_any_machine_that_is_nearly_full_is_told(time_machine):
    go_on(time_machine, "worker", "beat", seconds=60, disk_free=0.06)
    assert kinds() == []
    for _ in range(4):
        beat_of("web", disk_free=0.04)
        go_on(time_machine, "worker", "beat", seconds=15)
    assert kinds() == ["disk"]


def test_somebody_looks_every_15_seconds_however_many_there_are(time_machine, django_assert_num_queries):
    time_machine.move_to(timezone.now() + timedelta(seconds=14), tick=False)
    with django_assert_num_queries(1):
        alarms.look()


def test_clock_that_was_set_back_does_not_end_the_looking(time_machine):
    time_machine.move_to(timezone.now() - timedelta(hours=1), tick=False)
    beat_of("worker")
    beat_of("beat")
    alarms.look()
    go_on(time_machine, "beat", seconds=105)
    assert kinds() == ["worker"]


def test_webhook_is_told_of_a_change(time_machine):
    webhook = CallbackSettingFactory(affiliate=None, event=SYSTEM)
    go_on(time_machine, "beat", seconds=105)
    told = json.loads(webhook.deliveries.get().variables[DATA])
    assert (told["reason"], told["is_over"]) == ("No worker is running", False)


def test_webhook_that_cannot_be_told_keeps_no_mail_back(time_machine, monkeypatch):
    def fail(*_, **__):
        User.objects.create(username="ann")  # there is one: the database refuses

    monkeypatch.setattr(webhooks, "queue_stuck", fail)
    go_on(time_machine, "beat", seconds=105)
    assert len(subjects()) == 1


@pytest.mark.django_db(transaction=True)
def test_processes_that_look_at_once_tell_once(time_machine):
    go_on(time_machine, "beat", seconds=60)
    AlarmState.objects.filter(kind="worker").update(noticed_at=timezone.now() - timedelta(minutes=1))
    time_machine.move_to(timezone.now() + STEP, tick=False)
    together = Barrier(4)

    def process():
        together.wait()
        try:
            alarms.look()
        finally:
            connection.close()

    threads = [Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert subjects() == ["No worker is running"]

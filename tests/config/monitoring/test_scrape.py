"""`/metrics`: who may read it, what stands in it, and that Prometheus understands it."""

import subprocess

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from callbacks.delivery import dispatcher
from callbacks.models import Delivery, TroubledHost
from config.models import AlarmState, CountedSample, Process
from config.monitoring import mail, metrics, scrape, troubles
from config.monitoring.mail import Notice
from tests import machine
from tests.factories import in_state

TOKEN = "a-token-for-prometheus"
FORWARDED = ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"]


def scraped() -> dict[str, float]:
    metrics.flush()
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


# --- what stands in it -------------------------------------------------------------
@pytest.mark.django_db
def test_held_and_leased_are_counted(broker):
    TroubledHost.objects.create(host="gone.example", failures=10, probe_at=timezone.now())
    Delivery.objects.create(event="order.created", **in_state("sending", leased_until=timezone.now()))
    before = scraped()
    dispatcher.sweep()
    after = scraped()
    assert before["postbacks_in_flight"] == 1
    assert before["postbacks_hosts_held"] == 1
    assert after["postbacks_in_flight"] == 0
    assert after["postbacks_leases_returned_total"] - before["postbacks_leases_returned_total"] == 1


@pytest.mark.django_db
def test_api_calls_are_counted_by_status_and_by_no_other(client, broker):
    before = scraped()
    client.post("/api/orders", {}, "application/json")
    client.get("/api/nothing")
    after = scraped()
    for status in ("401", "404"):
        series = f'postbacks_api_calls_total{{status="{status}"}}'
        assert after[series] - before.get(series, 0.0) == 1


@pytest.mark.django_db
def test_what_other_processes_counted_is_added(broker):
    series = 'postbacks_attempts_total{outcome="dns"}'
    CountedSample.objects.create(pk=series, value=7)
    assert scraped()[series] == 7
    metrics.ATTEMPTS.labels("dns").inc(3)
    assert scraped()[series] == 10
    assert scraped()[series] == 10


@pytest.mark.django_db
def test_alarm_is_1_while_it_is_open(broker):
    AlarmState.objects.create(kind="beat", is_open=True, began_at=timezone.now())
    open_ = {f'postbacks_alarms{{kind="{kind}"}}': float(kind == "beat") for kind in troubles.ALARMS}
    assert {series: value for series, value in scraped().items() if "alarms" in series} == open_
    AlarmState.objects.update(is_open=False)
    assert not any(value for series, value in scraped().items() if "alarms" in series)


@pytest.mark.django_db
def test_emails_are_counted_by_result(broker, administrator, mail_server):
    def counted() -> dict[str, float]:
        found = scraped()
        return {result: found[f'postbacks_emails_total{{result="{result}"}}'] for result in ("sent", "failed")}

    def send(answer: str = "") -> dict[str, float]:
        mail_server.refuse = {administrator.email: answer} if answer else {}
        before = counted()
        mail.tell([administrator], Notice("Something", ("It is so.",), "/"))
        mail.send_due()
        return {result: number - before[result] for result, number in counted().items()}

    assert send() == {"sent": 1, "failed": 0}
    assert send("550 No such user") == {"sent": 0, "failed": 1}
    assert send("450 Later") == {"sent": 0, "failed": 1}
    mail_server.stop()
    assert send() == {"sent": 0, "failed": 1}


@pytest.mark.django_db
def test_what_waits_is_counted_up_to_a_bound(monkeypatch, broker):
    monkeypatch.setattr(scrape, "MOST_COUNTED", 3)
    for attempts in (0, 0, 1, 1):
        Delivery.objects.create(event="order.created", **in_state("pending", attempt_count=attempts))
    assert scraped()["postbacks_waiting"] == 3


@pytest.mark.django_db
def test_text_passes_promtool(client, broker):
    Process.objects.create(name="a:1", kind="worker", seen_at=timezone.now())
    metrics.flush()
    found = subprocess.run(
        [machine.promtool(), "check", "metrics"], input=client.get("/metrics").content, capture_output=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


# --- when something is away ----------------------------------------------------------
@pytest.mark.django_db
def test_without_a_broker_it_answers_and_says_so(settings):
    from callbacks.delivery import wakeup

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    wakeup._valkey.cache_clear()
    try:
        assert scraped()["postbacks_broker_up"] == 0
    finally:
        wakeup._valkey.cache_clear()


@pytest.mark.django_db
def test_without_a_database_it_is_503(client, monkeypatch):
    def away(*_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(metrics, "of_all_processes", away)
    assert client.get("/metrics").status_code == 503


# --- who may read it -----------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_open_to_this_machine(client, broker, address):
    assert client.get("/metrics", REMOTE_ADDR=address, HTTP_HOST="whatever.example").status_code == 200


@pytest.mark.django_db
def test_open_to_whoever_has_the_token(client, settings, broker):
    settings.METRICS_TOKEN = TOKEN
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.7"}
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.7", headers=headers).status_code == 200


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", TOKEN, f"bearer {TOKEN}", "Bearer \xe9\u20ac"])
@pytest.mark.parametrize("token", ["", TOKEN])
def test_closed_to_everybody_else(client, settings, given, token):
    settings.METRICS_TOKEN = token
    answer = client.get("/metrics", REMOTE_ADDR="203.0.113.7", headers={"Authorization": given})
    assert answer.status_code == 403
    assert b"postbacks_" not in answer.content


@pytest.mark.parametrize("proxies", ["", "127.0.0.1"])
@pytest.mark.parametrize("header", FORWARDED)
def test_closed_to_what_a_proxy_of_this_machine_passes_on(client, settings, header, proxies):
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = tuple(ip_network(proxy) for proxy in [proxies] if proxy)
    for value in ("203.0.113.7", "127.0.0.1"):
        assert client.get("/metrics", headers={header: value}).status_code == 403

"""The pages of resends and backfills that were started."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from callbacks.delivery.resend import PAUSED
from callbacks.jobs import runner
from callbacks.jobs.admin import links_of, results_of
from callbacks.models import Attempt, CallbackSetting, Delivery, Job
from tests.callbacks.jobs.steps import do_all, to_backfill, to_resend
from tests.callbacks.panel import text_of
from tests.factories import CallbackSettingFactory, OrderFactory, client_with
from tests.queries import count_queries

pytestmark = pytest.mark.django_db

LIST = "/admin/callbacks/errand/"


@pytest.fixture
def setting(joe: Affiliate) -> CallbackSetting:
    setting = CallbackSettingFactory(affiliate=joe)
    OrderFactory.create_batch(3, affiliate=joe)
    Delivery.objects.update(status="failed", next_attempt_at=None)
    return setting


def page(job: Job, rest: str = "change") -> str:
    return f"{LIST}{job.pk}/{rest}/"


def progress(client: Client, job: Job) -> dict[str, Any]:
    found: dict[str, Any] = client.get(page(job, "progress")).json()
    return found


def test_page_follows_a_job_from_waiting_to_finished(admin_client: Client, setting: CallbackSetting) -> None:
    job = to_resend(2, status__exact="failed")
    waiting = progress(admin_client, job)
    assert (waiting["state"], waiting["again_ms"]) == ("waiting", 1000)
    assert 'value="0.0"' in waiting["html"]
    runner.step(job.pk)
    running = progress(admin_client, job)
    assert running["state"] == "running"
    assert 'value="66.7"' in running["html"]
    assert "<strong>2</strong> of 3" in running["html"]
    assert "About" in running["html"]
    do_all(job)
    finished = progress(admin_client, job)
    assert (finished["state"], finished["again_ms"]) == ("finished", None)
    assert 'value="100.0"' in finished["html"]
    text = text_of(admin_client, page(job))
    assert "3 postbacks were queued" in text
    assert "data-progress-url" not in text  # nobody asks again


def test_page_names_what_was_refused_with_the_reason(admin_client: Client, setting: CallbackSetting) -> None:
    CallbackSetting.objects.update(is_active=False)
    job = do_all(to_resend())
    text = text_of(admin_client, page(job))
    assert f'<td class="number">3</td><th scope="row">{PAUSED}</th>' in text
    for delivery in Delivery.objects.all():
        assert delivery.get_absolute_url() in text


def test_stop_and_continue_by_their_buttons(admin_client: Client, setting: CallbackSetting) -> None:
    job = to_resend(2)
    runner.step(job.pk)
    assert "Stopped. You can continue later" in admin_client.post(page(job, "stop"), follow=True).content.decode()
    job.refresh_from_db()
    assert (job.state, job.done) == ("stopped", 2)
    assert progress(admin_client, job)["again_ms"] is None
    assert "Continued." in admin_client.post(page(job, "continue"), follow=True).content.decode()
    assert do_all(job).done == 3


def test_stop_of_a_finished_job_changes_nothing(admin_client: Client, setting: CallbackSetting) -> None:
    job = do_all(to_resend())
    for what in ("stop", "continue"):
        admin_client.post(page(job, what))
        job.refresh_from_db()
        assert job.state == "finished"


@pytest.mark.parametrize("what", ["stop", "continue"])
def test_stop_and_continue_want_a_form(admin_client: Client, setting: CallbackSetting, what: str) -> None:
    assert admin_client.get(page(to_resend(), what)).status_code == 405


def test_job_that_no_worker_touches_says_so(admin_client: Client, setting: CallbackSetting) -> None:
    job = to_resend()
    assert "No worker" not in progress(admin_client, job)["html"]
    Job.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    assert "No worker" in progress(admin_client, job)["html"]


def test_links_lead_to_the_deliveries_of_a_resend_and_of_a_backfill(
    admin_client: Client, setting: CallbackSetting, joe: Affiliate
) -> None:
    resend = do_all(to_resend(status__exact="failed", affiliate__id__exact=str(joe.pk)))
    now, whole = (address for _, address in links_of(resend))
    assert len(admin_client.get(now).context["cl"].result_list) == 0  # none of them is failed any more
    assert len(admin_client.get(whole).context["cl"].result_list) == 3
    other = CallbackSettingFactory(affiliate=joe, name="new")
    backfill = do_all(to_backfill(other))
    OrderFactory(affiliate=joe)
    ((_, address),) = links_of(backfill)
    found = admin_client.get(address).context["cl"].result_list
    assert {(delivery.setting_id, delivery.origin) for delivery in found} == {(other.pk, "backfill")}
    assert len(found) == 3


def test_page_of_a_backfilled_delivery_says_so(admin_client: Client, setting: CallbackSetting, joe: Affiliate) -> None:
    do_all(to_backfill(CallbackSettingFactory(affiliate=joe, name="new")))
    backfilled = Delivery.objects.filter(origin="backfill")[0]
    assert "Backfill: this past order" in text_of(admin_client, backfilled.get_absolute_url())
    other = Delivery.objects.filter(origin="event")[0]
    assert "Backfill" not in text_of(admin_client, other.get_absolute_url()).partition("<main")[2]


@pytest.mark.parametrize("address", ["999", "x", "99999999999999999999999"])
def test_job_that_is_not_there_is_not_found(admin_client: Client, address: str) -> None:
    assert admin_client.get(f"{LIST}{address}/change/").status_code == 404


def test_pages_ask_as_often_for_thirty_as_for_one(admin_client: Client, setting: CallbackSetting) -> None:
    def queries(path: str) -> int:
        assert admin_client.get(path).status_code == 200
        return count_queries(lambda: admin_client.get(path))

    CallbackSetting.objects.update(is_active=False)
    job = do_all(to_resend())
    few = queries(LIST), queries(page(job))
    for _ in range(29):
        to_resend()
    OrderFactory.create_batch(27, affiliate=setting.affiliate)
    many = queries(LIST), queries(page(do_all(to_resend())))
    assert many == few


# --- who may -------------------------------------------------------------------
def test_who_may_see_deliveries_sees_jobs_and_changes_none(setting: CallbackSetting) -> None:
    job, client = to_resend(), client_with("view_delivery")
    assert client.get(LIST).status_code == 200
    assert "Stop" not in text_of(client, page(job)).partition("<main")[2]
    assert client.get(page(job, "progress")).status_code == 200
    assert client.post(page(job, "stop")).status_code == 403
    assert client.post(page(job, "continue")).status_code == 403


def test_who_may_see_nothing_of_deliveries_sees_no_jobs(setting: CallbackSetting) -> None:
    job, client = to_resend(), client_with("view_affiliate")
    for path in (LIST, page(job), page(job, "progress")):
        assert client.get(path).status_code == 403
    assert "Resends" not in text_of(client, "/admin/")


def test_who_may_change_callbacks_handles_backfills_and_who_may_resend_handles_resends(
    setting: CallbackSetting,
) -> None:
    backfill, resend = to_backfill(setting), to_resend()
    setter = client_with("view_delivery", "change_callbacksetting")
    assert setter.post(page(backfill, "stop")).status_code == 302
    assert setter.post(page(resend, "stop")).status_code == 403


@pytest.mark.parametrize("kind", ["resend", "backfill"])
def test_page_of_a_finished_job_counts_its_results_and_leads_to_each(
    admin_client: Client, setting: CallbackSetting, joe: Affiliate, kind: str
) -> None:
    later = {"status": "failed", "next_attempt_at": None}
    Delivery.objects.update(**later)
    OrderFactory(affiliate=joe)
    OrderFactory()
    if kind == "resend":
        # Resent before the job began, and after its range: neither is the job's.
        early = OrderFactory(affiliate=joe).deliveries.get()
        Delivery.objects.filter(pk=early.pk).update(status="succeeded", next_attempt_at=None)
        before = timezone.now() - timedelta(days=1)
        Attempt.objects.create(delivery=early, trigger="manual", method="GET", created_at=before)
        job = to_resend(status__exact="failed", affiliate__id__exact=str(joe.pk))
        Job.objects.update(last=early.pk)
        job.refresh_from_db()
    else:
        job = to_backfill(CallbackSettingFactory(affiliate=joe, name="new"))
    assert results_of(job) is None
    do_all(job)
    queued = list(Delivery.objects.filter(Q(next_trigger="manual") | Q(origin="backfill")).order_by("pk"))
    if kind == "resend":
        OrderFactory(affiliate=joe).deliveries.update(next_trigger="manual")
    for delivery, (status, kind_) in zip(queued, [("succeeded", ""), ("failed", "status")], strict=False):
        Attempt.objects.create(
            delivery=delivery, trigger="manual", method="GET", error_kind=kind_, created_at=timezone.now()
        )
        Delivery.objects.filter(pk=delivery.pk).update(status=status, next_attempt_at=None, next_trigger="retry")
    results = results_of(job)
    assert results is not None
    found = {state: (count, address) for state, _, count, address in results.counts}
    assert {state: count for state, (count, _) in found.items()} == {
        "succeeded": 1, "failed": 1, "pending": len(queued) - 2
    }  # fmt: skip
    for state, (count, address) in found.items():
        assert {delivery.status for delivery in admin_client.get(address).context["cl"].result_list} == {state}
        assert len(admin_client.get(address).context["cl"].result_list) == count
        assert address.replace("&", "&amp;") in text_of(admin_client, page(job))

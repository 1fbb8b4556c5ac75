"""An installation of the release before this one is migrated, and goes on with the data that it has.

`OLD` names the last migrations of that release. With a new release, move them on and fill what it has got since.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from callbacks import models, tasks
from callbacks.delivery import dispatcher
from callbacks.models import Attempt, CallbackSetting, CountedUpTo, Delivery, EndpointHealth, HourlyCount, Job
from config.celery import app
from config.models import Email
from orders.models import Order
from tests.chaos.surroundings import connected
from tests.conftest import CLUSTER_URL
from tests.postgresql import create_database
from tests.receiver import Receiver

OLD = [("affiliates", "0001_initial"), ("orders", "0001_initial"), ("callbacks", "0011_request_changed_at")]
SECRET, PREVIOUS_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VARIABLES = {
    "order.amount": "58.00", "order.commission": "8.70", "order.currency": "USD", "order.status": "new",
    "order.created_at": "2026-11-01T12:00:00Z", "event": "order.created", "affiliate.code": "joe",
    "link.sub_id": "a&b", "link.path": "/", "link.hash": "", "link.query.ref": "joe", "link.query.sub_id": "a&b",
}  # fmt: skip


@pytest.fixture
def url(postgresql: bool, tmp_path: Any) -> str:
    """A new database."""
    if postgresql:
        return create_database(os.environ[CLUSTER_URL], f"upgrade_{uuid.uuid4().hex}")
    return f"sqlite:///{tmp_path / 'upgrade.sqlite3'}"


@pytest.fixture
def old(
    url: str, broker: object, loopback: None, receiver: Receiver, django_db_blocker: DjangoDbBlocker
) -> Iterator[SimpleNamespace]:
    """The rows of an installation of that release, in a database of their own that is migrated to the present."""
    with django_db_blocker.unblock(), connected(url):
        ContentType.objects.clear_cache()
        executor = MigrationExecutor(connection)
        others = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in dict(OLD)]
        executor.migrate([*others, *OLD])
        rows = filled(executor.loader.project_state([*others, *OLD]).apps, receiver)
        call_command("migrate", interactive=False, verbosity=0)
        yield rows
    ContentType.objects.clear_cache()


def filled(old: Any, receiver: Receiver) -> SimpleNamespace:
    """One row at least in each table of the product, in all states that have something to go on with."""
    now = timezone.now()
    user = old.get_model("auth", "User").objects.create(username="sam", is_staff=True, is_active=True)
    content_type = old.get_model("contenttypes", "ContentType").objects.create(app_label="callbacks", model="delivery")
    for codename in ("view_delivery", "resend_delivery"):
        permission = old.get_model("auth", "Permission").objects.create(
            codename=codename, name=codename, content_type=content_type
        )
        user.user_permissions.add(permission)
    affiliate = old.get_model("affiliates", "Affiliate").objects.create(
        name="Joe", email="joe@x.example", code="joe", commission_rate=Decimal("0.15")
    )
    link_url = "https://shop.example/?ref=joe&sub_id=a%26b"
    with connection.cursor() as cursor:  # its digest is filled by the present model alone
        cursor.execute(
            "INSERT INTO affiliates_link (affiliate_id, url, digest, created_at) VALUES (%s, %s, %s, %s)",
            [affiliate.pk, link_url, hashlib.sha256(link_url.encode()).hexdigest(), now],
        )
    link = old.get_model("affiliates", "Link").objects.get()
    old.get_model("orders", "ApiToken").objects.create(name="shop", digest="0" * 64)

    def model(name: str) -> Any:
        return old.get_model("callbacks", name).objects

    common = {"affiliate": affiliate, "host": f"{receiver.host}:{receiver.port}"}
    setting = model("CallbackSetting").create(
        event="order.created", url=receiver.url("/pb?o={{order.number}}&s={{link.sub_id}}"), secret=SECRET,
        previous_secret=PREVIOUS_SECRET, previous_secret_until=now + timedelta(hours=1), **common,
    )  # fmt: skip
    updated = model("CallbackSetting").create(
        event="order.updated", name="Voluum", method="POST", body_format="json", url=receiver.url("/post"),
        only_statuses=["approved"], **common,
    )  # fmt: skip
    model("SettingChange").create(
        affiliate=affiliate, setting=setting, event=setting.event, name=setting.name, user=user, user_name="sam",
        action="created", changes=[{"field": "url", "old": "", "new": setting.url}],
    )  # fmt: skip

    def delivery(number: str, status: str, **fields: Any) -> Any:
        order = old.get_model("orders", "Order").objects.create(
            number=number, affiliate=affiliate, link=link, amount=58, commission=Decimal("8.7"), currency="USD"
        )
        event_id = uuid.uuid4()
        variables = VARIABLES | {"order.number": number, "event.id": str(event_id)}
        values = {"event": "order.created", "setting": setting} | fields
        return model("Delivery").create(
            event_id=event_id, affiliate=affiliate, order=order, status=status, variables=variables, **values
        )

    def attempt(delivery: Any, status_code: int) -> None:
        model("Attempt").create(
            delivery=delivery, trigger="initial", method="GET", url=receiver.url("/pb"), status_code=status_code,
            error_kind="" if status_code < 300 else "status", detail="The tracker answered.", total_ms=12.5,
            request_headers=[["User-Agent", "AffiliatePostbacks/0.1.0"]], created_at=now - timedelta(hours=2),
        )  # fmt: skip

    gone, unknown = [
        model("CallbackSetting").create(
            event="order.updated", name=name, url="https://gone.example/", is_active=False, pause_reason="gone",
            **common | {"host": "gone.example"},
        )
        for name in ("Gone", "Gone without a note")
    ]  # fmt: skip
    model("CallbackSetting").create(
        event="order.updated", name="Of a person", url="https://gone.example/", is_active=False, pause_reason="person",
        **common | {"host": "gone.example"},
    )  # fmt: skip
    note = model("SettingChange").create(
        affiliate=affiliate, setting=gone, event=gone.event, name="Gone", action="gone", changes=[]
    )
    model("SettingChange").filter(pk=note.pk).update(created_at=now - timedelta(days=3))
    failed = {"attempt_count": 1, "last_attempt_at": now, "last_status_code": 503, "last_error_kind": "status"}
    waiting = delivery("#1", "pending", next_attempt_at=now, next_trigger="retry", retry_step=1, **failed)
    attempt(waiting, 503)
    delivery("#2", "sending", claim_token=uuid.uuid4(), leased_until=now - timedelta(seconds=1))  # its worker is dead
    delivered = delivery("#3", "succeeded", attempt_count=1, last_attempt_at=now, last_status_code=200)
    attempt(delivered, 200)
    attempt(delivery("#4", "failed", **failed), 503)
    delivery("#5", "skipped", skip_reason="filtered", setting=updated, event="order.updated")
    last = delivery("#6", "failed", origin="backfill", **failed)
    model("Errand").create(
        kind="resend", chosen={"status__exact": "failed", "with_delivered": False}, words="failed", first=1,
        last=last.pk, position=0, total=2, state="running", user=user, user_name="sam",
    )  # fmt: skip
    model("Turn").create(user=user, affiliate=affiliate, taken_at=now)
    model("TroubledHost").create(host="down.example", failures=12, probe_at=now)
    model("Hour").create(begins_at=now.replace(minute=0, second=0, microsecond=0) - timedelta(days=1), delivered=7)
    model("Counted").create(attempt_id=0)
    paused_at = {gone.pk: now - timedelta(days=3), unknown.pk: unknown.updated_at}
    return SimpleNamespace(affiliate=affiliate.pk, setting=setting.pk, waiting=waiting.pk, paused_at=paused_at)


def test_upgrade_tells_nobody_of_what_was_paused_before(old: SimpleNamespace) -> None:
    User.objects.create(username="ann", email="ann@shop.example", is_staff=True, is_superuser=True)
    known = EndpointHealth.objects.values_list("pk", "state", "since", "paused_at")
    assert sorted(known) == sorted((pk, "paused", at, at) for pk, at in old.paused_at.items())
    tasks.count_requests()
    assert not Email.objects.exists()
    assert sorted(known) == sorted((pk, "paused", at, at) for pk, at in old.paused_at.items())


def test_upgrade_sends_what_waits_and_goes_on_with_everything(old: SimpleNamespace, receiver: Receiver) -> None:
    tasks.sweep()
    tasks.run_jobs()
    assert dispatcher.run() == 4
    requests = {dict(request.query)["o"]: request for request in receiver.requests}
    assert sorted(requests) == ["#1", "#2", "#4", "#6"]
    assert requests["#1"].target == "/pb?o=%231&s=a%26b"
    delivery = Delivery.objects.get(pk=old.waiting)
    assert (delivery.status, delivery.attempt_count) == ("succeeded", 2)
    assert requests["#1"].header("webhook-id") == str(delivery.event_id)
    assert len((requests["#1"].header("webhook-signature") or "").split(" ")) == 2
    assert list(Attempt.objects.filter(delivery=delivery).order_by("pk").values_list("trigger", "status_code")) == [
        ("initial", 503), ("retry", 200),
    ]  # fmt: skip
    job = Job.objects.get()
    assert (job.state, job.done, job.refused) == ("finished", 2, {})
    order = Order.objects.get(number="#3")
    order.status = "approved"
    order.save()
    assert dispatcher.run() == 1
    assert receiver.requests[-1].target == "/post"
    tasks.count_requests()
    assert HourlyCount.objects.count() == 2
    assert CountedUpTo.objects.get().attempt_id > 0
    for kept, count in ((models.SettingChange, 2), (models.TestQuota, 1), (models.TroubledHost, 1)):
        assert kept.objects.count() == count


def test_upgrade_opens_every_page_with_its_old_rows(old: SimpleNamespace, client: Client) -> None:
    client.force_login(User.objects.get(username="sam"))  # with the permissions of the old release
    for pk in Delivery.objects.values_list("pk", flat=True):
        assert client.get(f"/admin/callbacks/delivery/{pk}/change/").status_code == 200
    assert "#4" in client.get("/admin/callbacks/delivery/?status__exact=failed").content.decode()
    assert client.get(f"/admin/affiliates/affiliate/{old.affiliate}/settings/").status_code == 403
    client.force_login(User.objects.create_superuser("root"))
    for path in [
        "/admin/", "/admin/callbacks/delivery/", "/admin/callbacks/errand/", "/admin/affiliates/affiliate/",
        "/admin/orders/order/", "/admin/auth/user/", f"/admin/callbacks/errand/{Job.objects.get().pk}/change/",
        f"/admin/affiliates/affiliate/{old.affiliate}/settings/",
        f"/admin/affiliates/affiliate/{old.affiliate}/settings/callbacks/created/{old.setting}/",
        f"/admin/affiliates/affiliate/{old.affiliate}/settings/callbacks/changes/",
    ]:  # fmt: skip
        assert client.get(path).status_code == 200, path
    CallbackSetting.objects.get(pk=old.setting).full_clean()


# --- names that installations hold in their databases, brokers and bookmarks ---------
ALL = "add change delete view"
PERMISSIONS = {  # by model, and so by table and content type
    "affiliates.affiliate": ALL, "affiliates.affiliatealias": "", "affiliates.link": ALL, "orders.order": ALL,
    "orders.apitoken": ALL,
    "callbacks.callbacksetting": ALL, "callbacks.delivery": "view resend", "callbacks.troubledhost": ALL,
    "callbacks.attempt": ALL, "callbacks.hour": ALL, "callbacks.counted": ALL, "callbacks.settingchange": "",
    "callbacks.endpointhealth": "", "callbacks.errand": "", "callbacks.turn": "", "callbacks.pruned": "",
    "callbacks.keptresult": "", "callbacks.keptorders": "", "affiliates.coupon": "", "orders.shop": ALL,
    "orders.message": "view", "orders.refund": "", "orders.idempotentanswer": "",
}  # fmt: skip
TASKS = {
    "callbacks.tasks.pump", "callbacks.tasks.sweep", "callbacks.tasks.step_errands", "callbacks.tasks.tally",
    "callbacks.tasks.encrypt_secrets", "callbacks.tasks.prune",
}  # fmt: skip
STANDARD = "add change changelist delete history"
URLS = {
    "": "healthz intake metrics readyz status storefront storefront-plugin",
    "admin:": "app_list autocomplete callbacks_all callbacks_all_export confirm_password email_notifications index "
    "jsi18n login logout password_change password_change_done second_factor two_factor view_on_site",
    "admin:affiliates_affiliate_": f"{STANDARD} coupon_remove coupons deliveries links orders portal "
    "portal_off reconciliation reconciliation_export settings suggest",
    "admin:affiliates_link_": STANDARD,
    "admin:auth_user_": f"{STANDARD} password_change two_factor",
    "admin:callbacks_callbacksetting_": STANDARD,
    "admin:callbacks_delivery_": f"{STANDARD} export live resend resend_all",
    "admin:callbacks_errand_": f"{STANDARD} continue progress stop",
    "admin:orders_apitoken_": STANDARD,
    "admin:orders_message_": f"{STANDARD} apply",
    "admin:orders_order_": STANDARD,
    "admin:orders_shop_": f"{STANDARD} connection live messages rotate secret",
    "api:": "api-root openapi-json openapi-view place_order read_order place_orders list_orders change_order "
    "delete_order list_affiliates read_affiliate save_affiliate read_callback save_callback delete_callback "
    "list_deliveries resend_delivery",
    "callbacks:": "backfill changes check leave-skipped pause remove resume rotate send-test set-up set-up-another",
    "many:": "apply check choose done fill replace-host",
    "retention:": "forget",
    "portal:": "delivery email_notifications home language login logout verify view_as view_as_delivery "
    "view_as_email_notifications view_as_verify",
}


def joined(names: dict[str, str], between: str = "") -> set[str]:
    return {f"{prefix}{between}{name}" for prefix, some in names.items() for name in some.split()}


def names_in(resolver: URLResolver, namespace: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield from [namespace + pattern.name] if pattern.name else []
        else:
            yield from names_in(pattern, f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace)


def test_models_tables_and_permissions_keep_their_names() -> None:
    all_models = [m for app in ("affiliates", "callbacks", "orders") for m in apps.get_app_config(app).get_models()]
    assert {m._meta.label_lower: m._meta.db_table for m in all_models} == {m: m.replace(".", "_") for m in PERMISSIONS}
    permissions = {
        m._meta.label_lower: [*m._meta.default_permissions, *(name.split("_")[0] for name, _ in m._meta.permissions)]
        for m in all_models
    }
    assert joined({label: " ".join(names) for label, names in permissions.items()}, " ") == joined(PERMISSIONS, " ")


def test_tasks_keep_their_names() -> None:
    app.loader.import_default_modules()
    assert {name for name in app.tasks if not name.startswith("celery.")} == TASKS


def test_urls_keep_their_names() -> None:
    assert set(names_in(get_resolver())) == joined(URLS)

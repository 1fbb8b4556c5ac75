"""A filter of the log means the same without the log: what is resent is what the list shows."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from affiliates.models import Affiliate
from callbacks.log.selection import KNOWN, Selection, UnknownFilterError
from callbacks.models import CallbackSetting, Delivery, Job
from orders.models import Order
from tests.factories import CallbackSettingFactory, OrderFactory, in_state

pytestmark = pytest.mark.django_db

LOG = "/admin/callbacks/delivery/"


@pytest.fixture
def log(joe: Affiliate) -> None:
    """Deliveries of every kind."""
    setting = CallbackSettingFactory(affiliate=joe)
    CallbackSettingFactory(affiliate=joe, event="order.updated", url="https://other.example/?o={{order.number}}")
    CallbackSettingFactory(url="https://other.example/?o={{order.number}}")
    for number in range(1, 8):
        OrderFactory(number=f"#{number}", affiliate=joe)
    OrderFactory(number="#8", affiliate=CallbackSetting.objects.order_by("-pk")[0].affiliate)
    Order.objects.get(number="#7").save()
    changed = Order.objects.get(number="#7")
    changed.amount = 1
    changed.save()

    def come_to(number: int, status: str, **fields: Any) -> None:
        rows = Delivery.objects.filter(order__number=f"#{number}", setting=setting)
        assert rows.update(**in_state(status, **fields))

    come_to(1, "succeeded", last_status_code=200, is_soft_failure=True, created_at="2026-03-02T12:00:00Z")
    come_to(2, "failed", last_status_code=404, last_error_kind="status")
    come_to(3, "pending", last_status_code=503, last_error_kind="status", attempt_count=2)
    come_to(4, "sending", origin="backfill")
    come_to(5, "skipped", origin="backfill")
    come_to(6, "failed", last_error_kind="timeout", origin="test")


QUERIES = [
    "",
    *(f"status__exact={state}" for state in ("succeeded", "failed", "pending", "retrying", "sending", "skipped", "x")),
    "event__exact=order.updated",
    "affiliate__id__exact=JOE",
    "affiliate__id__exact=999999",
    "origin=backfill",
    "origin=test",
    "host=other.example",
    "host=nowhere.example",
    "callback=SETTING",
    "callback=999999",
    "answer=no",
    "answer=unchecked",
    *(f"code={code}" for code in ("2xx", "4xx", "404", "none", "9xx")),
    "from=2026-03-02&to=2026-03-02",
    "from=2026-03-03",
    "to=2026-03-01",
    "from=yesterday",
    "q=%232",
    "q=nothing-like-it",
    "q=+",
    "status__exact=failed&affiliate__id__exact=JOE&code=4xx&q=%232",
    "status__exact=failed&before=9999999999",
    "host=",
]


@pytest.mark.parametrize("query", QUERIES)
def test_selection_is_what_the_list_shows(admin_client: Client, log: None, joe: Affiliate, query: str) -> None:
    setting = CallbackSetting.objects.filter(affiliate=joe).earliest("pk")
    query = query.replace("JOE", str(joe.pk)).replace("SETTING", str(setting.pk))
    selection = Selection.of(QueryDict(query))
    shown = {delivery.pk for delivery in admin_client.get(f"{LOG}?{query}").context["cl"].result_list}
    keys = selection.keys()
    found = selection.deliveries().filter(pk__range=(keys.first, keys.last))
    assert set(found.values_list("pk", flat=True)) == shown
    again = admin_client.get(LOG + selection.query).context["cl"].result_list
    assert {delivery.pk for delivery in again} == shown
    assert Selection.from_data(selection.data) == selection


def test_every_filter_of_the_list_is_known(rf: Any, admin_user: User, log: None) -> None:
    """A filter that is added to the list has to be added to what can be resent, too."""

    request = rf.get(LOG)
    request.user = admin_user
    changelist = admin.site.get_model_admin(Delivery).get_changelist_instance(request)
    names = {name for spec in changelist.filter_specs for name in spec.expected_parameters()}
    assert {name for name in names if not name.endswith("__isnull")} <= set(KNOWN)


@pytest.mark.parametrize(
    "query",
    [
        "status=failed",
        "setting__name=x",
        "event__exact=x",
        "affiliate__id__exact=-1",
        f"affiliate__id__exact={'9' * 19}",
        "origin=x",
        "code=2xx&code=4xx",
        "with_delivered=1",
    ],
)
def test_condition_that_is_not_known_is_refused(query: str) -> None:
    with pytest.raises(UnknownFilterError):
        Selection.of(QueryDict(query))


def test_words_say_every_condition(joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    query = (
        f"status__exact=pending&event__exact=order.created&affiliate__id__exact={joe.pk}&origin=backfill&host=h.example"
        f"&code=none&answer=no&callback={setting.pk}&from=2026-03-02&to=2026-03-02&q=%231&while_paused={setting.pk}"
        f"&job={Job.objects.create(kind='resend', first=1, last=1, position=0).pk}"
    )
    assert Selection.of(QueryDict(query)).words() == [
        ("State", "Pending"),
        ("Event", "Order created"),
        ("Affiliate", "Joe"),
        ("Callback", "Order created callback of Joe"),
        ("Origin", "Backfill"),
        ("Host", "h.example"),
        ("Code", "no answer"),
        ("Answer", "2xx, looks like a refusal"),
        ("Date", "2 Mar 2026 (UTC)"),
        ("Skipped while paused", "Order created callback of Joe"),
        ("Job", str(Job.objects.get())),
        ("Search", "“#1”"),
    ]
    assert {name for name, _ in Selection.of(QueryDict(query)).chosen.items()} == set(KNOWN)

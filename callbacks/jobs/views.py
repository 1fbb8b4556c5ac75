"""The pages that say what a resend or a backfill would do, and start it once that is confirmed.

Each counts in bounded time. What is counted and what is started end at the same primary key, so that what comes in
while somebody reads is not swept up.
"""

import uuid
from collections import Counter
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Case, CharField, Q, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from callbacks.delivery import resend as resending
from callbacks.jobs import backfill as backfilling
from callbacks.jobs.backfill import TO_BE_SENT, Backfill
from callbacks.jobs.estimate import Estimate, survey
from callbacks.log.selection import Selection, UnknownFilterError
from callbacks.models import CallbackSetting, Delivery, EventType, Job
from callbacks.models.job import RATES, USUAL_RATE
from callbacks.setup import preview
from callbacks.setup.preview import Preview
from config.listing.keys import Keys, find_rows
from config.listing.period import Period
from config.request import actor, may_see
from orders.models import Order

SHOWN = 3  # requests of a backfill that are previewed
USUAL_DAYS = timedelta(days=29)
DELIVERED = "They were delivered before."


class StartForm(forms.Form):
    """What is confirmed: up to which key, how fast, and by which page, so that pressing twice starts it once."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    last = forms.IntegerField(min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput)
    rate = forms.TypedChoiceField(
        label="At most",
        coerce=int,
        choices=[(rate, f"{rate} a second") for rate in RATES],
        help_text="Slower leaves more room for new orders, and for their tracker.",
    )

    def say_how_long(self, count: int) -> None:
        """How long so many take at each of the rates."""
        field = self.fields["rate"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(rate, f"{rate} a second, about {_duration(count / rate)}") for rate in RATES]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60):,} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


class ResendForm(StartForm):
    with_delivered = forms.BooleanField(required=False, label="Also those that were delivered before")


def _day(label: str) -> forms.DateField:
    bounds = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    return forms.DateField(label=label, required=False, validators=bounds, widget=widget)


class PeriodForm(forms.Form):
    """Days of UTC, as in the filters of the lists."""

    first, last_day = _day("From"), _day("Through")
    again = forms.BooleanField(required=False, label="Also orders that this callback was told of already")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", "This is before the first day.")
        if not self.errors and first is None and last is None:
            self.add_error("first", "Choose at least the first day, or the last.")
        return cleaned

    @property
    def chosen(self) -> dict[str, Any]:
        """As an errand keeps it."""
        first, last = self.cleaned_data["first"], self.cleaned_data["last_day"]
        return {
            "from": first.isoformat() if first else "",
            "to": last.isoformat() if last else "",
            "again": self.cleaned_data["again"],
        }


# --- resend all that match -----------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def resend(request: HttpRequest) -> HttpResponse:
    """What the filter in the address lets through, to be resent."""
    if not request.user.has_perm("callbacks.resend_delivery"):
        raise PermissionDenied
    log = reverse("admin:callbacks_delivery_changelist")
    try:
        selection = Selection.of(request.GET)
    except UnknownFilterError:
        messages.error(request, "This filter cannot be resent as a whole. Choose among the filters of this page.")
        return redirect(f"{log}?{request.GET.urlencode()}")
    form = ResendForm(request.POST or None, initial=_initial(Delivery))
    keys = selection.keys() & Keys(first=1, last=_last_key(form, Delivery))
    kind = Case(
        *[When(condition, then=Value(sentence)) for condition, sentence in resending.REASONS],
        When(Q(status=Delivery.Status.SUCCEEDED), then=Value(DELIVERED)),
        default=Value(TO_BE_SENT),
        output_field=CharField(),
    )
    found = survey(selection.deliveries(), kind, keys)
    words = selection.words()
    if form.is_bound and form.is_valid():
        with_delivered = form.cleaned_data["with_delivered"] or selection.is_of_delivered
        kept = Selection(selection.chosen, with_delivered)
        left_out = {} if with_delivered else _only(found.counts, DELIVERED)
        return _start(
            request,
            form,
            kind=Job.Kind.RESEND,
            chosen=kept.to_be_kept,
            words=" · ".join(f"{name}: {value}" for name, value in words) or "Every delivery",
            survey=found,
            left_out=left_out,
            keys=keys,
        )
    form, is_stale = (ResendForm(initial=_initial(Delivery)), True) if form.is_bound else (form, False)
    if found.is_complete:
        form.say_how_long(found.counts[DELIVERED if selection.is_of_delivered else TO_BE_SENT])
    context = {
        "title": "Resend all that match",
        "form": form,
        "is_stale": is_stale,
        "words": words,
        "query": selection.query,
        "survey": found,
        "to_be_sent": found.counts[TO_BE_SENT],
        "delivered": found.counts[DELIVERED],
        "is_of_delivered": selection.is_of_delivered,
        "refused": [(sentence, found.counts[sentence]) for sentence in resending.SENTENCES if found.counts[sentence]],
        "back": log + selection.query,
    }
    return _page(request, "admin/callbacks/jobs/resend.html", context)


# --- backfill ------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
def backfill(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    """Past orders of a period, to be sent to a callback."""
    if not request.user.has_perm("callbacks.change_callbacksetting"):
        raise PermissionDenied
    found = CallbackSetting.objects.select_related("affiliate")
    setting = get_object_or_404(found, pk=pk, affiliate=affiliate_id, event=event)
    period_form = PeriodForm(request.GET or _usual_period())
    context = {
        "title": f"Send past orders to the {setting.title[0].lower()}{setting.title[1:]}",
        "setting": setting,
        "affiliate": setting.affiliate,
        "period_form": period_form,
        "back": f"{setting.affiliate.settings_url}#{event.replace('.', '-')}",
        "periods": _periods(setting),
        "why_not": Backfill(setting, Period()).why_not(),
    }
    form = StartForm(request.POST or None, initial=_initial(Order))
    if context["why_not"] or not period_form.is_valid():
        return _page(request, "admin/callbacks/jobs/backfill.html", context)
    wanted = Backfill.of(setting, period_form.chosen)
    keys = wanted.keys() & Keys(first=1, last=_last_key(form, Order))
    counted = survey(wanted.all_orders(), wanted.why_left_out(), keys)
    if form.is_bound and form.is_valid():
        left_out = _only(counted.counts, backfilling.TOLD, backfilling.FILTERED)
        return _start(
            request,
            form,
            kind=Job.Kind.BACKFILL,
            chosen=period_form.chosen,
            words=f"{setting}: orders of {_days(wanted.period)}" + (", told again" if wanted.again else ""),
            survey=counted,
            left_out=left_out,
            keys=keys,
            setting=setting,
        )
    form, is_stale = (StartForm(initial=_initial(Order)), True) if form.is_bound else (form, False)
    if counted.is_complete:
        form.say_how_long(counted.counts[TO_BE_SENT])
    context |= {
        "form": form,
        "is_stale": is_stale,
        "days": _days(wanted.period),
        "query": f"?{urlencode({name: period_form[name].value() or '' for name in period_form.fields})}",
        "survey": counted,
        "to_be_sent": counted.counts[TO_BE_SENT],
        "left_out": [
            (why, counted.counts[why]) for why in (backfilling.TOLD, backfilling.FILTERED) if counted.counts[why]
        ],
        "previews": _previews(request, wanted, keys),
    }
    return _page(request, "admin/callbacks/jobs/backfill.html", context)


def _usual_period() -> dict[str, Any]:
    today = timezone.now().date()
    return {"first": today - USUAL_DAYS, "last_day": today}


def _previews(request: HttpRequest, wanted: Backfill, keys: Keys) -> list[Preview]:
    """The first requests, for who may see orders, as far as they are found in time."""
    if not may_see(request, Order):
        return []
    rows = wanted.orders().select_related("link").order_by("pk")
    orders, _ = find_rows(rows, SHOWN, keys.first, keys.last, 1)  # there may be a million that were told of already
    return [preview.preview(wanted.setting, wanted.setting.url, order) for order in orders]


def _days(period: Period) -> str:
    return f"{period} (UTC)"


def _periods(setting: CallbackSetting) -> list[tuple[str, str]]:
    """Some periods to choose from, and their addresses."""
    today = timezone.now().date()
    month = today.replace(day=1)
    last_month = month - timedelta(days=1)
    periods = [
        ("Past 7 days", today - timedelta(days=6), today),
        ("Past 30 days", today - USUAL_DAYS, today),
        ("This month", month, today),
        ("Last month", last_month.replace(day=1), last_month),
        ("Until this callback was set up", None, setting.created_at.date()),
    ]
    return [(name, f"?first={first or ''}&last_day={last}") for name, first, last in periods]


# --- both ----------------------------------------------------------------------
def _initial(model: "type[Delivery | Order]") -> dict[str, Any]:
    newest = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    return {"token": uuid.uuid4(), "last": newest or 0, "rate": USUAL_RATE}


def _last_key(form: forms.Form, model: "type[Delivery | Order]") -> int:
    """The last key that there was when the page was asked for, which a form that comes back brings along."""
    newest = int(form.initial["last"])
    if form.is_bound and form.is_valid():
        return min(newest, int(form.cleaned_data["last"]))
    return newest


def _only(counts: Counter[str], *sentences: str) -> dict[str, int]:
    return {sentence: counts[sentence] for sentence in sentences if counts[sentence]}


def _start(
    request: HttpRequest,
    form: forms.Form,
    *,
    survey: Estimate,
    left_out: dict[str, int],
    keys: Keys,
    setting: CallbackSetting | None = None,
    **fields: Any,
) -> HttpResponse:
    user = actor(request)
    errand, _ = Job.objects.get_or_create(
        token=form.cleaned_data["token"],
        defaults={
            "user": user,
            "user_name": user.get_full_name() or user.get_username(),
            "setting": setting,
            "affiliate": setting.affiliate if setting else None,
            "rate": form.cleaned_data["rate"],
            "first": keys.first,
            "last": max(keys.last, keys.first - 1),
            "position": keys.first - 1,
            "total": survey.total - sum(left_out.values()),
            "is_counted": survey.is_complete,
            "left_out": left_out,
            **fields,
        },
    )
    return redirect(errand)


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The page; something is wrong if a form was sent and did not lead on."""
    status = 422 if request.method == "POST" else 200
    return render(request, template, admin.site.each_context(request) | context, status=status)

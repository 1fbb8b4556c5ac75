"""The pages that say what a resend or a backfill would do, and start it as a job once that is confirmed.

Each counts in bounded time. What is counted and what is started end at the same primary key: what comes in while
somebody reads the page is left out.
"""

from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Case, CharField, Q, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST

from callbacks.delivery import health
from callbacks.delivery.resend import REASONS, SENTENCES
from callbacks.jobs.backfill import ALREADY_SENT, NOT_FOR_STATUS, NOT_KEPT, TO_BE_SENT, Backfill
from callbacks.jobs.estimate import Estimate, estimate
from callbacks.jobs.forms import PeriodForm, ResendForm, StartForm
from callbacks.log.selection import Selection, UnknownFilterError
from callbacks.models import CallbackSetting, Delivery, EventType, Job, history
from callbacks.setup.preview import Preview, preview
from callbacks.setup.views import settings_url
from config.listing.keys import Keys, find_rows
from config.listing.period import Period
from config.request import actor, may_see
from orders.models import Order

SHOWN = 3  # requests of a backfill that are previewed
USUAL_DAYS = timedelta(days=29)
DELIVERED = gettext_noop("Already succeeded.")


# --- resend all that match -----------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("callbacks.resend_delivery", raise_exception=True)
def resend(request: HttpRequest) -> HttpResponse:
    """What the filter in the address lets through, to be resent."""
    log = reverse("admin:callbacks_delivery_changelist")
    try:
        selection = Selection.of(request.GET)
    except UnknownFilterError:
        messages.error(request, _("Not all of these filters can be used to resend. Use the filters of this page only."))
        return redirect(f"{log}?{request.GET.urlencode()}")
    form = ResendForm(request.POST or None, Delivery)
    keys = selection.keys() & Keys(first=1, last=form.last_key)
    kind = Case(
        *[When(condition, then=Value(sentence)) for condition, sentence in REASONS],
        When(Q(status=Delivery.Status.SUCCEEDED), then=Value(DELIVERED)),
        default=Value(TO_BE_SENT),
        output_field=CharField(),
    )
    counted = estimate(selection.deliveries(), kind, keys)
    description = selection.words()
    with_delivered = selection.is_of_delivered or bool(form.is_valid() and form.cleaned_data["with_delivered"])
    is_nothing = counted.is_complete and not counted.counts[TO_BE_SENT] + with_delivered * counted.counts[DELIVERED]
    if form.is_valid() and not is_nothing:
        return _start(
            request,
            form,
            counted,
            keys,
            left_out={} if with_delivered else _only(counted.counts, DELIVERED),
            kind=Job.Kind.RESEND,
            chosen=Selection(selection.chosen, with_delivered).data,
            words=" · ".join(f"{name}: {value}" for name, value in description) or _("Every delivery"),
        )
    context = {
        "title": _("Resend all that match"),
        "description": description,
        "query": selection.query,
        "delivered": counted.counts[DELIVERED],
        "is_of_delivered": selection.is_of_delivered,
        "refused": _only(counted.counts, *SENTENCES).items(),
        "back": log + selection.query,
        "is_nothing_chosen": form.is_valid() and is_nothing,
        "is_only_delivered": counted.is_complete and not counted.counts[TO_BE_SENT] and not selection.is_of_delivered,
    }
    counted_for = DELIVERED if selection.is_of_delivered else TO_BE_SENT
    context |= _to_confirm(form, counted, counted_for)
    return _page(request, "admin/callbacks/jobs/resend.html", context)


@require_POST
@permission_required("callbacks.resend_delivery", raise_exception=True)
def leave_skipped(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    """What was skipped while a callback was paused is not to be sent, so it is not offered any more."""
    setting = get_object_or_404(CallbackSetting, pk=pk, affiliate=affiliate_id, event=event)
    health.leave_skipped(setting.pk)
    messages.success(request, _("The skipped events will not be sent. You can still resend each one from the log."))
    return redirect(settings_url(setting))


# --- backfill ------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("callbacks.change_callbacksetting", raise_exception=True)
def backfill(request: HttpRequest, affiliate_id: int, event: EventType, pk: int) -> HttpResponse:
    """Past orders of a period, to be sent to a callback."""
    found = CallbackSetting.objects.select_related("affiliate")
    setting = get_object_or_404(found, pk=pk, affiliate=affiliate_id, event=event)
    today = timezone.localdate()
    period_form = PeriodForm(request.GET or {"first": today - USUAL_DAYS, "last_day": today})
    context = {
        "title": _("Send past orders: %(callback)s") % {"callback": setting.title},
        "setting": setting,
        "affiliate": setting.affiliate,
        "period_form": period_form,
        "back": settings_url(setting),
        "periods": _periods(setting),
        "why_not": Backfill(setting, Period()).why_not(),
    }
    if context["why_not"] or not period_form.is_valid():
        return _page(request, "admin/callbacks/jobs/backfill.html", context)
    form = StartForm(request.POST or None, Order)
    wanted = Backfill.of(setting, period_form.chosen)
    keys = wanted.keys() & Keys(first=1, last=form.last_key)
    counted = estimate(wanted.all_orders(), wanted.why_left_out(), keys)
    left_out = _only(counted.counts, ALREADY_SENT, NOT_KEPT, NOT_FOR_STATUS)
    days = str(wanted.period)
    if form.is_valid():
        return _start(
            request,
            form,
            counted,
            keys,
            left_out=left_out,
            kind=Job.Kind.BACKFILL,
            chosen=period_form.chosen,
            words=(
                _("%(callback)s: order date %(days)s, including orders already sent")
                if wanted.again
                else _("%(callback)s: order date %(days)s")
            )
            % {"callback": setting, "days": days},
            setting=setting,
            affiliate=setting.affiliate,
        )
    context |= _to_confirm(form, counted, TO_BE_SENT) | {
        "days": days,
        "query": f"?{urlencode({name: period_form[name].value() or '' for name in period_form.fields})}",
        "left_out": left_out.items(),
        "previews": _previews(request, wanted, keys),
    }
    return _page(request, "admin/callbacks/jobs/backfill.html", context)


def _previews(request: HttpRequest, wanted: Backfill, keys: Keys) -> list[Preview]:
    """The first requests, for who may see orders, as far as they are found in time."""
    if not may_see(request, Order):
        return []
    rows = wanted.orders().select_related("link").order_by("pk")
    orders, __ = find_rows(rows, SHOWN, keys.first, keys.last, 1)  # there may be a million that were sent already
    return [preview(wanted.setting, wanted.setting.url, order) for order in orders]


def _periods(setting: CallbackSetting) -> list[tuple[str, str]]:
    """Some periods to choose from, and their addresses."""
    today = timezone.localdate()
    month = today.replace(day=1)
    last_month = month - timedelta(days=1)
    periods = [
        (_("Past 7 days"), today - timedelta(days=6), today),
        (_("Past 30 days"), today - USUAL_DAYS, today),
        (_("This month"), month, today),
        (_("Last month"), last_month.replace(day=1), last_month),
        (_("Before this callback was set up"), None, timezone.localdate(setting.created_at)),
    ]
    return [(name, f"?first={first or ''}&last_day={last}") for name, first, last in periods]


# --- both ----------------------------------------------------------------------
def _to_confirm(form: StartForm, counted: Estimate, counted_for: str) -> dict[str, Any]:
    """What a page shows before the start, with a fresh form in the place of one that could not be confirmed."""
    shown = type(form)(None, form.model) if form.is_bound else form
    if counted.is_complete:
        shown.say_how_long(counted.counts[counted_for])
    return {
        "form": shown,
        "is_stale": form.is_bound and not form.is_valid(),
        "estimate": counted,
        "to_be_sent": counted.counts[TO_BE_SENT],
    }


def _only(counts: Counter[str], *sentences: str) -> dict[str, int]:
    return {sentence: counts[sentence] for sentence in sentences if counts[sentence]}


def _start(
    request: HttpRequest, form: StartForm, counted: Estimate, keys: Keys, *, left_out: dict[str, int], **fields: Any
) -> HttpResponse:
    user = actor(request)
    job, __ = Job.objects.get_or_create(
        token=form.cleaned_data["token"],
        defaults={
            "user": user,
            "user_name": history.name_of(user),
            "rate": form.cleaned_data["rate"],
            "first": keys.first,
            "last": max(keys.last, keys.first - 1),
            "position": keys.first - 1,
            "total": counted.total - sum(left_out.values()),
            "is_counted": counted.is_complete,
            "left_out": left_out,
            **fields,
        },
    )
    return redirect(job)


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The page; something is wrong if a form was sent and did not lead on."""
    status = 422 if request.method == "POST" else 200
    return render(request, template, admin.site.each_context(request) | context, status=status)

"""The pages of jobs that were started: the list, how far one is, stopping it and going on with it."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from callbacks.jobs.estimate import estimate
from callbacks.log.selection import AFFILIATE, CODE, EVENT, FROM, JOB, ORIGIN, STATE, TO, Selection
from callbacks.models import Delivery, Job
from config.listing.columns import CREATED, ReadOnlyAdmin, column
from config.listing.keys import Keys, key_in

AGAIN_MS = 1000


class JobAdmin(ReadOnlyAdmin):
    change_list_template = "admin/callbacks/jobs/change_list.html"
    list_display = ("what", "started", "who", "state_column", "result")
    list_display_links = ("what",)
    list_per_page = 50
    list_title = _("Resends and backfills")
    list_subtitle = _("Jobs that resend many deliveries or send past orders, and their progress.")
    list_icon = "resend"
    empty_title = _("No resends or backfills yet")
    empty_text = _(
        "Filter the deliveries and resend all that match, or send past orders from an affiliate's Settings tab."
    )
    sortable_by = ()
    actions = None

    # --- columns -------------------------------------------------------------
    @admin.display(description=_("Job"))
    def what(self, job: Job) -> str:
        return f"{job.get_kind_display()}: {job.words}"

    started = column(_("Started"), CREATED)
    state_column = column(_("State"), "admin/callbacks/jobs/state.html", "job")
    result = column(_("Sent"), "admin/callbacks/jobs/result.html", "job")

    @admin.display(description=_("By"))
    def who(self, job: Job) -> str:
        return job.user_name

    # --- what may be done ----------------------------------------------------
    def has_view_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return self.admin_site.get_model_admin(Delivery).has_view_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def may_handle(self, request: HttpRequest, job: Job) -> bool:
        """Whether they might have started it: whoever may do that may stop it and go on with it."""
        if job.kind == Job.Kind.BACKFILL:
            return request.user.has_perm("callbacks.change_callbacksetting")
        log: Any = self.admin_site.get_model_admin(Delivery)
        return bool(log.has_resend_permission(request))

    # --- one of them ---------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/progress/", view(require_safe(self.progress_view)), name="callbacks_errand_progress"),
            path("<int:pk>/stop/", view(require_POST(self.stop_view)), name="callbacks_errand_stop"),
            path("<int:pk>/continue/", view(require_POST(self.continue_view)), name="callbacks_errand_continue"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """How far it is, in the place of a form."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = Job.objects.select_related("setting__affiliate", "affiliate")
        job = get_object_or_404(found, pk=key_in(object_id))
        named = Delivery.objects.in_bulk([pk for pk, _ in job.refused_first])
        context = self.admin_site.each_context(request) | {
            "title": f"{job.get_kind_display()}, {date_format(timezone.localtime(job.created_at), 'j M Y, H:i')} "
            f"({timezone.get_default_timezone_name()})",
            "opts": self.opts,
            "job": job,
            "may_handle": self.may_handle(request, job),
            "refused": sorted(job.refused.items(), key=lambda item: -item[1]),
            "refused_first": [(named[pk], sentence) for pk, sentence in job.refused_first if pk in named],
            "links": links_of(job),
            "results": results_of(job),
        }
        return TemplateResponse(request, "admin/callbacks/jobs/job.html", context)

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far it is, for the script that keeps its page up to date."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = get_object_or_404(Job, pk=pk)
        progress = {
            "state": job.state,
            "said": job.get_state_display(),
            "html": render_to_string("admin/callbacks/jobs/bar.html", {"job": job}).strip(),
            "again_ms": AGAIN_MS if job.is_active else None,
        }
        return JsonResponse(progress, headers={"Cache-Control": "no-store"})

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self._handled(request, pk)
        if job.stop():
            messages.success(request, gettext("Stopped. You can continue later."))
        return redirect(job)

    def continue_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self._handled(request, pk)
        if job.resume():
            messages.success(request, gettext("Continued."))
        return redirect(job)

    def _handled(self, request: HttpRequest, pk: int) -> Job:
        job = get_object_or_404(Job, pk=pk)
        if not self.may_handle(request, job):
            raise PermissionDenied
        return job


def links_of(job: Job) -> list[tuple[str, str]]:
    """Where its deliveries are in the log: what the link says, and its address."""
    log = reverse("admin:callbacks_delivery_changelist")
    if job.kind == Job.Kind.RESEND:
        selection = Selection.from_data(job.chosen)
        links = [(gettext("Deliveries that match the filter now"), log + selection.query)]
        whole = selection.without(STATE, CODE)
        more = (gettext("The same, in any state"), log + whole.query)
        return [*links, more] if whole.query != selection.query else links
    if job.started_at is None or job.setting is None:
        return []
    chosen = {
        AFFILIATE: str(job.affiliate_id),
        EVENT: job.setting.event,
        ORIGIN: Delivery.Origin.BACKFILL.value,
        **_period_of(job),
    }
    return [(gettext("Deliveries of this backfill"), log + Selection(chosen).query)]


def _period_of(job: Job) -> dict[str, str]:
    """In which a backfill has recorded its deliveries, as conditions of the log."""
    bounds = {FROM: job.started_at, TO: job.ended_at}
    return {name: f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for name, moment in bounds.items() if moment}


@dataclass(frozen=True, slots=True)
class Results:
    """How many of a job's deliveries are in which state, each with its address in the log."""

    counts: tuple[tuple[str, str, int, str], ...]  # the state for the chip, its name, the number, the address
    is_complete: bool


def results_of(job: Job) -> Results | None:
    """What became of the deliveries of a job that has ended; None if it has not, or if none of them is there now."""
    if job.is_active or job.started_at is None:
        return None
    selection = Selection({JOB: str(job.pk)})
    keys = Keys(job.first, job.last) if job.kind == Job.Kind.RESEND else Selection(_period_of(job)).keys()
    counted = estimate(selection.deliveries(), F("status"), keys)
    log = reverse("admin:callbacks_delivery_changelist")
    found = tuple(
        (status.value, str(status.label), number, log + Selection({STATE: status.value, JOB: str(job.pk)}).query)
        for status in Delivery.Status
        if (number := counted.counts[status.value]) or status in {Delivery.Status.SUCCEEDED, Delivery.Status.FAILED}
    )
    return Results(found, counted.is_complete) if counted.total else None

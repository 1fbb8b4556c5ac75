"""The pages of jobs that were started: the list, how far one is, stopping it and going on with it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from callbacks.log.selection import AFFILIATE, CODE, EVENT, FROM, ORIGIN, STATE, TO, Selection
from callbacks.models import Delivery, Job
from config.listing.columns import CREATED, ReadOnlyAdmin, column
from config.listing.keys import key_in

AGAIN_MS = 1000


class JobAdmin(ReadOnlyAdmin):
    change_list_template = "admin/callbacks/jobs/change_list.html"
    list_display = ("what", "started", "who", "state_column", "result")
    list_display_links = ("what",)
    list_per_page = 50
    list_title = "Resends and backfills"
    list_subtitle = "What was asked to be sent again, or for past orders, and how far that is."
    list_icon = "resend"
    empty_title = "None yet"
    empty_text = (
        "Filter the deliveries and resend all that match, or send past orders from an affiliate's Settings tab."
    )
    sortable_by = ()
    actions = None

    # --- columns -------------------------------------------------------------
    @admin.display(description="What")
    def what(self, job: Job) -> str:
        return f"{job.get_kind_display()}: {job.words}"

    started = column("Started", CREATED)
    state_column = column("State", "admin/callbacks/jobs/state.html", "job")
    result = column("Sent", "admin/callbacks/jobs/result.html", "job")

    @admin.display(description="By")
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
            "title": f"{job.get_kind_display()} of {timezone.localtime(job.created_at):%-d %b %Y, %H:%M} "
            f"({timezone.get_default_timezone_name()})",
            "opts": self.opts,
            "job": job,
            "may_handle": self.may_handle(request, job),
            "refused": sorted(job.refused.items(), key=lambda item: -item[1]),
            "refused_first": [(named[pk], sentence) for pk, sentence in job.refused_first if pk in named],
            "links": links_of(job),
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
            messages.success(request, "Stopped. What was sent so far stays sent; continue whenever you like.")
        return redirect(job)

    def continue_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self._handled(request, pk)
        if job.resume():
            messages.success(request, "It goes on where it stopped.")
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
        links = [("What matches the filter now", log + selection.query)]
        whole = selection.without(STATE, CODE)
        more = ("The same, whatever became of them", log + whole.query)
        return [*links, more] if whole.query != selection.query else links
    if job.started_at is None or job.setting is None:
        return []
    chosen = {
        AFFILIATE: str(job.affiliate_id),
        EVENT: job.setting.event,
        ORIGIN: Delivery.Origin.BACKFILL.value,
        FROM: f"{job.started_at:%Y-%m-%dT%H:%M:%S.%fZ}",
    }
    if job.ended_at:
        chosen[TO] = f"{job.ended_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    return [("The deliveries of this backfill", log + Selection(chosen).query)]

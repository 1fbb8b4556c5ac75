"""The log: the list of deliveries and the page of one. They can be resent, and not be changed."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from affiliates.filters import AFFILIATE, AffiliateFilter, FilteredByAffiliate
from callbacks.delivery import resend, superseded
from callbacks.log import conditions, export, live
from callbacks.log.filters import (
    AnswerFilter,
    CallbackFilter,
    CodeFilter,
    EventFilter,
    HostFilter,
    JobFilter,
    OriginFilter,
    StateFilter,
    WhilePausedFilter,
)
from callbacks.models import Delivery, audit
from config.listing.columns import CREATED, ReadOnlyAdmin, column
from config.listing.csv_download import csv_response
from config.listing.filters import PeriodFilter
from config.listing.keys import key_in
from config.listing.pages import LongChangeList
from config.request import actor
from config.security import security_log

MAX_NAMED = 5  # refused deliveries that messages name; the others are counted


class DeliveryList(LongChangeList):
    """Marks the deliveries of a page whose answer was not checked when it arrived, and looks like a refusal."""

    def prepare(self, rows: list[Delivery]) -> None:
        live.mark_soft_failures(rows)


class DeliveryAdmin(FilteredByAffiliate, ReadOnlyAdmin):
    change_list_template = "admin/callbacks/log/change_list.html"
    actions = ("resend_selected",)
    list_display = ("order_column", "time", "affiliate_column", "event_column", "state", "last_code", "next_attempt")
    list_display_links = ("order_column",)
    list_filter = (
        StateFilter, EventFilter, ("affiliate", AffiliateFilter), CallbackFilter, HostFilter, CodeFilter, AnswerFilter,
        OriginFilter, WhilePausedFilter, JobFilter, PeriodFilter
    )  # fmt: skip
    list_select_related = ("affiliate", "setting")
    list_per_page = 50
    search_fields = ("order__number",)
    search_help_text = gettext_lazy("Order number or event ID")
    list_title = gettext_lazy("Deliveries")
    list_icon = "deliveries"
    empty_title = gettext_lazy("No deliveries yet")
    empty_text = gettext_lazy(
        "Set up an affiliate's S2S callback. Their next order appears here, with the tracker's answer."
    )
    show_full_result_count = False
    sortable_by = ()  # newest first is the one order that a large table answers at once

    # --- columns -------------------------------------------------------------
    @admin.display(description=gettext_lazy("Order"))
    def order_column(self, delivery: Delivery) -> str:
        return delivery.order_number or _("(order)")

    time = column(gettext_lazy("Time"), CREATED)
    affiliate_column = column(gettext_lazy("Affiliate"), "admin/callbacks/log/affiliate.html", "delivery")
    event_column = column(gettext_lazy("Event"), "admin/callbacks/log/event.html", "delivery")
    state = column(gettext_lazy("State"), "admin/callbacks/log/live_state.html", "delivery")
    last_code = column(gettext_lazy("Last code"), "admin/callbacks/log/code.html", "delivery")
    next_attempt = column(gettext_lazy("Next attempt"), "admin/callbacks/log/next_attempt.html", "delivery")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Without a column for the affiliate if all deliveries are of the same one."""
        is_of_one = key_in(request.GET.get(AFFILIATE, "")) is not None
        return [name for name in self.list_display if not (is_of_one and name == "affiliate_column")]

    # --- finding -------------------------------------------------------------
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DeliveryList]:
        return DeliveryList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        return conditions.search(queryset, search_term), False

    # --- what may be done ----------------------------------------------------
    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return any(request.user.has_perm(f"callbacks.{action}_delivery") for action in ("view", "resend"))

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("callbacks.resend_delivery")

    def get_action_choices(self, request: HttpRequest, default_choices: Any = ()) -> list[tuple[str, str]]:
        """Without an empty choice, as there is one action only."""
        return super().get_action_choices(request, list(default_choices))

    @admin.action(description=gettext_lazy("Resend"), permissions=["resend"])
    def resend_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        _resend(request, list(queryset.values_list("pk", flat=True)))

    # --- one delivery --------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/resend/", view(require_POST(self.resend_view)), name="callbacks_delivery_resend"),
            path("live/", view(require_safe(self.live_view)), name="callbacks_delivery_live"),
            path("export/", view(require_safe(self.export_view)), name="callbacks_delivery_export"),
            *super().get_urls(),
        ]

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """Updates of the deliveries that the address names, for the script that keeps a page up to date."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return JsonResponse(live.updates(request.GET.get("ids", "")), headers={"Cache-Control": "no-store"})

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The deliveries that the filters in the address select, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            changelist = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            raise Http404 from None
        assert isinstance(changelist, LongChangeList)
        filename = f"deliveries-{timezone.localdate()}.csv"
        security_log.note(request, "export", what="deliveries", filters=",".join(request.GET))
        return csv_response(filename, export.HEADINGS, export.csv_rows(changelist.queryset, changelist.keys))

    def resend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_resend_permission(request):
            raise PermissionDenied
        delivery = get_object_or_404(Delivery, pk=pk)
        _resend(request, [delivery.pk], resend.REASONS_ALONE)
        return redirect(delivery)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page of one delivery, in the place of a form."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = Delivery.objects.select_related("affiliate", "order__link", "setting__affiliate")
        delivery = get_object_or_404(found, pk=key_in(object_id))
        attempts = list(delivery.attempts.order_by("-pk"))
        if len(attempts) > delivery.attempt_count:  # one was written between the two queries
            delivery = get_object_or_404(found, pk=delivery.pk)
        audit.name_actors(delivery, attempts)
        context = self.admin_site.each_context(request) | {
            "title": f"{delivery.order_number} · {delivery.get_event_display()}",
            "opts": self.opts,
            "delivery": delivery,
            "attempts": attempts,
            "is_open": delivery.status in live.OPEN,
            "version": live.version_of(delivery),
            "is_test": delivery.origin == Delivery.Origin.TEST,
            "replacement": superseded.replacement_of(delivery),
            "delivered_since": superseded.delivered_since(delivery),
            "may_resend": self.has_resend_permission(request),
            "may_edit": bool(delivery.affiliate_id) and request.user.has_perm("callbacks.change_callbacksetting"),
        }
        return TemplateResponse(request, "admin/callbacks/log/delivery.html", context)


def _resend(request: HttpRequest, ids: list[int], reasons: Sequence[resend.Reason] = resend.REASONS) -> None:
    """Resend these deliveries; say how many are sent again, and why the others are not."""
    with transaction.atomic():
        resent = resend.resend(ids, reasons)
        audit.note_resent(Delivery.objects.filter(pk__in=set(ids) - resent.refused.keys()), actor(request))
    if resent.count:
        said = ngettext("Resent.", "%(count)s deliveries resent.", resent.count)
        messages.success(request, said % {"count": f"{resent.count:,}"})
    if resent.delivered:
        said = ngettext(
            "%(count)s delivery had already succeeded. The tracker may count it twice.",
            "%(count)s deliveries had already succeeded. The trackers may count them twice.",
            resent.delivered,
        )
        messages.warning(request, said % {"count": f"{resent.delivered:,}"})
    refused = list(Delivery.objects.filter(pk__in=list(resent.refused)[:MAX_NAMED]))
    for delivery in refused:
        said = _("%(delivery)s was not resent. %(reason)s")
        messages.warning(request, said % {"delivery": delivery, "reason": resent.refused[delivery.pk]})
    if more := len(resent.refused) - len(refused):
        said = ngettext("%(count)s more was not resent.", "%(count)s more were not resent.", more)
        messages.warning(request, said % {"count": f"{more:,}"})

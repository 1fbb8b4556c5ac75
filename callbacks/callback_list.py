"""All callbacks of all affiliates, with the state of each. One of them is changed in its affiliate's Settings tab.

Webhooks, which have no affiliate, are `callbacks.setup.admin`.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, TextChoices, Value, When
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from affiliates import search
from affiliates.filters import AffiliateFilter, FilteredByAffiliate
from affiliates.models import Affiliate
from callbacks.models import CallbackSetting, EventType
from callbacks.reports.callback_health import sent_last
from config.listing.columns import ReadOnlyAdmin, column
from config.listing.csv_download import csv_response
from config.listing.filters import ChoiceFilter
from config.security import security_log
from config.theme.templatetags.theme import chip

PauseReason = CallbackSetting.PauseReason
BATCH_SIZE = 1000
LAST_SENT = F("last_sent_at").asc(nulls_first=True)  # on both databases, and "Never" last the other way round
HEADINGS = ("Affiliate", "Affiliate code", "Event", "Callback", "Method", "Host", "URL", "State", "Last sent ({zone})")
_COLUMNS = (
    "pk", "affiliate__name", "affiliate__code", "event", "name", "method", "host", "url", "its_state", "last_sent_at",
)  # fmt: skip


class State(TextChoices):
    """What becomes of the affiliate's next event, or else how the last postback went."""

    WORKING = "working", _("Working")
    FAILING = "failing", _("Failing")
    SILENT = "silent", _("Nothing sent yet")
    CHANGED = "changed", _("Changed, nothing sent since")
    HELD = "held", _("On hold")
    PAUSED = "paused", _("Paused")
    GONE = "gone", _("Paused automatically")
    NOT_APPROVED = "not_approved", _("Affiliate not approved")


CHIPS = {state.value: state.value for state in State} | {State.NOT_APPROVED.value: "skipped"}


def with_state(callbacks: QuerySet[CallbackSetting]) -> QuerySet[CallbackSetting]:
    """Callbacks with `its_state`, and with when something was sent last for them."""
    last = sent_last()
    outcome = Case(
        When(last_attempt_at__lte=OuterRef("request_changed_at"), then=Value(State.CHANGED.value)),
        When(last_error_kind="", then=Value(State.WORKING.value)),
        default=Value(State.FAILING.value),
    )
    by_itself = Q(is_active=False, pause_reason__in=[PauseReason.GONE, PauseReason.FAILING])
    state = Case(
        When(by_itself, then=Value(State.GONE.value)),
        When(is_active=False, then=Value(State.PAUSED.value)),
        When(~Q(affiliate__status=Affiliate.Status.APPROVED), then=Value(State.NOT_APPROVED.value)),
        When(held_until__gt=Now(), then=Value(State.HELD.value)),
        default=Coalesce(Subquery(last.values_list(outcome)[:1]), Value(State.SILENT.value)),
    )
    return callbacks.annotate(its_state=state, last_sent_at=Subquery(last.values("last_attempt_at")[:1]))


class StateFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"
    field, options = "its_state", State.choices


class EventFilter(ChoiceFilter):
    title = _("event")
    parameter_name = "event"
    field, options = "event", EventType.choices


class MethodFilter(ChoiceFilter):
    title = _("method")
    parameter_name = "method"
    field, options = "method", CallbackSetting.Method.choices


class CallbackList(FilteredByAffiliate, ReadOnlyAdmin):
    """The list alone: it is registered nowhere, because the model's own pages are those of webhooks."""

    change_list_template = "admin/callbacks/callback_list.html"
    list_title = _("All callbacks")
    list_icon = "link"
    empty_title = _("No callbacks yet")
    empty_text = _("Set up a callback in an affiliate's Settings tab.")
    list_display = ("affiliate_column", "event_column", "host_column", "state", "last", "links")
    list_display_links = None
    list_filter = (StateFilter, EventFilter, MethodFilter, ("affiliate", AffiliateFilter))
    list_select_related = ("affiliate",)
    list_per_page = 50
    search_fields = ("host",)  # and as `get_search_results` says
    search_help_text = _("Host or affiliate")
    show_full_result_count = False
    ordering = ("-pk",)
    actions = None

    affiliate_column = column(
        _("Affiliate"), "admin/callbacks/callback_list/affiliate.html", "callback", ordering="affiliate__name"
    )
    event_column = column(_("Event"), "admin/callbacks/callback_list/event.html", "callback")
    host_column = column(_("Host"), "admin/callbacks/callback_list/host.html", "callback", ordering="host")
    last = column(_("Last sent"), "admin/callbacks/callback_list/last.html", "callback", ordering=LAST_SENT)
    links = column(_("Open"), "admin/callbacks/callback_list/links.html", "callback")

    @admin.display(description=_("State"), ordering="its_state")
    def state(self, callback: Any) -> str:
        return render_to_string(
            "theme/chip.html", chip(CHIPS[callback.its_state], str(State(callback.its_state).label))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not (term := search_term.strip().replace("\0", "")):
            return queryset, False
        affiliates = Affiliate.objects.filter(search.matches(term)).values("pk")
        return queryset.filter(Q(host__icontains=term) | Q(affiliate__in=affiliates)), False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("callbacks.view_callbacksetting")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallbackSetting]:
        return with_state(super().get_queryset(request).filter(event__in=EventType.values))

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The callbacks that the filters in the address select, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        changelist = self.get_changelist_instance(request)
        security_log.note(request, "export", what="callbacks", filters=",".join(request.GET))
        return csv_response(f"callbacks-{timezone.localdate()}.csv", HEADINGS, csv_rows(changelist.queryset))


def csv_rows(callbacks: QuerySet[CallbackSetting]) -> Iterator[tuple[Any, ...]]:
    """A row for each callback, in the order of `HEADINGS`, newest first; read a batch at a time."""
    rows = callbacks.order_by("-pk").values_list(*_COLUMNS)
    batch = list(rows[:BATCH_SIZE])
    while batch:
        for _pk, *row, state, sent_at in batch:
            yield *row, State(state).label, sent_at
        batch = list(rows.filter(pk__lt=batch[-1][0])[:BATCH_SIZE]) if len(batch) == BATCH_SIZE else []


def urls(site: admin.AdminSite) -> list[URLPattern]:
    listed = CallbackList(CallbackSetting, site)
    return [
        path("callbacks/all/", site.admin_view(listed.changelist_view), name="callbacks_all"),
        path("callbacks/all/export/", site.admin_view(require_safe(listed.export_view)), name="callbacks_all_export"),
    ]

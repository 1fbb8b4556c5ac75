"""The pages of messages: the list, and one with what was kept of it, what became of it, and applying it again."""

import json
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from config.listing.columns import ReadOnlyAdmin, column
from config.listing.filters import ChoiceFilter
from config.listing.keys import key_in
from config.listing.pages import LongChangeList
from config.security import security_log
from orders.intake import applying
from orders.models import Message, Shop
from orders.search import find_by_number

LATEST = 1000  # messages whose topics the filter offers


def _as_json(kept: dict[str, Any] | None) -> str:
    """What was kept, for people: without empty fields, and without the hash of the customer's e-mail address."""
    told = {name: value for name, value in (kept or {}).items() if name != "customer" and value not in (None, "", [])}
    return "" if kept is None else json.dumps(told, indent=2, ensure_ascii=False)


class MessageChangeList(LongChangeList):
    @cached_property
    def searched_back_to(self) -> datetime | None:
        if self.page.stopped_at is None:
            return None
        looked_at = Message.objects.filter(pk__lte=self.page.stopped_at).order_by("-pk")
        return looked_at.values_list("received_at", flat=True).first()


class ShopFilter(admin.SimpleListFilter):
    title = gettext_lazy("shop")
    parameter_name = "shop"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in Shop.objects.order_by("name").values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        pk = key_in(self.value() or "")
        return queryset if pk is None else queryset.filter(shop=pk)


class OutcomeFilter(ChoiceFilter):
    title = gettext_lazy("outcome")
    parameter_name = field = "outcome"
    options = Message.Outcome.choices


class TopicFilter(admin.SimpleListFilter):
    title = gettext_lazy("topic")
    parameter_name = "topic"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = Message.objects.order_by("-pk").values_list("topic", flat=True)[:LATEST]
        chosen = request.GET.get(self.parameter_name)
        return [(topic, topic) for topic in sorted({*latest, *([chosen] if chosen else [])})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(topic=self.value()) if self.value() else queryset


class MessageAdmin(ReadOnlyAdmin):
    list_title = gettext_lazy("Messages of shops")
    list_subtitle = gettext_lazy("Kept for 7 days, without personal data.")
    list_icon = "mail"
    empty_title = gettext_lazy("No messages yet")
    empty_text = gettext_lazy("What the shop sends appears here, each message with its outcome. Kept for 7 days.")
    list_display = ("received", "topic", "about", "outcome_chip", "reason")
    list_display_links = ("received",)
    list_filter = (OutcomeFilter, TopicFilter, ShopFilter)
    list_select_related = ("order", "shop")
    list_per_page = 50
    search_fields = ("external_id",)
    search_help_text = gettext_lazy("Order number or ID")
    show_full_result_count = False
    sortable_by = ()
    actions = None

    received = column(gettext_lazy("Received"), "admin/orders/message/received.html", "message")
    about = column(gettext_lazy("Order"), "admin/orders/message/about.html", "message")
    outcome_chip = column(gettext_lazy("Outcome"), "admin/orders/message/outcome.html", "message")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[MessageChangeList]:
        return MessageChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).defer("kept")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Message], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        """By the order's number, or by the shop's own id of it."""
        term = search_term.strip().replace("\0", "")
        if not term:
            return queryset, False
        return queryset.filter(Q(order__in=find_by_number(term)) | Q(external_id=term)), False

    # --- one message -------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.apply_view))
        return [path("<int:pk>/apply/", view, name="orders_message_apply"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """What was kept, in the place of a form."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        message = get_object_or_404(Message.objects.select_related("shop", "order"), pk=key_in(object_id))
        is_to_come = message.outcome == Message.Outcome.RECEIVED  # in its turn
        context = self.admin_site.each_context(request) | {
            "title": message.topic,
            "opts": self.opts,
            "message": message,
            "shop": message.shop,
            "kept": _as_json(message.kept),
            "has_customer": bool((message.kept or {}).get("customer")),
            "may_apply": self._may_apply(request) and message.kept is not None and not is_to_come,
        }
        return TemplateResponse(request, "admin/orders/message/message.html", context)

    def apply_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Do what the message says once more, for example after a setting was corrected."""
        if not self._may_apply(request):
            raise PermissionDenied
        message = applying.apply(get_object_or_404(Message, pk=pk))
        security_log.note(request, "message_applied", about=message.shop, says=f"Applied message {pk} again.")
        messages.info(request, _("Applied again: %(outcome)s.") % {"outcome": message.get_outcome_display()})
        return redirect("admin:orders_message_change", pk)

    @staticmethod
    def _may_apply(request: HttpRequest) -> bool:
        return request.user.has_perm("orders.change_shop")

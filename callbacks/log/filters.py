"""The filters of the log's list. What they mean is `callbacks.log.conditions`.

The filter by affiliate is `affiliates.filters`, that by date `config.listing.filters`.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from affiliates.filters import AFFILIATE
from callbacks.log import conditions, selection
from callbacks.log.conditions import Deliveries
from callbacks.models import CallbackSetting, Delivery, Job
from callbacks.models.setting import EVENTS
from config.listing.filters import ChoiceFilter, CountedFilter
from config.listing.keys import key_in

MAX_HOSTS = MAX_CALLBACKS = 100  # in their filters


class StateFilter(CountedFilter):
    title = gettext_lazy("state")
    parameter_name = "status__exact"
    conditions = conditions.STATE_CONDITIONS

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(conditions.STATES.items())

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.in_state(queryset, self.value() or "")


class EventFilter(ChoiceFilter):
    title = gettext_lazy("event")
    parameter_name = "event__exact"
    field, options = "event", EVENTS


class OriginFilter(CountedFilter):
    """By where a delivery comes from: orders as they happened, a backfill, or a test from a callback's form."""

    title = gettext_lazy("origin")
    parameter_name = "origin"
    conditions = conditions.ORIGIN_CONDITIONS

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        origins = [
            (Delivery.Origin.EVENT, _("Orders")),
            (Delivery.Origin.BACKFILL, _("Backfills")),
            (Delivery.Origin.TEST, _("Tests")),
        ]
        return [(conditions.NOT_TEST, _("All except tests")), *((origin.value, name) for origin, name in origins)]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.of_origin(queryset, self.value() or "")


class HostFilter(admin.SimpleListFilter):
    """By the host that the callback has now."""

    title = gettext_lazy("host")
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        hosts = CallbackSetting.objects.order_by("host").values_list("host", flat=True).distinct()[:MAX_HOSTS]
        chosen = request.GET.get(self.parameter_name, "")
        return [(host, host) for host in sorted({*hosts, chosen} - {""})]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.at_host(queryset, self.value() or "")


class CallbackFilter(admin.SimpleListFilter):
    """By callback: offers those of the affiliate whose deliveries are shown. Rows in Settings lead here."""

    title = gettext_lazy("callback")
    parameter_name = "callback"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        wanted = {"affiliate": request.GET.get(AFFILIATE, ""), "pk": request.GET.get(self.parameter_name, "")}
        found = [Q(**{name: pk}) for name, text in wanted.items() if (pk := key_in(text)) is not None]
        if not found:
            return []
        settings = CallbackSetting.objects.filter(reduce(or_, found)).select_related("affiliate")
        offered = [(str(setting.pk), str(setting)) for setting in settings.order_by("event", "pk")[:MAX_CALLBACKS]]
        is_there = not wanted["pk"] or wanted["pk"] in dict(offered)
        return offered if is_there else [*offered, (wanted["pk"], _("(deleted)"))]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.of_callback(queryset, self.value() or "")


class WhilePausedFilter(admin.SimpleListFilter):
    """What was skipped while a callback had paused itself. Its page in Settings leads here."""

    title = gettext_lazy("skipped while paused")
    parameter_name = "while_paused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        pk = key_in(request.GET.get(self.parameter_name, ""))
        return [(str(setting.pk), str(setting)) for setting in CallbackSetting.objects.filter(pk=pk)] if pk else []

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.while_paused(queryset, self.value() or "")


class JobFilter(admin.SimpleListFilter):
    """What one resend or backfill sent. Its page leads here."""

    title = gettext_lazy("job")
    parameter_name = "job"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        pk = key_in(request.GET.get(self.parameter_name, ""))
        return [(str(job.pk), f"{job}: {job.words}") for job in Job.objects.filter(pk=pk)] if pk else []

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return selection.of_job(queryset, self.value() or "")


class AnswerFilter(CountedFilter):
    """By what the last answer says: whether a 2xx reads like a refusal, as `callbacks.egress.soft_failures` finds."""

    title = gettext_lazy("answer")
    parameter_name = "answer"
    conditions = conditions.ANSWER_CONDITIONS
    note = gettext_lazy("Answers are checked when they arrive. Those from before this check existed are “not checked”.")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(conditions.ANSWERS.items())

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.with_answer(queryset, self.value() or "")


class CodeFilter(CountedFilter):
    """By the status code of the last answer: a class of codes, or one code that the page's address names."""

    title = gettext_lazy("code")
    parameter_name = "code"

    @property
    def conditions(self) -> Mapping[str, Q]:
        found = {str(code): conditions.code_condition(str(code)) for code, _ in self.lookup_choices}
        return {code: condition for code, condition in found.items() if condition is not None}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        classes = [
            ("2xx", _("2xx success")),
            ("3xx", _("3xx redirect")),
            ("4xx", _("4xx client error")),
            ("5xx", _("5xx server error")),
        ]
        chosen = request.GET.get(self.parameter_name, "")
        own = [(chosen, chosen)] if conditions.is_code(chosen) else []
        return [*classes, *own, (conditions.NO_ANSWER, _("No answer"))]

    def queryset(self, request: HttpRequest, queryset: Deliveries) -> Deliveries:
        return conditions.with_code(queryset, self.value() or "")

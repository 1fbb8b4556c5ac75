"""The admin's lists: they take the filters that they declare, and long ones have the pages of `config.listing.keys`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import reduce
from operator import and_
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.db import IntegrityError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from config.listing.filters import CountedFilter
from config.listing.keys import AFTER, BEFORE, NO_KEYS, Keys, Limits, all_rows, key_in, page_of

MAX_NAMED = 5  # parameters that a message names
MAX_SEARCHED = 1000  # characters; a link may be long
MAX_COUNTED = 1000  # rows beside a choice of a filter
COUNTING = Limits(time_s=0.03, size=2_000)  # what it may take to count those of all filters


class SearchForm(ChangeListSearchForm):
    """Django's, which refuses what is too long for a search; SQLite raises for a pattern of 50,000 bytes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        too_long = _("The search text is too long, ignored.")
        self.fields[SEARCH_VAR] = forms.CharField(
            required=False, strip=False, max_length=MAX_SEARCHED, error_messages={"max_length": too_long}
        )


class DeclaredList(ChangeList):
    """A list that its declared filters narrow, and nothing else in its address.

    Django's own looks up whatever the address says, such as a regular expression in any column. Here that is left out,
    and so is a value that a filter does not know or cannot read; a message names it.
    """

    search_form_class = SearchForm

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(request, *args, **kwargs)
        # Django's says "Select delivery to view".
        self.title: Any = capfirst(getattr(self.model_admin, "list_title", "") or self.opts.verbose_name_plural)

    def get_filters(self, request: HttpRequest) -> Any:
        specs, has_filters, unknown, may_have_duplicates, _ = super().get_filters(request)
        self._leave_out(request, {*unknown, *(name for spec in specs for name in _unread(spec))})
        is_active = bool({name for spec in specs for name in spec.used_parameters})
        return specs, has_filters, {}, may_have_duplicates, is_active

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        try:
            return super().get_queryset(request, exclude_parameters)
        except IncorrectLookupParameters:  # a value that the column cannot have
            self._leave_out(request, self.get_filters_params())
            return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except IncorrectLookupParameters:  # there is no such page
            self.page_num = 1
            super().get_results(request)

    @cached_property
    def counts(self) -> dict[str, dict[str | None, str]]:
        """How many rows each choice of a `CountedFilter` has, by the filter's parameter and the choice.

        As with the rows themselves, the newest are looked at first, and only for some time: `12+` are twelve or more.
        """
        counted = [spec for spec in self.filter_specs if isinstance(spec, CountedFilter)]
        chosen = [spec for spec in counted if spec.value() is not None]
        others = [spec for spec in counted if spec not in chosen]
        found: dict[str, dict[str | None, str]] = {}
        limits = replace(COUNTING, time_s=COUNTING.time_s / (len(chosen) + bool(others) or 1))
        for specs in filter(None, [others, *([spec] for spec in chosen)]):
            conditions = {(str(s.parameter_name), value): q for s in specs for value, q in s.conditions.items()}
            if specs is others:
                counts = _count(self.queryset, conditions, self._keys_of_rows, limits, has_more=self._has_more)
            else:
                counts = _count(self._rows_without(specs[0]), conditions, self.keys, limits)
            for (name, value), text in counts.items():
                found.setdefault(name, {})[value] = text
        return found

    @property
    def _keys_of_rows(self) -> Keys:
        """Between which keys the rows of the list lie, as far as is known."""
        return self.keys

    @property
    def _has_more(self) -> bool:
        """Whether there may be rows outside of them."""
        return False

    def _rows_without(self, left_out: Any) -> QuerySet[Any]:
        """The rows of the list without one of its filters."""
        rows = self.root_queryset
        for spec in self.filter_specs:
            narrowed = None if spec is left_out else spec.queryset(self.request, rows)
            rows = rows if narrowed is None else narrowed
        return self.model_admin.get_search_results(self.request, rows, self.query)[0]

    @property
    def keys(self) -> Keys:
        return reduce(and_, (spec.keys for spec in self.filter_specs if hasattr(spec, "keys")), Keys())

    def _leave_out(self, request: HttpRequest, names: Iterable[str]) -> None:
        names = sorted(names)
        for name in names:
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        if names:
            named = ", ".join(name[:60] for name in names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
            said = _("Unknown filter or value, ignored: %(names)s.")
            messages.warning(request, said % {"names": named})


def _unread(spec: Any) -> list[str]:
    """The parameters of a filter whose values it does not know, which it then does without."""
    if hasattr(spec, "leave_unread"):
        return list(spec.leave_unread())
    is_simple = isinstance(spec, admin.SimpleListFilter) and spec.value() is not None
    if not is_simple or spec.value() in {str(value) for value, _ in spec.lookup_choices}:
        return []
    del spec.used_parameters[spec.parameter_name]
    return [str(spec.parameter_name)]


class BaseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """The base of all pages of the admin: its list is a `DeclaredList`, and two people may save the same at once."""

    @property
    def media(self) -> forms.Media:
        """None of Django's scripts: what their pages need is in `site.js`, which every page has."""
        return forms.Media()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DeclaredList]:
        return DeclaredList

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Django refuses some with an error; the list leaves out all that no filter takes."""
        return True

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Leave out what was ticked and can be no row's key, which no database takes."""
        typed = request.POST.copy()
        ticked = [text for text in typed.getlist(ACTION_CHECKBOX_NAME) if key_in(text) is not None]
        typed.setlist(ACTION_CHECKBOX_NAME, ticked)
        request.POST = typed  # type: ignore[assignment]  # the stubs know the one that cannot be changed
        return super().response_action(request, queryset)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Look at the form once more if somebody saved a row with the same name or number at the same moment.

        It was not there yet when the form was looked at first; now the form says that it is.
        """
        if "_saveasnew" in request.POST and not self.save_as:  # Django would take a change for an addition
            return HttpResponseBadRequest("Saving as new is not possible here.")
        try:
            return super().changeform_view(request, *args, **kwargs)
        except IntegrityError:
            return super().changeform_view(request, *args, **kwargs)


class LongChangeList(DeclaredList):
    """A list in the admin with such pages in the place of numbered ones. Its rows are in `page`.

    A filter that knows between which primary keys its rows lie says so in an attribute `keys`.
    """

    limits = Limits()

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.before, self.after = (key_in(request.GET.get(name, "")) for name in (BEFORE, AFTER))
        super().__init__(request, *args, **kwargs)

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        for name in (BEFORE, AFTER):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        rows, size = self.queryset, self.list_per_page
        self.page = page_of(rows, size, before=self.before, after=self.after, keys=self.keys, limits=self.limits)
        self.prepare(self.page.rows)
        self.result_list = self.page.rows
        self.result_count = len(self.page.rows)
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = True

    def prepare(self, rows: list[Any]) -> None:
        """Read what the rows of a page need besides themselves, for all of them at once."""

    @property
    def _keys_of_rows(self) -> Keys:
        """The first page knows if it is not full: no others are read."""
        rows, is_first = self.page.rows, self.before is None and self.after is None
        if not is_first or len(rows) == self.list_per_page:
            return self.keys
        return Keys(rows[-1].pk, rows[0].pk) if rows else NO_KEYS

    @property
    def _has_more(self) -> bool:
        return self.page.stopped_at is not None

    @cached_property
    def searched_back_to(self) -> datetime | None:
        """The time of the last row looked at, if the time was up before the page was full."""
        if self.page.stopped_at is None:
            return None
        looked_at = all_rows(self.model).filter(pk__lte=self.page.stopped_at).order_by("-pk")
        return looked_at.values_list("created_at", flat=True).first()

    @property
    def older_link(self) -> str:
        return self._link(BEFORE, self.page.older)

    @property
    def newer_link(self) -> str:
        return self._link(AFTER, self.page.newer)

    def _link(self, name: str, pk: int | None) -> str:
        return "" if pk is None else str(self.get_query_string({name: pk}))


def _count(
    rows: QuerySet[Any], conditions: Mapping[Any, Q], keys: Keys, limits: Limits, *, has_more: bool = False
) -> dict[Any, str]:
    """How many of `rows` meet each of the conditions: `12`, or `12+` if not all could be looked at, or `1,000+`.

    `has_more`: there may be further ones, outside of `keys`.
    """
    newest = all_rows(rows.model).order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:
        return dict.fromkeys(conditions, "0")
    keys &= Keys(last=newest)
    names = {f"counted_{n}": key for n, key in enumerate(conditions)}
    each = {name: Count("pk", filter=conditions[key]) for name, key in names.items()}
    counts: Counter[Any] = Counter()
    until = keys.last
    for begin, until in limits.ranges(keys.last, keys.first, -1):
        found = rows.order_by().filter(pk__range=(until, begin)).aggregate(**each)
        counts.update({names[name]: count for name, count in found.items()})
        if all(counts[key] >= MAX_COUNTED for key in conditions):
            break
    is_all = until <= keys.first and not has_more
    return {key: _in_words(counts[key], is_all=is_all) for key in conditions}


def _in_words(count: int, *, is_all: bool) -> str:
    if count >= MAX_COUNTED:
        return f"{MAX_COUNTED:,}+"
    return str(count) if is_all else f"{count}+" if count else ""

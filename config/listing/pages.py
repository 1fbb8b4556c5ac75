"""The admin's list of rows that are too many to count, made of the pages of `config.listing.keys`."""

from datetime import datetime
from functools import reduce
from operator import and_
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from config.listing.keys import AFTER, BEFORE, Keys, Limits, all_rows, key_in, page_of


class LongChangeList(ChangeList):
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
    def keys(self) -> Keys:
        return reduce(and_, (spec.keys for spec in self.filter_specs if hasattr(spec, "keys")), Keys())

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

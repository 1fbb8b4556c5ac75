"""Filters that the lists of more than one app have: whose something is, and since when it is there."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from affiliates.models import Affiliate

LISTED = 100  # affiliates in the filter


class AffiliateFilter(admin.RelatedFieldListFilter):
    """The first affiliates by name, and always the one that is chosen: a list of thousands helps nobody."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        affiliates = Affiliate.objects.order_by("name", "pk")
        chosen = request.GET.get(f"{self.field_path}__id__exact", "")
        listed = {affiliate.pk: affiliate for affiliate in affiliates[:LISTED]}
        if chosen.isdecimal() and int(chosen) not in listed:
            listed |= affiliates.in_bulk([int(chosen)])
        return [(str(pk), affiliate.name) for pk, affiliate in listed.items()]


class DateFilter(admin.DateFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "date"

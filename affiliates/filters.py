"""The filter by affiliate that lists of more than one app have."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from affiliates.models import Affiliate
from config.listing.keys import key_in

LISTED = 100  # affiliates in the filter


class AffiliateFilter(admin.RelatedFieldListFilter):
    """The first affiliates by name, and always the one that is chosen: a list of thousands helps nobody."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        affiliates = Affiliate.objects.order_by("name", "pk")
        chosen = request.GET.get(f"{self.field_path}__id__exact", "")
        listed = {affiliate.pk: affiliate for affiliate in affiliates[:LISTED]}
        if (pk := key_in(chosen)) is not None and pk not in listed:
            listed |= affiliates.in_bulk([pk])
        return [(str(pk), affiliate.name) for pk, affiliate in listed.items()]

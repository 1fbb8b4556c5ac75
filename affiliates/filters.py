"""The filter by affiliate, for the lists of orders and of deliveries."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from affiliates.models import Affiliate
from config.listing.keys import key_in

MAX_LISTED = 100


class AffiliateFilter(admin.RelatedFieldListFilter):
    """Offers the first affiliates by name, and the chosen one."""

    def leave_unread(self) -> list[str]:
        """Do without a key that no affiliate can have, which no database takes; returns its parameter."""
        chosen: Any = self.used_parameters.get(self.lookup_kwarg, [])
        if all(key_in(str(value)) is not None for value in chosen):
            return []
        del self.used_parameters[self.lookup_kwarg]
        return [self.lookup_kwarg]

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        affiliates = Affiliate.objects.order_by("name", "pk")
        chosen = request.GET.get(f"{self.field_path}__id__exact", "")
        listed = {affiliate.pk: affiliate for affiliate in affiliates[:MAX_LISTED]}
        if (pk := key_in(chosen)) is not None and pk not in listed:
            listed |= affiliates.in_bulk([pk])
        return [(str(pk), affiliate.name) for pk, affiliate in listed.items()]

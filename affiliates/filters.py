"""The filter by affiliate, who is typed: for the lists of links, of orders and of deliveries."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from affiliates import search
from affiliates.models import Affiliate
from config.listing.keys import AFTER, BEFORE, key_in
from config.request import may_see

AFFILIATE = "affiliate__id__exact"  # the key of the chosen one, in the address of a list
TYPED = "affiliate"  # what was typed to find one


class AffiliateFilter(admin.RelatedFieldListFilter):
    """A field to type a name, a code or an e-mail address into. The list's page is a `FilteredByAffiliate`.

    If several are meant it offers them; one that is found is in the address by primary key.
    """

    template = "admin/affiliates/filter.html"
    is_fixed = False  # on the page of one affiliate, and for who may not see affiliates

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        params.pop(TYPED, None)
        self.typed, self.is_fixed = _typed(request), not may_see(request, Affiliate)
        self.offered = search.suggest(self.typed) if self.typed else []
        self.has_more = len(self.offered) == search.MAX_SUGGESTED
        self.suggest_url = reverse("admin:affiliates_affiliate_suggest")
        super().__init__(field, request, params, model, model_admin, field_path)
        self.title = _("affiliate")
        if self.typed:
            self.used_parameters[TYPED] = self.typed  # so that the list knows that it is narrowed

    def leave_unread(self) -> list[str]:
        """Do without a key that no affiliate can have, which no database takes; returns its parameter."""
        chosen: Any = self.used_parameters.get(self.lookup_kwarg, [])
        if all(key_in(str(value)) is not None for value in chosen):
            return []
        del self.used_parameters[self.lookup_kwarg]
        return [self.lookup_kwarg]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Nothing while it is not chosen who of several is meant: somebody may resend all that they see."""
        return queryset.none() if self.typed else super().queryset(request, queryset)

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The chosen one alone."""
        key = key_in(request.GET.get(AFFILIATE, ""))
        self.chosen = None if key is None else Affiliate.objects.filter(pk=key).first()
        return []

    def choices(self, changelist: Any) -> Any:
        """Those who may be meant. Sets `carried` to what the form keeps, and `all_query` to the address of all."""
        own, pages = {AFFILIATE, TYPED}, {BEFORE, AFTER}
        others = changelist.filter_params.items()
        self.carried = [(name, value) for name, values in others if name not in own | pages for value in values]
        if changelist.query:
            self.carried.append(("q", changelist.query))
        self.all_query = changelist.get_query_string(remove=own)
        for affiliate in self.offered:
            query = changelist.get_query_string({AFFILIATE: affiliate.pk}, remove=[TYPED])
            yield {"query_string": query, "display": search.label_of(affiliate), "selected": False}


class FilteredByAffiliate(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """A list with an `AffiliateFilter`: what is typed there leads to the list of the affiliate that it names."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        typed = _typed(request)
        if request.method == "GET" and TYPED in request.GET and (affiliate := _named(typed) or not typed):
            query = request.GET.copy()
            for name in (TYPED, AFFILIATE, BEFORE, AFTER):
                query.pop(name, None)
            if isinstance(affiliate, Affiliate):
                query[AFFILIATE] = str(affiliate.pk)
            return redirect(f"{request.path}?{query.urlencode()}")
        return super().changelist_view(request, extra_context)


def _typed(request: HttpRequest) -> str:
    """What is to be found; "" for who may not see affiliates, who would learn by it who there is."""
    return request.GET.get(TYPED, "").strip()[: search.MAX_LENGTH] if may_see(request, Affiliate) else ""


def _named(text: str) -> Affiliate | None:
    """The only one whom the text names, or else finds; None if there are several or none."""
    if not text or "\0" in text:
        return None
    try:
        return search.identify(text)
    except ValidationError as error:
        found = search.suggest(text)
        return found[0] if len(found) == 1 and error.code == "unknown_affiliate" else None

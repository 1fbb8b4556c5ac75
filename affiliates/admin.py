"""All Affiliates, the Profile tab of one, and all links. The other tabs are `affiliates.profile.views`."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from affiliates.filters import AffiliateFilter, FilteredByAffiliate
from affiliates.forms import AffiliateForm, LinkForm
from affiliates.models import Affiliate, Link
from affiliates.portal import access
from affiliates.profile import facts, views
from callbacks.reports.callback_health import Health, with_health
from callbacks.setup.bulk import choice
from config.editing import EditingAdmin
from config.listing.columns import CREATED, column
from config.listing.keys import key_in
from config.security import security_log
from config.security.sign_in import password_again
from config.theme.templatetags.theme import percent


class CallbacksFilter(admin.SimpleListFilter):
    title = gettext_lazy("callbacks set up")
    parameter_name = "callbacks"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("2", _("Both")), ("1", _("One of two")), ("0", _("None"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(callback_count=self.value()) if self.value() in {"0", "1", "2"} else queryset


class HealthFilter(admin.SimpleListFilter):
    title = gettext_lazy("recent deliveries")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (state.value, str(state.label))
            for state in (Health.WORKING, Health.FAILING, Health.CHANGED, Health.SILENT, Health.PRUNED)
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(health=self.value()) if self.value() else queryset


@admin.register(Affiliate)
class AffiliateAdmin(EditingAdmin):
    actions = ("set_up_same", "block")
    form = AffiliateForm
    list_display = ("name", "code", "email", "status_chip", "orders", "callbacks_set", "recent_deliveries")
    list_display_links = ("name",)
    list_filter = ("status", CallbacksFilter, HealthFilter)
    list_per_page = 50
    search_fields = ("name", "code", "email", "aliases__code")
    search_help_text = gettext_lazy("Name, code or e-mail")
    list_title = gettext_lazy("All Affiliates")
    list_icon = "affiliates"
    empty_title = gettext_lazy("No affiliates yet")
    empty_text = gettext_lazy("Add the first affiliate, then set up their callbacks.")

    # --- All Affiliates ------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Affiliate]:
        return with_health(facts.with_order_count(super().get_queryset(request)))

    status_chip = column(gettext_lazy("Status"), "admin/affiliates/status.html", "affiliate", ordering="status")

    @admin.display(description=gettext_lazy("Orders"), ordering="order_count")
    def orders(self, affiliate: Any) -> int:
        return int(affiliate.order_count)

    @admin.display(description=gettext_lazy("Callbacks set up"), ordering="callback_count")
    def callbacks_set(self, affiliate: Any) -> str:
        return _("%(count)d of 2") % {"count": affiliate.callback_count}

    @admin.display(description=gettext_lazy("Recent deliveries"), ordering="health")
    def recent_deliveries(self, affiliate: Any) -> str:
        return render_to_string("admin/callbacks/reports/health.html", {"health": Health(affiliate.health)})

    @admin.action(description=gettext_lazy("Set up the same callback"), permissions=["set_up_same"])
    def set_up_same(self, request: HttpRequest, queryset: QuerySet[Affiliate]) -> HttpResponse:
        """For the ticked affiliates, or all that the filters select."""
        ids = queryset.order_by().values_list("pk", flat=True)
        return redirect("many:fill", choice.keep(request.session, ids))

    def has_set_up_same_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(choice.PERMISSIONS)

    @admin.action(description=gettext_lazy("Block"), permissions=["change"])
    def block(self, request: HttpRequest, queryset: QuerySet[Affiliate]) -> None:
        """What to do in the place of deleting those who have orders."""
        with transaction.atomic():
            rows = Affiliate.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")
            found = list(rows.filter(pk__in=list(queryset.order_by().values_list("pk", flat=True))))
            for affiliate in found:
                before, affiliate.status = affiliate.get_status_display(), Affiliate.Status.BLOCKED
                affiliate.save(update_fields=["status"])
                if before != affiliate.get_status_display():
                    self.log_change(request, affiliate, f"Status: {before} → {affiliate.get_status_display()}.")
        said = ngettext("%(name)s is blocked.", "%(count)d affiliates are blocked.", len(found))
        messages.success(request, said % {"name": ", ".join(map(str, found)), "count": len(found)})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override]  # the password again is an answer, too
        view: views.View = super().changelist_view
        if "delete_selected" in request.POST.getlist("action") and "post" in request.POST:
            view = password_again(view)
        extra = {"may_set_up_same": self.has_set_up_same_permission(request)}
        return view(request, extra | (extra_context or {}))

    def get_fields(self, request: HttpRequest, obj: Affiliate | None = None) -> Any:
        """Without a field to type into, the rate is shown as a percentage."""
        fields = super().get_fields(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fields
        return ["rate" if name == "commission_rate" else name for name in fields]

    @admin.display(description=gettext_lazy("Commission"))
    def rate(self, affiliate: Affiliate) -> str:
        return _("%(rate)s of each order") % {"rate": percent(affiliate.commission_rate)}

    # --- the profile ---------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, views.View]] = {
            "suggest": ("suggest/", views.suggest),
            "links": ("<int:pk>/links/", views.links),
            "orders": ("<int:pk>/orders/", views.orders),
            "deliveries": ("<int:pk>/deliveries/", views.deliveries),
            "settings": ("<int:pk>/settings/", views.settings),
            "reconciliation": ("<int:pk>/reconciliation/", views.reconciliation),
            "reconciliation_export": ("<int:pk>/reconciliation/export/", views.reconciliation_export),
            "coupons": ("<int:pk>/settings/coupons/", views.coupons),
            "coupon_remove": ("<int:pk>/settings/coupons/remove/", views.coupon_remove),
            "portal": ("<int:pk>/settings/portal/", views.portal_password),
            "portal_off": ("<int:pk>/settings/portal/off/", views.portal_off),
        }
        view = self.admin_site.admin_view
        own = [path(route, view(page), name=f"affiliates_affiliate_{name}") for name, (route, page) in pages.items()]
        return own + super().get_urls()

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Ask again for the password where another e-mail would rename the affiliate's login."""
        view: views.View = super().changeform_view
        if request.method == "POST" and (key := key_in(object_id or "")) is not None:
            with_login = Affiliate.objects.filter(pk=key, user__isnull=False)
            if with_login.exclude(email=request.POST.get("email", "").strip().replace("\0", "")).exists():
                view = password_again(view)
        return view(request, object_id, *args, **kwargs)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if obj := kwargs.get("obj"):
            saved = Affiliate.objects.get(pk=obj.pk)
            context |= views.profile_of(saved, "profile")
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Affiliate, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        obj.save(update_fields=form.fields)  # not the login, which somebody may have made since the row was read
        try:
            access.follow_email(obj)
        except ValidationError as error:
            kept = _("The portal log-in keeps the old e-mail address. %(why)s")
            messages.warning(request, kept % {"why": " ".join(error.messages)})

    # --- deleting ------------------------------------------------------------
    @method_decorator(password_again)
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Delete, or block those who cannot be deleted."""
        affiliate = self.get_object(request, object_id) if "_block" in request.POST else None
        if affiliate is None:
            return super().delete_view(request, object_id, extra_context)
        if not self.has_change_permission(request, affiliate):
            raise PermissionDenied
        self.block(request, Affiliate.objects.filter(pk=affiliate.pk))
        return redirect(affiliate)

    def delete_model(self, request: HttpRequest, obj: Affiliate) -> None:
        self._revoke(request, obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Affiliate]) -> None:
        for affiliate in queryset:
            self._revoke(request, affiliate)
        super().delete_queryset(request, queryset)

    @staticmethod
    def _revoke(request: HttpRequest, affiliate: Affiliate) -> None:
        if affiliate.user is not None:
            security_log.note(request, "portal_access_taken", about=affiliate)
        access.revoke(affiliate)


@admin.register(Link)
class LinkAdmin(FilteredByAffiliate, EditingAdmin):
    form = LinkForm
    list_filter = (("affiliate", AffiliateFilter),)
    list_display = ("url", "affiliate", "first_seen")
    list_select_related = ("affiliate",)
    list_per_page = 50
    search_fields = ("url", "affiliate__name", "affiliate__code", "affiliate__aliases__code")
    search_help_text = gettext_lazy("Part of the URL, name or code")
    list_title = gettext_lazy("Links")
    list_icon = "link"
    empty_title = gettext_lazy("No links yet")
    empty_text = gettext_lazy("A link appears here when the first order arrives through it.")
    fields = ("affiliate", "url")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Link | None = None) -> tuple[str, ...]:
        return ("affiliate",) if obj else ()  # because the orders of a link belong to its affiliate

    first_seen = column(gettext_lazy("First seen"), CREATED, ordering="created_at")

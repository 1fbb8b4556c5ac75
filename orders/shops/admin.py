"""The list of shops, and the tabs of one: Connection, Settings, Messages.

What is received under a shop's address is `orders.intake.receive`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from config.editing import EditingAdmin
from config.listing.columns import column
from config.security import security_log
from config.security.sign_in import password_again
from orders.models import Message, Order, Shop
from orders.shops import connection
from orders.shops.forms import NOT_CHOSEN, OURS, ConnectForm, KeyForm, ShopForm, status_map_of
from orders.shops.messages import ShopFilter

AGAIN_MS = 2000
SWITCHES = ("is_active", "accepts_test_orders", "leaves_out_self_referrals")
MOST_NAMED = 5  # orders that prevent deleting a shop
View = Callable[..., HttpResponseBase]


def _word(name: str) -> Callable[[Any, Shop], str]:
    @admin.display(description=ShopForm.Meta.labels[name])
    def shown(_admin: Any, shop: Shop) -> str:
        return _("on") if getattr(shop, name) else _("off")

    return shown


def _former_until(shop: Shop) -> datetime | None:
    """Until when two secrets are valid, if they are."""
    until = shop.former_secret_until
    return until if shop.former_secret and until and until > timezone.now() else None


class ShopAdmin(EditingAdmin):
    form = ShopForm
    list_title = gettext_lazy("Shops")
    list_subtitle = gettext_lazy("Each sends its orders, refunds and cancellations by itself.")
    list_icon = "shop"
    add_label = gettext_lazy("Connect a shop")
    empty_title = gettext_lazy("No shops yet")
    empty_text = gettext_lazy("Connect Shopify, WooCommerce or your own shop. Orders then arrive by themselves.")
    list_display = ("name_column", "kind", "state_column", "last_received")
    list_display_links = None
    ordering = ("name",)
    actions = None
    fieldsets = (
        (None, {"fields": ("name", "address", "is_active", "accepts_test_orders")}),
        (
            gettext_lazy("Affiliate and commission"),
            {"fields": ("commission_base", "first", "leaves_out_self_referrals")},
        ),
    )

    name_column = column(gettext_lazy("Shop"), "admin/orders/shop/name.html", "shop", ordering="name")
    state_column = column(gettext_lazy("State"), "admin/orders/shop/state.html", "shop")
    last_received = column(
        gettext_lazy("Last message"), "admin/orders/shop/last_received.html", "shop", ordering="last_received_at"
    )

    is_active_word, accepts_test_orders_word, leaves_out_self_referrals_word = map(_word, SWITCHES)

    # --- connecting one --------------------------------------------------------
    def get_form(self, request: HttpRequest, obj: Shop | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({"form": ConnectForm} if obj is None else {}) | kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Shop | None = None) -> Any:
        """Without a field to tick, a yes or no is shown as a word; Django's picture is none of ours."""
        if obj is None:
            return [(None, {"fields": ("kind", "name")})]
        if self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return [
            (title, {"fields": [f"{name}_word" if name in SWITCHES else name for name in options["fields"]]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    @method_decorator(password_again)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # That button would skip the page that connects it.
        return super().add_view(request, form_url, (extra_context or {}) | {"show_save_and_add_another": False})

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        if change:
            return super().save_form(request, form, change)
        try:
            return Shop.make(form.cleaned_data["kind"], form.cleaned_data["name"])
        except ValidationError as error:  # somebody has just made one with this name: now the form says so
            raise IntegrityError from error

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:  # only what the form has: messages may arrive meanwhile
            obj.save(update_fields=[*form.Meta.fields, "status_map"])

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing related."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return redirect("admin:orders_shop_secret", obj.pk)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """To the same tab, as on the profile of an affiliate."""
        return redirect("admin:orders_shop_change", obj.pk)

    # --- one shop ----------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, View] = {
            "connection": require_safe(self.connection_view),
            "secret": require_safe(password_again(self.secret_view)),
            "rotate": require_http_methods(["GET", "HEAD", "POST"])(password_again(self.rotate_view)),
            "live": require_safe(self.live_view),
            "messages": require_safe(self.messages_view),
        }
        view = self.admin_site.admin_view
        own = [path(f"<int:pk>/{name}/", view(page), name=f"orders_shop_{name}") for name, page in pages.items()]
        return own + super().get_urls()

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if obj := kwargs.get("obj"):
            stored = Shop.objects.get(pk=obj.pk)
            context |= {"shop": stored, "tab": "settings"}
            if not self.has_change_permission(request, obj):
                words = {str(ours): label for ours, label in [NOT_CHOSEN, *OURS]}
                context["statuses"] = {theirs: words[ours] for theirs, ours in status_map_of(stored).items()}
        return super().render_change_form(request, context, *args, **kwargs)

    def connection_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What to enter where, and whether a message has arrived."""
        return self._connection(request, self._shop(request, pk, self.has_view_permission))

    def secret_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The same with the secret, for who has just typed the password."""
        shop = self._shop(request, pk, self.has_change_permission)
        security_log.note(request, "secret_shown", about=shop)
        return self._connection(request, shop, shows_secret=True)

    def rotate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, then make a new secret, or take the key that Shopify shows. The former one stays valid for a day."""
        shop = self._shop(request, pk, self.has_change_permission)
        is_typed = shop.kind == Shop.Kind.SHOPIFY
        form = KeyForm(request.POST or None) if is_typed else None
        if request.method != "POST" or (form and not form.is_valid()):
            title = _("Enter the key of %(shop)s") if is_typed else _("Rotate the secret of %(shop)s?")
            context = {
                "title": title % {"shop": shop},
                "form": form,
                "errors": bool(form and form.errors),
                "former_until": _former_until(shop),
            }
            return self._page(request, shop, "", "rotate", context, status=422 if form and form.errors else 200)
        with transaction.atomic():
            shop = get_object_or_404(Shop.objects.select_for_update(no_key=True), pk=pk)
            shop.rotate(form.cleaned_data["secret"] if form else "")
            says = "Entered the key." if form else "Rotated the secret."
            security_log.note(request, "secret_rotated", about=shop, says=says)
        if form:
            messages.success(request, _("Key saved."))
        else:
            messages.success(request, _("Copy the new secret into your shop. The former one stays valid for 24 hours."))
        return redirect("admin:orders_shop_connection" if form else "admin:orders_shop_secret", pk)

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The line that says when the last message arrived, for the script that keeps it up to date."""
        shop = self._shop(request, pk, self.has_view_permission)
        html = render_to_string("admin/orders/shop/live.html", {"shop": shop}).strip()
        return JsonResponse({"html": html, "again_ms": AGAIN_MS}, headers={"Cache-Control": "no-store"})

    def messages_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The list of messages, with its filters, for this shop alone."""
        shop = self._shop(request, pk, self.has_view_permission)
        query = request.GET.copy()
        query[ShopFilter.parameter_name] = str(pk)
        request.GET = query  # type: ignore[assignment]  # the stubs know the one that cannot be changed
        log = self.admin_site.get_model_admin(Message)
        response = log.changelist_view(request, {"shop": shop, "tab": "messages"})
        if isinstance(response, TemplateResponse) and response.context_data:
            listed = response.context_data["cl"]
            listed.filter_specs = [spec for spec in listed.filter_specs if not isinstance(spec, ShopFilter)]
            listed.has_active_filters = any(spec.used_parameters for spec in listed.filter_specs)
            response.template_name = "admin/orders/shop/messages.html"
        return response

    def _shop(self, request: HttpRequest, pk: int, is_permitted: Callable[..., bool]) -> Shop:
        if not is_permitted(request):
            raise PermissionDenied
        return get_object_or_404(Shop, pk=pk)

    def _connection(self, request: HttpRequest, shop: Shop, *, shows_secret: bool = False) -> HttpResponse:
        url = request.build_absolute_uri(shop.path)
        context = {
            "url": url,
            "obstacles": list(connection.obstacles(shop.kind, url)),
            "panel": request.build_absolute_uri("/").rstrip("/"),
            "script": request.build_absolute_uri(reverse("storefront")),
            "topics": connection.TOPICS[Shop.Kind(shop.kind)],
            "steps": f"admin/orders/shop/{shop.kind}.html",
            "shows_secret": shows_secret,
            "former_until": _former_until(shop),
            "may_change": self.has_change_permission(request, shop),
            "form": KeyForm() if shop.kind == Shop.Kind.SHOPIFY else None,
        }
        return self._page(request, shop, "connection", "connection", context)

    def _page(
        self, request: HttpRequest, shop: Shop, tab: str, template: str, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        around = self.admin_site.each_context(request) | {"title": str(shop), "opts": self.opts}
        context = around | {"shop": shop, "tab": tab} | context
        return TemplateResponse(request, f"admin/orders/shop/{template}.html", context, status=status)

    # --- deleting ----------------------------------------------------------------
    @method_decorator(password_again)
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().delete_view(request, object_id, extra_context)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Its messages go with it. Its orders prevent it; a few are named, as there may be a million."""
        orders = Order.objects.filter(shop__in=objs).order_by("-pk")[:MOST_NAMED]
        return [str(shop) for shop in objs], {}, set(), [str(order) for order in orders]

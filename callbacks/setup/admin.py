"""Webhooks to the merchant's own systems: listed, made, tested, given a new secret, deleted. They are never changed.

A callback of an affiliate is set up in their Settings tab, not here.
"""

from copy import copy
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from callbacks.delivery import webhooks
from callbacks.models import CallbackSetting
from callbacks.models.setting import SYSTEM
from callbacks.setup import signing_secrets
from config.listing.columns import CREATED, column
from config.listing.pages import BaseAdmin
from config.security import security_log
from config.security.sign_in import password_again


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = CallbackSetting
        fields = ("url",)
        widgets: ClassVar = {"url": forms.URLInput(attrs={"placeholder": "https://shop.example/webhooks"})}
        help_texts: ClassVar = {
            "url": gettext_lazy(
                "Notifications are sent here as signed JSON by POST. The next page shows the signing secret."
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.event, self.instance.method, self.instance.body_format = SYSTEM, "POST", "json"
        if "url" in self.fields:  # not on the page that only shows it
            self.fields["url"].required = True  # the model says so too, in clean()


class WebhookAdmin(BaseAdmin):
    form = WebhookForm
    fields = ("url",)
    list_title = gettext_lazy("Webhooks")
    list_subtitle = gettext_lazy(
        "Notifies your own systems when a callback fails, is paused or recovers, and when sending is stuck."
    )
    list_icon = "link"
    empty_title = gettext_lazy("No webhooks yet")
    empty_text = gettext_lazy("Add the URL of one of your own systems. It gets the same notifications as your e-mail.")
    list_display = ("url", "state", "created")
    list_display_links = None
    ordering = ("pk",)
    actions = ("send_test", "rotate", "resume", "delete_selected")
    list_select_related = ("endpoint_health",)
    state = column(gettext_lazy("State"), "admin/callbacks/setup/webhook_state.html", "webhook")
    created = column(gettext_lazy("Created"), CREATED, ordering="created_at")

    def __init__(self, model: type[CallbackSetting], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.opts = copy(self.opts)  # these pages call a row by its own name
        self.opts.verbose_name, self.opts.verbose_name_plural = gettext_lazy("webhook"), gettext_lazy("webhooks")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        found = super().get_changelist_instance(request)
        found.opts = self.opts
        return found

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallbackSetting]:
        return super().get_queryset(request).filter(event=SYSTEM)

    def has_change_permission(self, request: HttpRequest, obj: CallbackSetting | None = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Without what is kept about how a webhook does, which nobody sees as a thing of its own."""
        found, _count, perms_needed, protected = super().get_deleted_objects(objs, request)
        webhooks_ = [each for each in found if not isinstance(each, list)]
        return webhooks_, {self.opts.verbose_name_plural: len(webhooks_)}, perms_needed, protected

    @method_decorator(password_again)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # That button would skip the page that shows the secret.
        return super().add_view(request, form_url, (extra_context or {}) | {"show_save_and_add_another": False})

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._made(request, obj)

    def _made(self, request: HttpRequest, webhook: CallbackSetting) -> HttpResponse:
        """Show the secret in this answer. A message would put it into a cookie."""
        security_log.note(request, "secret_shown", about=webhook)
        context = {"title": str(webhook), "opts": self.opts, "setting": webhook}
        context = self.admin_site.each_context(request) | context
        return TemplateResponse(request, "admin/callbacks/setup/webhook_made.html", context)

    @admin.action(description=gettext_lazy("Send test"), permissions=["change"])
    def send_test(self, request: HttpRequest, webhooks_: QuerySet[CallbackSetting]) -> None:
        with transaction.atomic():
            count = webhooks.record_test(webhooks_)
        if count:
            messages.success(request, _("Test sent. See the answer under Deliveries."))
        else:
            messages.error(request, _("Nothing was sent: the webhook is paused. Resume it first."))

    @admin.action(description=gettext_lazy("Rotate signing secret"), permissions=["change"])
    @method_decorator(password_again)
    def rotate(self, request: HttpRequest, webhooks_: QuerySet[CallbackSetting]) -> HttpResponse:
        if webhooks_.count() != 1:
            messages.error(request, _("Select only one webhook: its new signing secret is shown only once."))
            return redirect(request.get_full_path())
        with transaction.atomic():
            webhook = webhooks_.select_for_update(no_key=True, of=("self",)).get()
            signing_secrets.rotate(webhook)
            security_log.note(request, "secret_rotated", about=webhook, says="Rotated the signing secret.")
        return self._made(request, webhook)

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, webhooks_: QuerySet[CallbackSetting]) -> None:
        webhooks_.update(is_active=True, pause_reason=CallbackSetting.PauseReason.NONE)
        messages.success(request, _("Resumed. New events and pending deliveries are sent."))

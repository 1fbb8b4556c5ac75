"""The admin pages of callbacks: the log of deliveries, and the jobs that were started from it."""

from django.contrib import admin
from django.urls import URLPattern, path

from callbacks.jobs import views
from callbacks.jobs.admin import JobAdmin
from callbacks.log.admin import DeliveryAdmin
from callbacks.models import CallbackSetting, Delivery, Job
from callbacks.setup.admin import WebhookAdmin


class LogAdmin(DeliveryAdmin):
    """The log, with the page that resends all that its filters let through: a job."""

    def get_urls(self) -> list[URLPattern]:
        resend_all = self.admin_site.admin_view(views.resend)
        return [path("resend/", resend_all, name="callbacks_delivery_resend_all"), *super().get_urls()]


admin.site.register(Delivery, LogAdmin)
admin.site.register(Job, JobAdmin)
admin.site.register(CallbackSetting, WebhookAdmin)

"""The pages of one affiliate's callbacks, below their Settings tab."""

from django.contrib import admin
from django.urls import path, register_converter

from callbacks.jobs import views as jobs
from callbacks.models import EventType
from callbacks.setup import form_views, views


class EventConverter:
    """`created` and `updated` in a path."""

    regex = "created|updated"

    def to_python(self, value: str) -> EventType:
        return EventType(f"order.{value}")

    def to_url(self, value: str) -> str:
        return value.removeprefix("order.")


register_converter(EventConverter, "event")

app_name = "callbacks"
view, kept = admin.site.admin_view, views.going_back
form, check, test = kept(view(form_views.set_up)), view(form_views.check), kept(view(form_views.send_test))
switch = view(views.switch)
urlpatterns = [
    path("changes/", view(views.changes), name="changes"),
    # A callback that may be a new one.
    path("<event:event>/", form, name="set-up"),
    path("<event:event>/another/", form, {"is_another": True}, name="set-up-another"),
    path("<event:event>/check/", check, name="check"),
    path("<event:event>/test/", test, name="send-test"),
    # A saved one.
    path("<event:event>/<int:pk>/", form, name="set-up"),
    path("<event:event>/<int:pk>/check/", check, name="check"),
    path("<event:event>/<int:pk>/test/", test, name="send-test"),
    path("<event:event>/<int:pk>/pause/", switch, {"is_active": False}, name="pause"),
    path("<event:event>/<int:pk>/resume/", switch, {"is_active": True}, name="resume"),
    path("<event:event>/<int:pk>/leave-skipped/", view(jobs.leave_skipped), name="leave-skipped"),
    path("<event:event>/<int:pk>/secret/", view(views.rotate), name="rotate"),
    path("<event:event>/<int:pk>/remove/", view(views.remove), name="remove"),
    path("<event:event>/<int:pk>/backfill/", kept(view(jobs.backfill)), name="backfill"),
]

"""The pages of one affiliate's callbacks, below their Settings tab."""

from django.contrib import admin
from django.urls import path, register_converter

from callbacks import confirming, trials, views
from callbacks.models import EventType


class EventConverter:
    """`created` and `updated` in a path."""

    regex = "created|updated"

    def to_python(self, value: str) -> EventType:
        return EventType(f"order.{value}")

    def to_url(self, value: str) -> str:
        return value.removeprefix("order.")


register_converter(EventConverter, "event")

app_name = "callbacks"
pages = {
    "set-up": ("", views.set_up),
    "check": ("check/", views.check),
    "send-test": ("test/", trials.send_test),
    "pause": ("pause/", views.pause),
    "resume": ("resume/", views.resume),
    "rotate": ("secret/", views.rotate),
    "remove": ("remove/", views.remove),
}
urlpatterns = [
    path("changes/", admin.site.admin_view(views.changes), name="changes"),
    path("<event:event>/another/", admin.site.admin_view(views.set_up_another), name="set-up-another"),
    path("<event:event>/<int:pk>/backfill/", admin.site.admin_view(confirming.backfill), name="backfill"),
    *(
        path(f"<event:event>/{callback}{tail}", admin.site.admin_view(view), name=name)
        for name, (tail, view) in pages.items()
        for callback in ("", "<int:pk>/")
    ),
]

"""The pages of one affiliate's callbacks, below their Settings tab."""

from django.contrib import admin
from django.urls import path, register_converter

from callbacks import views
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
urlpatterns = [
    path("<event:event>/", admin.site.admin_view(views.set_up), name="set-up"),
    path("<event:event>/pause/", admin.site.admin_view(views.pause), name="pause"),
    path("<event:event>/resume/", admin.site.admin_view(views.resume), name="resume"),
    path("<event:event>/remove/", admin.site.admin_view(views.remove), name="remove"),
]

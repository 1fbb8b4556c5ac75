"""The pages of one affiliate's callbacks, below their Settings tab."""

from django.contrib import admin
from django.urls import path, register_converter

from callbacks.jobs import views as confirming
from callbacks.models import EventType
from callbacks.setup import test_views, views


class EventConverter:
    """`created` and `updated` in a path."""

    regex = "created|updated"

    def to_python(self, value: str) -> EventType:
        return EventType(f"order.{value}")

    def to_url(self, value: str) -> str:
        return value.removeprefix("order.")


register_converter(EventConverter, "event")

app_name = "callbacks"
view, kept = admin.site.admin_view, views.kept_to_go_back_to
pages = {
    "set-up": ("", kept(view(views.set_up))),
    "check": ("check/", view(views.check)),
    "send-test": ("test/", kept(view(test_views.send_test))),
    "pause": ("pause/", view(views.pause)),
    "resume": ("resume/", view(views.resume)),
    "rotate": ("secret/", view(views.rotate)),
    "remove": ("remove/", view(views.remove)),
}
urlpatterns = [
    path("changes/", view(views.changes), name="changes"),
    path("<event:event>/another/", kept(view(views.set_up_another)), name="set-up-another"),
    path("<event:event>/<int:pk>/backfill/", kept(view(confirming.backfill)), name="backfill"),
    *(
        path(f"<event:event>/{callback}{tail}", page, name=name)
        for name, (tail, page) in pages.items()
        for callback in ("", "<int:pk>/")
    ),
]

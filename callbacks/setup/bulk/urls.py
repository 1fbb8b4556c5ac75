"""The pages of many callbacks at once, among those of the admin."""

from django.contrib import admin
from django.urls import path

from callbacks.setup.bulk import views
from callbacks.setup.views import kept_to_go_back_to

app_name = "many"
same = "affiliates/affiliate/same-callback/"
pages = {
    "choose": (same, views.choose),
    "fill": (f"{same}<slug:choice>/", views.fill),
    "check": (f"{same}<slug:choice>/check/", views.check),
    "apply": (f"{same}<slug:choice>/apply/", views.apply),
    "done": (f"{same}<slug:choice>/done/", views.done),
    "replace-host": ("callbacks/hosts/", views.hosts),
}
urlpatterns = [
    path(route, kept_to_go_back_to(admin.site.admin_view(view)), name=name) for name, (route, view) in pages.items()
]

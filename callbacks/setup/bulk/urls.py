"""The pages of many callbacks at once, among those of the admin."""

from django.contrib import admin
from django.urls import path

from callbacks.setup.bulk import views
from callbacks.setup.views import going_back

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
urlpatterns = [path(route, going_back(admin.site.admin_view(view)), name=name) for name, (route, view) in pages.items()]

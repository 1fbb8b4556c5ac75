"""The pages of many callbacks at once, below the admin."""

from django.contrib import admin
from django.urls import path

from callbacks.many import views

app_name = "many"
pages = {
    "choose": ("same/", views.choose),
    "fill": ("same/<slug:choice>/", views.fill),
    "check": ("same/<slug:choice>/check/", views.check),
    "apply": ("same/<slug:choice>/apply/", views.apply),
    "replace-host": ("host/", views.replace_host),
}
urlpatterns = [path(route, admin.site.admin_view(view), name=name) for name, (route, view) in pages.items()]

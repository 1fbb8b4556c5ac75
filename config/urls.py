"""The URLs of the project. /echo/ exists in demo and debug mode only."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path

from affiliates.storefront import views as storefront
from config import echo, views
from config.api import api
from config.monitoring import scrape
from orders.intake.problems import nothing_here
from orders.intake.receive import receive

urlpatterns = [
    path("", views.start),
    path("admin/affiliates/affiliate/<int:affiliate_id>/settings/callbacks/", include("callbacks.urls")),
    path("admin/", include("callbacks.setup.bulk.urls")),
    path("admin/", include("callbacks.retention.urls")),
    path("admin/", admin.site.urls),
    path("portal/", include("affiliates.portal.urls")),
    re_path(r"^api/?\Z", nothing_here),
    path("api/", api.urls),
    re_path(r"^api/", nothing_here),
    path("intake/<str:kind>/<str:uuid>", receive, name="intake"),
    re_path(r"^intake(?:/|\Z)", nothing_here),
    path("t.js", storefront.script, name="storefront"),
    path("affiliate-postbacks.zip", storefront.plugin, name="storefront-plugin"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", scrape.show, name="metrics"),
    path("status", views.status, name="status"),
]
handler500 = "config.views.server_error"
if settings.DEMO or settings.DEBUG:
    urlpatterns += [
        path("echo/", echo.show, name="echo"),
        path("echo/<path:path>", echo.receive, name="echo-receive"),
    ]

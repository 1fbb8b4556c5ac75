"""The page that forgets an order, among those of the admin."""

from django.contrib import admin
from django.urls import path

from callbacks.retention import views

app_name = "retention"
urlpatterns = [path("orders/order/<int:pk>/forget/", admin.site.admin_view(views.forget), name="forget")]

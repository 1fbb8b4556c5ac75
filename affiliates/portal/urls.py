from django.urls import include, path

from affiliates.portal import views

app_name = "portal"
# The same pages as staff see them, who view the portal as an affiliate.
viewed_as = [
    path("", views.home, name="view_as"),
    path("verify/", views.verify, name="view_as_verify"),
    path("email-notifications/", views.email_notifications, name="view_as_email_notifications"),
    path("deliveries/<int:pk>/", views.delivery, name="view_as_delivery"),
]
urlpatterns = [
    path("", views.home, name="home"),
    path("login/", views.PortalLogin.as_view(), name="login"),
    path("logout/", views.log_out, name="logout"),
    path("language/", views.language, name="language"),
    path("verify/", views.verify, name="verify"),
    path("email-notifications/", views.email_notifications, name="email_notifications"),
    path("deliveries/<int:pk>/", views.delivery, name="delivery"),
    path("as/<int:viewed>/", include(viewed_as)),
]

from django.urls import path

from affiliates.portal import views

app_name = "portal"
urlpatterns = [
    path("", views.home, name="home"),
    path("login/", views.PortalLogin.as_view(), name="login"),
    path("logout/", views.log_out, name="logout"),
    path("language/", views.language, name="language"),
    path("verify/", views.verify, name="verify"),
    path("email-notifications/", views.email_notifications, name="email_notifications"),
    path("deliveries/<int:pk>/", views.delivery, name="delivery"),
]

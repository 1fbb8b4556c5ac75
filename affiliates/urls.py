from django.urls import path

from affiliates import portal

app_name = "portal"
urlpatterns = [
    path("", portal.home, name="home"),
    path("login/", portal.PortalLogin.as_view(), name="login"),
    path("logout/", portal.leave, name="logout"),
    path("deliveries/<int:pk>/", portal.delivery, name="delivery"),
]

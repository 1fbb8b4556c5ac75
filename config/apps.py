"""The project as an app (commands, checks, theme) and the admin site it puts in the place of Django's."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from config import checks, db_locks  # registers the system checks  # noqa: F401 - importing registers

        db_locks.begin()


class PostbacksAdminConfig(AdminConfig):
    default_site = "config.admin_site.PostbacksAdminSite"

    def ready(self) -> None:
        super().ready()
        from config import accounts, roles  # models are there only now

        accounts.register()
        post_migrate.connect(roles.keep_up_to_date, sender=self, dispatch_uid="roles")

"""The project as an app (its commands and checks), and apps of Django's with our choices in the place of theirs."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.db.models.signals import post_migrate


class ConfigConfig(AppConfig):
    name = "config"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from config import checks, db_locks  # noqa: F401 - importing `checks` and `sign_in` registers them
        from config.security import sign_in  # noqa: F401 - as above

        db_locks.prepare_connections()


class PostbacksAdminConfig(AdminConfig):
    default_site = "config.admin_site.PostbacksAdminSite"

    def ready(self) -> None:
        super().ready()
        from config.security import accounts, roles  # they need models, which are loaded only now

        accounts.register()
        post_migrate.connect(roles.sync_groups, sender=self, dispatch_uid="roles")


class OwnStaticFilesConfig(StaticFilesConfig):
    # Maps of sources, a second kind of API docs, and what Django's own admin pages use.
    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "*.map", "redoc*", "admin"]  # noqa: RUF012 - as Django's

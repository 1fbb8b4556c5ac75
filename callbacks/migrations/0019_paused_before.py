"""Callbacks that paused themselves before are known as told, so that nobody is told now."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def note_paused(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    setting_model = apps.get_model("callbacks", "CallbackSetting")
    changes = apps.get_model("callbacks", "SettingChange").objects.filter(action="gone")
    rows = apps.get_model("callbacks", "EndpointHealth").objects
    for setting in setting_model.objects.filter(is_active=False, pause_reason="gone"):
        change = changes.filter(setting=setting).order_by("-pk").first()
        at = change.created_at if change else setting.updated_at
        rows.get_or_create(setting=setting, defaults={"state": "paused", "since": at, "paused_at": at})


class Migration(migrations.Migration):
    dependencies = [("callbacks", "0018_endpoint_health")]

    operations = [migrations.RunPython(note_paused, migrations.RunPython.noop)]

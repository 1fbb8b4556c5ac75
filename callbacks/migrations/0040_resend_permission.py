"""Resending has a permission of its own. Who might "change" deliveries might resend them, and still may."""

from typing import Any

from django.db import migrations

OLD, NEW = "change_delivery", "resend_delivery"
NAMES = {OLD: "Can change delivery", NEW: "Can resend delivery"}


def _permissions(apps: Any, schema_editor: Any) -> Any:
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    return permissions.filter(content_type__app_label="callbacks", content_type__model="delivery")


def _rename(apps: Any, schema_editor: Any, old: str, new: str) -> None:
    """The row keeps its id, and so everybody keeps what they were given."""
    _permissions(apps, schema_editor).filter(codename=old).update(codename=new, name=NAMES[new])


def forwards(apps: Any, schema_editor: Any) -> None:
    _rename(apps, schema_editor, OLD, NEW)
    meaningless = _permissions(apps, schema_editor).filter(codename__in=["add_delivery", "delete_delivery"])
    meaningless.delete()


def backwards(apps: Any, schema_editor: Any) -> None:
    _rename(apps, schema_editor, NEW, OLD)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("callbacks", "0009_tests_of_callbacks"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="delivery",
            options={
                "default_permissions": ("view",),
                "ordering": ["-pk"],
                "permissions": [("resend_delivery", "Can resend delivery")],
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.RunPython(forwards, backwards),
    ]

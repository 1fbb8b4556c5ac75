"""The table of roles, and the groups that are made of it."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection

from config.security import roles

pytestmark = pytest.mark.django_db


def permissions_of(group):
    found = group.permissions.select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in found}


def migrate():
    call_command("migrate", verbosity=0)


# --- the table -------------------------------------------------------------------
@pytest.mark.parametrize("role", roles.ROLES, ids=lambda role: role.name)
def test_role_names_permissions_that_exist(role):
    assert permissions_of(Group.objects.get(name=role.name)) == role.permissions


def test_merchant_may_all_that_support_may_and_more():
    assert roles.SUPPORT.permissions < roles.MERCHANT.permissions


def test_support_sees_and_resends_and_no_more():
    assert {name.split(".")[1].split("_")[0] for name in roles.SUPPORT.permissions} == {"view", "resend"}


def test_no_role_may_touch_accounts():
    held = roles.SUPPORT.permissions | roles.MERCHANT.permissions
    assert not [name for name in held if name.startswith(("auth.", "admin.", "sessions.", "axes."))]
    assert roles.ADMINISTRATION not in held


# --- the groups ------------------------------------------------------------------
def test_migrate_makes_groups_that_are_missing():
    Group.objects.all().delete()
    migrate()
    assert set(Group.objects.values_list("name", flat=True)) == {"Merchant", "Support"}


def test_migrate_brings_groups_back_to_the_table_and_keeps_their_members():
    user = User.objects.create_user("sue")
    roles.set_role(user, roles.SUPPORT)
    support = Group.objects.get(name="Support")
    support.permissions.set(Permission.objects.filter(codename="delete_order"))
    migrate()
    assert permissions_of(support) == roles.SUPPORT.permissions
    assert roles.role_of(user) is roles.SUPPORT


def test_migrate_leaves_other_groups_alone():
    own = Group.objects.create(name="Night shift")
    own.permissions.add(Permission.objects.get(codename="view_order"))
    migrate()
    assert permissions_of(own) == {"orders.view_order"}


# --- resending had no permission of its own ------------------------------------------
def test_whoever_might_change_deliveries_may_resend_them():
    migration = import_module("callbacks.migrations.0010_resend_permission")
    permission = Permission.objects.get(codename="resend_delivery")
    Permission.objects.filter(pk=permission.pk).update(codename="change_delivery", name="Can change delivery")
    Permission.objects.create(codename="add_delivery", content_type=permission.content_type)
    user = User.objects.create_user("sam", is_staff=True)
    user.user_permissions.add(permission)
    editor = SimpleNamespace(connection=connection)
    migration.forwards(apps, editor)
    assert User.objects.get(pk=user.pk).has_perm("callbacks.resend_delivery")
    assert not Permission.objects.filter(codename="add_delivery").exists()
    migration.backwards(apps, editor)
    assert User.objects.get(pk=user.pk).has_perm("callbacks.change_delivery")

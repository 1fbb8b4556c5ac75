"""What the users of the admin may do: the table of roles, and the groups that hold their permissions.

After each `migrate` the groups are made equal to the table. Administrators are superusers and need no group. Each view
says itself which permission it needs; the pages on which a user gets a role are `accounts`.
"""

from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext_lazy as _

# Needed to manage accounts. No such permission exists in the database: superusers have it, nobody else can get it.
ADMINISTRATION = "config.administration"


@dataclass(frozen=True, slots=True)
class Role:
    """`name` is that of its group, `label` and `may` are for people, `permissions` are `app.action_model`."""

    name: str
    label: Any
    may: Any
    permissions: frozenset[str]


def _permissions(model: str, actions: str) -> frozenset[str]:
    app, name = model.split(".")
    return frozenset(f"{app}.{action}_{name}" for action in actions.split())


SUPPORT = Role(
    "Support",
    _("Support"),
    _("Can view affiliates, orders, shops, callbacks and deliveries, and resend. Cannot change settings."),
    _permissions("affiliates.affiliate", "view")
    | _permissions("affiliates.link", "view")
    | _permissions("orders.order", "view")
    | _permissions("orders.shop", "view")
    | _permissions("orders.message", "view")
    | _permissions("callbacks.callbacksetting", "view")
    | _permissions("callbacks.delivery", "view resend"),
)
MERCHANT = Role(
    "Merchant",
    _("Merchant"),
    _(
        "Can set up callbacks, resend, connect shops, change affiliates and orders, and create portal passwords and "
        "API tokens."
    ),
    SUPPORT.permissions
    | _permissions("affiliates.affiliate", "add change delete")
    | _permissions("affiliates.link", "add change delete")
    | _permissions("orders.order", "add change delete")
    | _permissions("orders.shop", "add change delete")
    | _permissions("orders.apitoken", "view add delete")
    | _permissions("callbacks.callbacksetting", "add change delete"),
)
ROLES = (MERCHANT, SUPPORT)


def role_of(user: User) -> Role | None:
    """The role whose group the user is in; of two, the one that comes first in `ROLES`."""
    held = {group.name for group in user.groups.all()}
    return next((role for role in ROLES if role.name in held), None)


def set_role(user: User, role: Role | None) -> None:
    """Move the user to the group of this role. Groups that are no role's stay as they are."""
    groups = user.groups.model.objects.filter(name__in=[known.name for known in ROLES])
    with transaction.atomic():
        user.groups.remove(*groups)
        if role is not None:
            user.groups.add(*(group for group in groups if group.name == role.name))


def sync_groups(
    sender: AppConfig, using: str, apps: Apps = installed, verbosity: int = 0, interactive: bool = False, **kwargs: Any
) -> None:
    """Runs after `migrate` and `flush`. Gives the groups exactly the permissions of the table; other groups stay."""
    try:
        groups, permissions = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:  # a state of the database without the tables of users
        return
    for label in sorted({name.split(".")[0] for role in ROLES for name in role.permissions}):
        # Django creates them too, but only when it comes to that app, which is after this one.
        create_permissions(installed.get_app_config(label), verbosity, interactive, using, apps)
    by_name = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in permissions.objects.using(using).select_related("content_type")
    }
    for role in ROLES:
        group, _ = groups.objects.using(using).get_or_create(name=role.name)
        # A database that was migrated back to an earlier state has fewer permissions.
        group.permissions.set(by_name[name] for name in sorted(role.permissions) if name in by_name)

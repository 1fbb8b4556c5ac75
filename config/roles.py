"""What people of the panel may do: the one table of roles, and the groups that carry them.

The groups are made and kept as the table says after each `migrate`. Administrators are superusers and need no group.
Which view asks for which permission is the view's own affair; who gives somebody a role is `config.accounts`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import User
from django.db import transaction

# Asked of whoever manages accounts. There is no such permission to give away, and superusers have every one.
ADMINISTRATION = "config.administration"


@dataclass(frozen=True, slots=True)
class Role:
    """`name` is the group's, `may` what it says in one line, `permissions` as `app.action_model`."""

    name: str
    may: str
    permissions: frozenset[str]


def _on(model: str, actions: str) -> frozenset[str]:
    app, name = model.split(".")
    return frozenset(f"{app}.{action}_{name}" for action in actions.split())


SUPPORT = Role(
    "Support",
    "Sees affiliates, orders, callbacks and deliveries, and resends. Changes no setting.",
    _on("affiliates.affiliate", "view")
    | _on("affiliates.link", "view")
    | _on("orders.order", "view")
    | _on("callbacks.callbacksetting", "view")
    | _on("callbacks.delivery", "view resend"),
)
MERCHANT = Role(
    "Merchant",
    "Sets up callbacks, resends, changes affiliates and orders, gives portal passwords and API tokens.",
    SUPPORT.permissions
    | _on("affiliates.affiliate", "add change delete")
    | _on("affiliates.link", "add change delete")
    | _on("orders.order", "add change delete")
    | _on("orders.apitoken", "view add delete")
    | _on("callbacks.callbacksetting", "add change delete"),
)
ROLES = (MERCHANT, SUPPORT)


def role_of(user: User) -> Role | None:
    """The role whose group the user is in; of two, the one that may do more."""
    held = {group.name for group in user.groups.all()}
    return next((role for role in ROLES if role.name in held), None)


def give(user: User, role: Role | None) -> None:
    """Put the user into the group of this role and out of those of the others; other groups stay."""
    groups = user.groups.model.objects.filter(name__in=[known.name for known in ROLES])
    with transaction.atomic():
        user.groups.remove(*groups)
        if role is not None:
            user.groups.add(*(group for group in groups if group.name == role.name))


def keep_up_to_date(
    sender: AppConfig, using: str, apps: Apps = installed, verbosity: int = 0, interactive: bool = False, **_: Any
) -> None:
    """After `migrate` and `flush`: the groups have exactly the permissions of the table. No other group is touched."""
    try:
        groups, permissions = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:  # the tables of people are not there yet, or no more
        return
    for label in sorted({name.split(".")[0] for role in ROLES for name in role.permissions}):
        # Django does the same once it comes to that app, which is after ours.
        create_permissions(installed.get_app_config(label), verbosity, interactive, using, apps)
    there = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in permissions.objects.using(using).select_related("content_type")
    }
    for role in ROLES:
        group, _made = groups.objects.using(using).get_or_create(name=role.name)
        group.permissions.set(_found(role.permissions, there))


def _found(names: Iterable[str], there: dict[str, Any]) -> list[Any]:
    """Those permissions that this state of the database knows: an old one, migrated back to, has fewer."""
    return [there[name] for name in sorted(names) if name in there]

"""What a new installation is filled with: a login and, unless --no-demo is given, demo data and a login for support."""

import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model

from affiliates.models import Affiliate
from config.security import roles
from orders.models import Order


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str


def is_first_start() -> bool:
    """Whether nobody can log in to the panel yet and there is no data."""
    return not (_has_staff() or Affiliate.objects.exists() or Order.objects.exists())


def add_demo_data(env: Mapping[str, str]) -> None:
    """Run `manage.py demo` with the environment of the stack's processes, which opens loopback to callbacks."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "demo"]
    subprocess.run(command, env=env, check=False, stdin=subprocess.DEVNULL, start_new_session=True)


def add_admin() -> Login | None:
    """An administrator with a random password that is stored nowhere, or None if somebody can log in already."""
    if _has_staff():
        return None
    users = get_user_model().objects
    names = ("admin", *(f"admin{number}" for number in range(2, 1000)))  # an affiliate may have the name
    username = next(name for name in names if not users.filter(username=name).exists())
    login = Login(username, secrets.token_urlsafe(12))
    users.create_superuser(login.username, "", login.password)
    return login


def add_support() -> Login | None:
    """A user who sees the demo as support does, or None if there is one of that name."""
    if get_user_model().objects.filter(username="support").exists():
        return None
    login = Login("support", secrets.token_urlsafe(12))
    user = get_user_model().objects.create_user(login.username, "", login.password, is_staff=True)
    roles.set_role(user, roles.SUPPORT)
    return login


def _has_staff() -> bool:
    return get_user_model().objects.filter(is_staff=True, is_active=True).exists()

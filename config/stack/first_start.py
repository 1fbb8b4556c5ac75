"""What somebody finds who starts it for the first time: a login, and unless unwanted something to look at."""

import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model

from affiliates.models import Affiliate
from config import roles
from orders.models import Order


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str


def is_new() -> bool:
    """Whether nobody can sign in as the merchant yet and there is nothing to see."""
    return not (_has_staff() or Affiliate.objects.exists() or Order.objects.exists())


def make_demo(env: Mapping[str, str]) -> None:
    """Fill the database with demo data, in a process with the stack's own settings, which says what went wrong."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "demo"]
    subprocess.run(command, env=env, check=False, stdin=subprocess.DEVNULL, start_new_session=True)


def make_login() -> Login | None:
    """A merchant's login with a random password that nothing keeps, or None if there is a staff user already."""
    if _has_staff():
        return None
    users = get_user_model().objects
    names = ("merchant", *(f"merchant{number}" for number in range(2, 1000)))  # an affiliate may be called so
    username = next(name for name in names if not users.filter(username=name).exists())
    login = Login(username, secrets.token_urlsafe(12))
    users.create_superuser(login.username, "", login.password)
    return login


def make_support() -> Login | None:
    """A login to see the demo with as support does, or None if somebody is called so."""
    if get_user_model().objects.filter(username="support").exists():
        return None
    login = Login("support", secrets.token_urlsafe(12))
    user = get_user_model().objects.create_user(login.username, "", login.password, is_staff=True)
    roles.give(user, roles.SUPPORT)
    return login


def _has_staff() -> bool:
    return get_user_model().objects.filter(is_staff=True, is_active=True).exists()

"""`manage.py create_admin [NAME]`: the first administrator, and any later one."""

import getpass
import secrets
import sys
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from config.checks import unapplied_migrations
from config.security import security_log


class Command(BaseCommand):
    help = (
        "Create an administrator, who may do everything. Without NAME it asks for name and password. With NAME it "
        "generates a password and prints it once, or reads one with --password-stdin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", nargs="?", default="", help="the user name to log in with")
        parser.add_argument("--email", default="", help="e-mail address, for notifications")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from the first line of standard input"
        )

    def handle(self, *args: Any, name: str, email: str, password_stdin: bool, **options: Any) -> None:
        if unapplied_migrations():
            raise CommandError("The database is not up to date. Run manage.py migrate first.")
        asks = not name
        if asks and (password_stdin or not sys.stdin.isatty()):
            raise CommandError("The name is missing. Run: manage.py create_admin NAME")
        user = User(username=User.normalize_username(name or input("Name: ").strip()), email=email)
        user.is_staff = user.is_superuser = True
        _check(user)
        if asks:
            password = getpass.getpass("Password: ")
            if getpass.getpass("Password again: ") != password:
                raise CommandError("The passwords do not match. No user was added.")
        else:
            password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(16)
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(f"{' '.join(error.messages)} No user was added.") from error
        user.set_password(password)
        try:
            with transaction.atomic():
                user.save()
        except IntegrityError:  # somebody was quicker
            _check(user)
            raise
        security_log.log.info("administrator_added", user=user.pk, by="command")
        self.stdout.write(f"{user.username} is now an administrator. Log in at /admin/.")
        if not (asks or password_stdin):
            self.stdout.write(f"Password: {password}\nIt is shown only once. Change it under Change password.")


def _check(user: User) -> None:
    """Raise `CommandError` for a name that somebody has, and for a name or an address that cannot be one."""
    if User.objects.filter(username=user.username).exists():
        raise CommandError(
            f"The user {user.username!r} already exists. Nothing was changed. To set a new password, run: "
            f"manage.py changepassword {user.username}"
        )
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise CommandError(f"{' '.join(error.messages)} No user was added.") from error

"""`manage.py remove_two_factor NAME`: for the only administrator, who lost phone and recovery codes."""

from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.models import Authenticator


class Command(BaseCommand):
    help = "Turn off two-factor log-in for a user. They then log in with the password alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the user name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        ids = list(Authenticator.objects.filter(user__username=name).values_list("user", flat=True))
        count, _ = Authenticator.objects.filter(user__in=ids).delete()
        if not count:
            raise CommandError(f"No user {name!r} has two-factor log-in.")
        structlog.get_logger("security").warning("two_factor_off", about=f"auth.user:{ids[0]}", by="command")
        self.stdout.write(f"{name} now logs in with the password alone.")

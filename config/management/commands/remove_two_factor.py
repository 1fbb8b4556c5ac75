"""`manage.py remove_two_factor NAME`: for the only administrator, who lost phone and recovery codes."""

from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.models import Authenticator


class Command(BaseCommand):
    help = "Turns two-factor log-in off for a user, who then logs in with the password alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the user's name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        ids = list(Authenticator.objects.filter(user__username=name).values_list("user", flat=True))
        count, _ = Authenticator.objects.filter(user__in=ids).delete()
        if not count:
            raise CommandError(f"There is no user called {name!r} who has two-factor log-in.")
        structlog.get_logger("security").warning("two_factor_off", about=f"auth.user:{ids[0]}", by="command")
        self.stdout.write(f"{name} logs in with the password alone now.")

"""`manage.py remove_two_factor NAME`: for the only administrator, who lost phone and recovery codes."""

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.models import Authenticator


class Command(BaseCommand):
    help = "Turns two-factor log-in off for a user, who then logs in with the password alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the user's name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        count, _ = Authenticator.objects.filter(user__username=name).delete()
        if not count:
            raise CommandError(f"There is no user called {name!r} who has two-factor log-in.")
        logging.getLogger("security").warning("event=two_factor_off about=%r by=command", name)
        self.stdout.write(f"{name} logs in with the password alone now.")

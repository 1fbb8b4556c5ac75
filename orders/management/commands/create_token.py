"""`manage.py create_token NAME`: make a token for the API and print it, once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.intake import tokens
from orders.models import ApiToken


class Command(BaseCommand):
    help = "Make a token for the API and print it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="who will use it, such as “shop”")
        parser.add_argument("--days", type=int, help="how long it is valid; without it, for ever")
        parser.add_argument("--replace", action="store_true", help="give an existing name a new token")

    def handle(self, *args: Any, name: str, replace: bool, days: int | None = None, **options: Any) -> None:
        if days is not None and not 1 <= days <= tokens.MOST_DAYS:
            raise CommandError(f"--days must be a number from 1 to {tokens.MOST_DAYS}.")
        if not replace and ApiToken.objects.filter(name=name).exists():
            raise CommandError(f"There is a token called “{name}” already; use --replace to make it anew.")
        self.stdout.write(tokens.create(name, days))

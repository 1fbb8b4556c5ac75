"""`manage.py create_token NAME`: make a token for the API and print it, once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.api import tokens
from orders.models import ApiToken


class Command(BaseCommand):
    help = "Create an API token and print it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="a name for it, such as shop")
        parser.add_argument("--days", type=int, help="days until it expires (default: never)")
        parser.add_argument(
            "--scope",
            action="append",
            dest="scopes",
            choices=ApiToken.Scope.values,
            help="what it may do; can be repeated; write includes read (default: orders:write, or what the replaced "
            "token may do)",
        )
        parser.add_argument("--replace", action="store_true", help="replace the existing token of this name")

    def handle(
        self,
        *args: Any,
        name: str,
        replace: bool,
        days: int | None = None,
        scopes: list[str] | None = None,
        **options: Any,
    ) -> None:
        if days is not None and not 1 <= days <= tokens.MOST_DAYS:
            raise CommandError(f"--days must be a number from 1 to {tokens.MOST_DAYS}.")
        if not replace and ApiToken.objects.filter(name=name).exists():
            raise CommandError(f"A token named “{name}” already exists. Use --replace to replace it.")
        self.stdout.write(tokens.create(name, days, scopes or ()))

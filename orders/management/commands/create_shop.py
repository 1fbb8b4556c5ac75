"""`manage.py create_shop KIND NAME`: connect a shop, and print where it sends its messages and how it signs them."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.models import Shop


class Command(BaseCommand):
    help = "Connect a shop. Print the URL for its messages, and the secret that they are signed with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=Shop.Kind.values, help="what the shop runs on")
        parser.add_argument("name", help="a name for it, such as “Shop in France”")
        parser.add_argument("--secret", default="", help="the secret, if the shop has made it (Shopify has)")

    def handle(self, *args: Any, kind: str, name: str, secret: str, **options: Any) -> None:
        try:
            shop = Shop.make(kind, name, secret)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"{settings.SITE_URL}{shop.path}")
        self.stdout.write(shop.secret or "No key yet: save Shopify's key in the panel, or messages are refused.")

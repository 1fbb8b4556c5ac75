"""`manage.py rotate_secret_key OLD`: what is stored under the key OLD is encrypted under the present SECRET_KEY."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.security import encryption


class Command(BaseCommand):
    help = (
        "Run this after you replaced SECRET_KEY. It encrypts all stored secrets with the new key instead of OLD, all "
        "or nothing. Everybody has to log in again, because SECRET_KEY also signs sessions."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("old", metavar="OLD", help="the previous SECRET_KEY; - reads it from standard input")

    def handle(self, *args: Any, old: str, **options: Any) -> None:
        if old == "-":
            old = sys.stdin.readline().rstrip("\r\n")
        try:
            count = encryption.reencrypt(old)
        except encryption.WrongKeyError:
            raise CommandError(
                "Nothing was changed. Some secrets were encrypted neither with OLD nor with the current SECRET_KEY. "
                "Find the key that was in use when they were stored."
            ) from None
        if count:
            self.stdout.write(f"{count} secret{'s'[: count != 1]} encrypted with the current SECRET_KEY.")
        else:
            self.stdout.write("Nothing to do. All secrets are already encrypted with the current SECRET_KEY.")

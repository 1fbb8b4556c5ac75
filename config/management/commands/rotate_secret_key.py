"""`manage.py rotate_secret_key OLD`: what is stored under the key OLD is encrypted under the present SECRET_KEY."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.security import encryption


class Command(BaseCommand):
    help = (
        "After SECRET_KEY was replaced: encrypts under it what was encrypted under the key OLD, all or nothing. "
        "Everybody has to log in again, because sessions are signed with SECRET_KEY too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("old", metavar="OLD", help="the SECRET_KEY from before; - reads it from standard input")

    def handle(self, *args: Any, old: str, **options: Any) -> None:
        if old == "-":
            old = sys.stdin.readline().rstrip("\r\n")
        try:
            count = encryption.reencrypt(old)
        except encryption.WrongKeyError:
            raise CommandError(
                "Nothing was changed: some of what is stored was encrypted neither under OLD nor under the present "
                "SECRET_KEY. Look for the key that was in use when it was stored."
            ) from None
        if count:
            self.stdout.write(f"{count} secret{'s'[: count != 1]} encrypted under the present SECRET_KEY.")
        else:
            self.stdout.write("Nothing to do: all that is stored is encrypted under the present SECRET_KEY already.")

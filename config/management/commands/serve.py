"""`manage.py serve`: the web process of a production."""

import ipaddress
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config.stack import web


class Command(BaseCommand):
    help = (
        "Serves the site for production. Worker and beat run beside it: celery -A config worker, celery -A config beat."
    )
    requires_system_checks = ()  # run below, with those for production

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; PORT is the port")
        parser.add_argument("--migrate", action="store_true", help="bring the database up to date first")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("check", deploy=True)
        if options["migrate"]:
            call_command("migrate", interactive=False)
        host = options["host"]
        if not (settings.BEHIND_PROXY or _is_loopback(host)):
            self.stderr.write(
                f"WARNING: {host} can be reached from other machines, and passwords and tokens come in plain HTTP. "
                "Put a proxy with TLS in front, listen on 127.0.0.1, and set BEHIND_PROXY=1."
            )
        try:
            family, _, _, _, address = socket.getaddrinfo(host, settings.PORT, type=socket.SOCK_STREAM)[0]
            listener = socket.create_server(address[:2], family=family, backlog=1024)
        except OSError as error:
            raise CommandError(f"{host}:{settings.PORT} cannot be used: {error.strerror}.") from error
        connections.close_all()  # this thread asks the database nothing from now on
        sys.stdout.flush()
        web.serve(listener)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""`manage.py web`: the web process of a production alone, beside workers and beat of their own."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config import static_files
from config.stack import prerequisites, production, web_processes
from config.stack.prerequisites import StackError


class Command(BaseCommand):
    help = (
        "Start the web process for production. Start worker and beat separately (celery -A config worker, "
        "celery -A config beat). To start everything on one machine, use manage.py serve."
    )
    requires_system_checks = ()  # run below, with those for production

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        production.prepare(migrates=options["migrate"])
        if warning := production.exposed(options["host"]):
            self.stderr.write(warning)
        try:
            listener = prerequisites.open_port(options["host"])
        except StackError as error:
            raise CommandError(str(error)) from error
        static_files.collect()
        connections.close_all()  # this thread asks the database nothing from now on
        sys.stdout.flush()
        web_processes.run(listener, settings.WEB_CONCURRENCY)


def add_arguments(parser: CommandParser) -> None:
    """Those that `serve` has too."""
    parser.add_argument(
        "--host", default=settings.WEB_HOST, help="the address to listen on (default: WEB_HOST); the port is PORT"
    )
    parser.add_argument("--migrate", action="store_true", help="run migrate first")

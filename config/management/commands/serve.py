"""`manage.py serve`: becomes the web process of a production."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from config.stack.supervisor import gunicorn


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
        workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
        command = gunicorn(f"{options['host']}:{settings.PORT}", workers=workers)
        sys.stdout.flush()
        os.chdir(settings.BASE_DIR)
        os.execv(command[0], command)  # noqa: S606 - no shell, and a command of our own

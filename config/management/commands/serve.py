"""`manage.py serve`: everything for production on one machine, until SIGTERM."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from config.management.commands import web
from config.stack import production
from config.stack.prerequisites import StackError
from config.stack.supervisor import Stack


class Command(BaseCommand):
    help = (
        "Start everything for production on this machine: web, worker, beat and, without REDIS_URL, the embedded "
        "Valkey. SIGTERM or Ctrl-C stops it. To start the web process only, use manage.py web."
    )
    requires_system_checks = ()  # run below, with those for production

    def add_arguments(self, parser: CommandParser) -> None:
        web.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        production.prepare(migrates=options["migrate"])
        if warning := production.exposed(options["host"]):
            self.stderr.write(warning)
        try:
            Stack(is_demo=False, is_production=True, host=options["host"], say=self._say).run(self._welcome)
        except StackError as error:
            raise CommandError(str(error)) from error

    def _welcome(self, stack: Stack) -> None:
        if not get_user_model().objects.filter(is_staff=True, is_active=True).exists():
            self._say("Nobody can log in yet. To add the first administrator, run: manage.py create_admin NAME")
        connections.close_all()  # this process only waits from now on
        self._say(f"ready {stack.address}")

    def _say(self, line: str) -> None:
        """At once, in a pipe too."""
        self.stdout.write(line)
        self.stdout.flush()

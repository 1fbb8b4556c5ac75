"""`manage.py dev`: the whole stack on this machine, until Ctrl-C."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from config.stack import first_start
from config.stack.prerequisites import StackError
from config.stack.supervisor import Stack


class Command(BaseCommand):
    help = "Start everything on this machine: database, broker, worker, beat and web. Ctrl-C stops it."
    requires_system_checks = ()  # the stack runs ours; Django's own take long

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-demo",
            action="store_true",
            help="start without demo data and echo receiver; callbacks may not call this machine",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            Stack(is_demo=not options["no_demo"], say=self._say).run(self._welcome)
        except StackError as error:
            self.stderr.write(str(error))
            sys.exit(1)

    def _welcome(self, stack: Stack) -> None:
        is_new_demo = stack.is_demo and first_start.is_first_start()
        if is_new_demo:
            self._say("Adding demo data ...")
            first_start.add_demo_data(stack.env)
        if login := first_start.add_admin():
            self.stdout.write(
                f"Log in at {stack.address}admin/ as {login.username} with the password {login.password}\n"
                "It is shown only once. Change it under Change password."
            )
        if is_new_demo and (support := first_start.add_support()):
            self.stdout.write(
                f"To see the panel as support does, log in as {support.username} with the password {support.password}"
            )
        if stack.is_demo:
            self.stdout.write(
                f"This is the demo. Anybody may send requests to its echo receiver at {stack.address}echo/. Callbacks "
                f"may call this machine: 127.0.0.1 at port {settings.PORT}, and no other port.\n"
                "To start without demo: make run ARGS=--no-demo"
            )
        connections.close_all()  # this process only waits from now on
        self._say(f"ready {stack.address}")

    def _say(self, line: str) -> None:
        """At once, in a pipe too."""
        self.stdout.write(line)
        self.stdout.flush()

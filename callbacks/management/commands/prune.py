"""`manage.py prune`: deletes what is older than it is kept, at once. Workers do so by themselves."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from callbacks.retention import prune


class Command(BaseCommand):
    help = (
        "Delete attempts, deliveries, sessions and log-in records that are past their retention "
        "(RETENTION_ATTEMPTS_DAYS, RETENTION_DELIVERIES_DAYS). Workers do this every minute."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count what would be deleted")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        for name, rows in (prune.count() if dry_run else prune.run()).items():
            self.stdout.write(f"{rows:>12,} {name}{' would be deleted' if dry_run else ' deleted'}")

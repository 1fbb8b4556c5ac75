"""`manage.py reconcile`: record what was missed because orders were written without a signal."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from callbacks.delivery import outbox, reconcile


class Command(BaseCommand):
    help = "Send what was missed: orders that QuerySet.update() or raw SQL wrote, which were not recorded."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=30, help="how old the orders may be (default: 30)")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be sent")

    def handle(self, *args: Any, days: int, dry_run: bool, **options: Any) -> None:
        since = timezone.now() - timedelta(days=days)
        with transaction.atomic():
            missed = list(reconcile.missed(since))
            for event in missed:
                self.stdout.write(f"{event.order.number} {event.event} for affiliate {event.affiliate_id}")
            due = 0 if dry_run else outbox.record_events(missed)
        self.stdout.write(f"{len(missed)} missed, {due} to be sent now.")

"""`manage.py reconcile`: record what was missed because orders were written without a signal."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from callbacks.delivery import outbox, reconcile
from callbacks.delivery.order_events import OrderEvent
from callbacks.models.retention import deliveries_kept_since, in_words, is_no_longer_kept
from config.listing.period import Period


class Command(BaseCommand):
    help = "Find and send what was missed because orders were written by QuerySet.update() or raw SQL."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=30, help="check orders of the last DAYS days (default: 30)")
        parser.add_argument(
            "--since", default="", metavar="YYYY-MM-DD", help="the first day of orders, instead of --days"
        )
        parser.add_argument("--until", default="", metavar="YYYY-MM-DD", help="the last day of orders (default: today)")
        parser.add_argument("--dry-run", action="store_true", help="only list what would be sent")

    def handle(self, *args: Any, days: int, since: str, until: str, dry_run: bool, **options: Any) -> None:
        period = Period.of(since, until)
        for name, text, bound in (("since", since, period.first), ("until", until, period.last)):
            if text and bound is None:
                raise CommandError(f"--{name} must be a day such as 2026-03-14, not {text}.")
        begin = period.first.begins_at if period.first else timezone.now() - timedelta(days=days)
        end = period.last.ends_at if period.last else None
        missed = due = 0

        def record(events: Sequence[OrderEvent]) -> None:
            nonlocal due
            due += 0 if dry_run else outbox.record_events(events)

        kept_since = deliveries_kept_since()
        if kept_since and is_no_longer_kept(begin, kept_since):
            self.stdout.write(f"{in_words(kept_since)} Older orders without deliveries are not sent.")
        for event in reconcile.missed(begin, end, record):
            missed += 1
            self.stdout.write(f"{event.order.number} {event.event} for affiliate {event.affiliate_id}")
        self.stdout.write(f"{missed} missed, {due} queued.")

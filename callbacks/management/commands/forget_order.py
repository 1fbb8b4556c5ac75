"""`manage.py forget_order NUMBER`: deletes everything about an order, but the sums that name nobody."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from callbacks.retention import erase


class Command(BaseCommand):
    help = (
        "Delete an order for good, with its deliveries, attempts, history and its own referral link. Nothing is sent "
        "to trackers, and pending deliveries are not sent. Also works for an order that is already deleted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", metavar="NUMBER", help="exactly as in the panel, in quotes: '#100001'")

    def handle(self, *args: Any, number: str, **options: Any) -> None:
        gone = erase.forget(number)
        if not gone:
            raise CommandError("No data is stored for an order with this number.")
        self.stdout.write(
            f"Deleted: orders {gone.orders}, deliveries {gone.deliveries}, attempts {gone.attempts}, "
            f"links {gone.links}, history entries {gone.notes}. Older backups and exports still contain the order."
        )

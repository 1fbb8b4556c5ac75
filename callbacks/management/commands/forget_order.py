"""`manage.py forget_order NUMBER`: deletes everything about an order, but the sums that name nobody."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from callbacks.retention import erase


class Command(BaseCommand):
    help = (
        "Forget an order: the order, its deliveries, attempts, history and its own referral link are deleted for good. "
        "No tracker is notified, and pending postbacks are not sent. Also works for the number of a deleted order."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", metavar="NUMBER", help="exactly as the panel shows it, in quotes: '#100001'")

    def handle(self, *args: Any, number: str, **options: Any) -> None:
        gone = erase.forget(number)
        if not gone:
            raise CommandError("Nothing is stored about an order with this number.")
        self.stdout.write(
            f"Forgotten: {gone.orders} order, {gone.deliveries} deliveries, {gone.attempts} attempts, "
            f"{gone.links} link, {gone.notes} notes. Earlier backups and exports still contain it."
        )

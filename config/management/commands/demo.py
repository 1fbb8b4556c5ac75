"""`manage.py demo`: fills an empty database with demo data, through the models."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.db import transaction

from affiliates.models import Affiliate, Link
from callbacks.models import CallbackSetting, EventType
from orders.models import Order

SHOP = "https://shop.example"
AFFILIATES = (
    ("Joe's Coffee Blog", "joe@coffeeblog.example", "joe", "0.15"),
    ("Marta Deals", "marta@martadeals.example", "marta", "0.10"),
    ("Trail Reviews", "hello@trailreviews.example", "trail", "0.08"),
)
LINKS = {
    "joe": (
        "/products/espresso-machine?ref=joe&sub_id=fb-1042&utm_campaign=summer",
        "/collections/beans?ref=joe&subid=newsletter-17&clickid=6f9d2c81ab#reviews",
    ),
    "marta": ("/?ref=marta&sub_id=deal-of-the-day", "/sale?ref=marta&clickid=wNk3Vq8T2r&utm_source=telegram"),
    "trail": ("/products/travel-mug?ref=trail&sub_id=mug-test-2024#specs",),
}
ORDERS = (  # code, which link, amount, status
    *(("joe", 0, "58.00", "new"), ("marta", 0, "129.90", "approved"), ("joe", 1, "24.50", "approved")),
    *(("trail", 0, "19.95", "new"), ("joe", 0, "349.00", "new"), ("marta", 1, "75.20", "rejected")),
    *(("joe", 1, "31.75", "new"), ("trail", 0, "39.90", "approved"), ("marta", 0, "210.00", "new")),
    *(("joe", 0, "12.00", "rejected"), ("marta", 1, "64.10", "new"), ("joe", 1, "88.40", "new")),
)
ECHO = (
    "http://127.0.0.1:{port}/echo/postback?"
    "order={{{{order.number}}}}&amount={{{{order.amount}}}}&subid={{{{link.sub_id}}}}"
)


class Command(BaseCommand):
    help = "Makes demo data in an empty database: affiliates, links, orders, and a callback to the echo receiver."

    def handle(self, *args: Any, **options: Any) -> None:
        if Affiliate.objects.exists() or Order.objects.exists():
            self.stderr.write("There are affiliates or orders already, so no demo data was made.")
            return
        with transaction.atomic():
            affiliates = {code: _affiliate(name, email, code, rate) for name, email, code, rate in AFFILIATES}
            self._add_callback_to_echo(affiliates["joe"])
            find = Link.objects.find_or_make
            links = {code: [find(affiliates[code], SHOP + tail) for tail in tails] for code, tails in LINKS.items()}
            for number, (code, link, amount, status) in enumerate(ORDERS, start=100001):
                _order(f"#{number}", links[code][link], Decimal(amount), status)

    def _add_callback_to_echo(self, affiliate: Affiliate) -> None:
        setting = CallbackSetting(affiliate=affiliate, event=EventType.CREATED, url=ECHO.format(port=settings.PORT))
        try:
            setting.full_clean()
        except ValidationError as error:
            self.stderr.write(f"The demo's callback was left out: {' '.join(error.messages)}")
        else:
            setting.save()


def _affiliate(name: str, email: str, code: str, rate: str) -> Affiliate:
    affiliate = Affiliate(name=name, email=email, code=code, commission_rate=Decimal(rate))
    affiliate.full_clean()
    affiliate.save()
    return affiliate


def _order(number: str, link: Link, amount: Decimal, status: str) -> None:
    order = Order(number=number, affiliate=link.affiliate, link=link, amount=amount, status=status)
    order.full_clean(exclude=["commission"])  # calculated from the affiliate's rate by save()
    order.save()

"""Makes affiliates, links, orders, callback settings and staff for tests, and brings deliveries to a state."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import factory
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from factory.django import DjangoModelFactory

from affiliates.models import Affiliate, Link
from callbacks.models import CallbackSetting, EventType
from orders.models import Order


class AffiliateFactory(DjangoModelFactory[Affiliate]):
    class Meta:
        model = Affiliate

    name = factory.Sequence(lambda n: f"Affiliate {n:06}")  # in the order they are made, as text too
    email = factory.Sequence(lambda n: f"partner{n}@tracker.example")
    code = factory.Sequence(lambda n: f"joe{n}")
    commission_rate = Decimal("0.15")


class LinkFactory(DjangoModelFactory[Link]):
    class Meta:
        model = Link

    affiliate = factory.SubFactory(AffiliateFactory)
    url = factory.LazyAttribute(lambda link: f"https://shop.example/?ref={link.affiliate.code}&sub_id=fb")


class OrderFactory(DjangoModelFactory[Order]):
    class Meta:
        model = Order

    number = factory.Sequence(lambda n: f"#{100001 + n}")
    affiliate = factory.SubFactory(AffiliateFactory)
    amount = Decimal("58.00")
    currency = "USD"


class CallbackSettingFactory(DjangoModelFactory[CallbackSetting]):
    class Meta:
        model = CallbackSetting

    affiliate = factory.SubFactory(AffiliateFactory)
    event = EventType.CREATED
    url = "https://tracker.example/postback?order={{order.number}}"


def callbacks_for(affiliate: Affiliate, url: str, **fields: Any) -> tuple[CallbackSetting, CallbackSetting]:
    """Both of an affiliate's callbacks, created and updated, to the same URL."""
    return (
        CallbackSettingFactory(affiliate=affiliate, event=EventType.CREATED, url=url, **fields),
        CallbackSettingFactory(affiliate=affiliate, event=EventType.UPDATED, url=url, **fields),
    )


def orders_told_at(urls: list[str], orders_each: int) -> None:
    """For each URL an affiliate with a callback there and so many new orders."""
    for url in urls:
        affiliate = AffiliateFactory()
        CallbackSettingFactory(affiliate=affiliate, url=url)
        Order.objects.bulk_create(
            Order(number=f"{affiliate.code}-{n}", affiliate=affiliate, amount=1, currency="USD")
            for n in range(orders_each)
        )


def in_state(status: str, **fields: Any) -> dict[str, Any]:
    """The columns of a delivery in that state, with all that the constraints of the database ask for."""
    now = timezone.now()
    lease = {"claim_token": uuid4(), "leased_until": now} if status == "sending" else {}
    skipped = {"skip_reason": "paused"} if status == "skipped" else {}
    return {"status": status, "next_attempt_at": now if status == "pending" else None} | lease | skipped | fields


def client_with(*permissions: str) -> Client:
    """Somebody of the staff with these permissions and no others, signed in."""
    user = User.objects.create_user(uuid4().hex, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client

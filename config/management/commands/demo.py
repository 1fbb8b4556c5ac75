"""`manage.py demo`: fills an empty database with demo data: a shop, its affiliates, and two weeks of their orders."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from affiliates.models import Affiliate, Link
from callbacks.models import CallbackSetting, EventType, SettingChange
from config.stack import demo_history
from orders.models import Order

CREATED, UPDATED = EventType
Action = SettingChange.Action
SHOP = "https://shop.example"
AFFILIATES = (
    ("Joe's Coffee Blog", "joe@coffeeblog.example", "joe", "0.15"),
    ("Marta Deals", "marta@martadeals.example", "marta", "0.10"),
    ("Trail Reviews", "hello@trailreviews.example", "trail", "0.08"),
    ("Nordic Kitchen", "team@nordickitchen.example", "nordic", "0.12"),
    ("Style Diary", "lena@stylediary.example", "style", "0.10"),
    ("Gadget Corner", "desk@gadgetcorner.example", "gadget", "0.06"),
)
LINKS = {
    "joe": (
        "/products/espresso-machine?ref=joe&sub_id=fb-1042&utm_campaign=summer",
        "/collections/beans?ref=joe&subid=newsletter-17&clickid=6f9d2c81ab#reviews",
        "/products/grinder?ref=joe&sub_id=yt-88&utm_campaign=grinders",
    ),
    "marta": ("/?ref=marta&sub_id=deal-of-the-day", "/sale?ref=marta&clickid=wNk3Vq8T2r&utm_source=telegram"),
    "trail": ("/products/travel-mug?ref=trail&sub_id=mug-test-2024#specs",),
    "nordic": ("/products/kettle?ref=nordic&sub_id=reel-5", "/collections/tea?ref=nordic&sub_id=story-12"),
    "style": ("/products/tote?ref=style&clickid=dLx0Zs4Qp7", "/sale?ref=style&clickid=Hq7Pw2Rk9z&utm_source=mail"),
    "gadget": ("/products/travel-kettle?ref=gadget&sub_id=review-31", "/products/scale?ref=gadget&sub_id=top-10"),
}


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback of the demo. Trackers are played by the echo receiver, each in its own way of writing a URL."""

    code: str
    event: EventType
    path: str
    host: str = "127.0.0.1"
    fields: dict[str, Any] = field(default_factory=dict)


KEITARO = (
    'keitaro/postback?subid={{link.sub_id}}&status={{order.status|map:"new=lead,approved=sale"}}'
    "&payout={{order.commission}}&tid={{order.number}}"
)
VOLUUM = "voluum/postback?cid={{link.query.clickid}}&payout={{order.commission}}&txid={{order.number}}"
REDTRACK = "redtrack/postback?clickid={{link.sub_id}}&sum={{order.commission}}"
CALLBACKS = (  # Marta Deals and Trail Reviews have none: they are there to set one up
    Callback("joe", CREATED, KEITARO),
    Callback("nordic", CREATED, "own-system/orders", fields={"method": "POST", "body_format": "json"}),
    Callback("nordic", UPDATED, "own-system/orders", fields={"method": "POST", "body_format": "json"}),
    Callback("style", CREATED, VOLUUM),
    Callback("style", UPDATED, VOLUUM, fields={"only_statuses": ["approved"]}),
    # By another name, because what is known of a host is said of all callbacks to it.
    Callback("gadget", CREATED, REDTRACK, "localhost"),
    Callback("gadget", UPDATED, REDTRACK, "localhost"),
)
FIRST_NUMBER = 100001
NOW = (("joe", "58.00"), ("style", "129.90"), ("joe", "24.50"))  # orders that are really saved, and sent


class Command(BaseCommand):
    help = "Fills an empty database with demo data: affiliates, callbacks to the echo receiver, two weeks of orders."

    def handle(self, *args: Any, **options: Any) -> None:
        if Affiliate.objects.exists() or Order.objects.exists():
            self.stderr.write("No demo data was added: the database already has affiliates or orders.")
            return
        now = timezone.now()
        began_at = now - timedelta(days=demo_history.DAYS + 1)
        with transaction.atomic():
            affiliates = {code: _affiliate(name, email, code, rate) for name, email, code, rate in AFFILIATES}
            Affiliate.objects.update(created_at=began_at)
            find = Link.objects.find_or_make
            links = {code: [find(affiliates[code], SHOP + tail) for tail in tails] for code, tails in LINKS.items()}
            Link.objects.update(created_at=began_at)
            past = demo_history.add_orders(links, FIRST_NUMBER, now)
            callbacks = self._add_callbacks(affiliates, began_at)
            _add_changes(callbacks, now)
        demo_history.record(past, callbacks, now)
        for number, (code, amount) in enumerate(NOW, FIRST_NUMBER + len(past)):
            _order(f"#{number}", links[code][0], Decimal(amount))

    def _add_callbacks(self, affiliates: dict[str, Affiliate], began_at: datetime) -> list[CallbackSetting]:
        added = []
        for each in CALLBACKS:
            url = f"http://{each.host}:{settings.PORT}/echo/{each.path}"
            callback = CallbackSetting(affiliate=affiliates[each.code], event=each.event, url=url, **each.fields)
            try:
                callback.full_clean()
            except ValidationError as error:
                self.stderr.write(f"No demo callbacks were added: {' '.join(error.messages)}")
                return []
            callback.save()
            added.append(callback)
            callback.created_at = began_at
        CallbackSetting.objects.update(created_at=began_at, updated_at=began_at)
        return added


def _add_changes(callbacks: Sequence[CallbackSetting], now: datetime) -> None:
    """The history of the callbacks: each was set up; one was changed, and fails since; one was paused for a while."""
    changes = []
    for callback in callbacks:
        before = callback.url
        changes.append(_change(callback, Action.CREATED, callback.created_at, "url", "", before))
        if callback.affiliate.code == demo_history.FAILING:
            changed_at = now - demo_history.FAILING_FOR
            callback.url += demo_history.FAILS
            callback.request_changed_at = changed_at
            CallbackSetting.objects.filter(pk=callback.pk).update(
                url=callback.url, request_changed_at=changed_at, updated_at=changed_at
            )
            changes.append(_change(callback, Action.CHANGED, changed_at, "url", before, callback.url))
        if callback.affiliate.code == demo_history.PAUSED:
            paused_at, resumed_at = now - demo_history.PAUSED_FROM, now - demo_history.PAUSED_UNTIL
            changes.append(_change(callback, Action.PAUSED, paused_at, "is_active", "", "paused"))
            changes.append(_change(callback, Action.RESUMED, resumed_at, "is_active", "paused", ""))
    changes.sort(key=lambda each: each[1])
    rows = SettingChange.objects.bulk_create([change for change, _ in changes])
    for change, at in changes:
        change.created_at = at
    SettingChange.objects.bulk_update(rows, ["created_at"])


def _change(
    callback: CallbackSetting, action: str, at: datetime, name: str, old: str, new: str
) -> tuple[SettingChange, datetime]:
    change = SettingChange(
        affiliate=callback.affiliate,
        setting=callback,
        event=callback.event,
        name=callback.name,
        user_name="Demo",
        action=action,
        changes=[{"field": name, "old": old, "new": new}],
    )
    return change, at


def _affiliate(name: str, email: str, code: str, rate: str) -> Affiliate:
    affiliate = Affiliate(name=name, email=email, code=code, commission_rate=Decimal(rate))
    affiliate.full_clean()
    affiliate.save()
    return affiliate


def _order(number: str, link: Link, amount: Decimal) -> None:
    order = Order(number=number, affiliate=link.affiliate, link=link, amount=amount)
    order.full_clean(exclude=["commission"])  # calculated from the affiliate's rate by save()
    order.save()

"""Random histories of orders: whatever fails in between, no tracker accepts an older truth after a newer one."""

import random
from collections import defaultdict
from datetime import timedelta

import pytest
from django.utils import timezone

from callbacks.delivery import db_thread, queue, resend, settle
from callbacks.models import CallbackSetting, Delivery
from orders.models import Order
from tests.callbacks.delivery.settlements import settlement
from tests.factories import AffiliateFactory, CallbackSettingFactory

pytestmark = pytest.mark.django_db
HOSTS = ("one.example", "two.example")
STEPS = 40


class History:
    """Two affiliates with callbacks at some hosts, three order numbers, and trackers that keep what they accepted."""

    def __init__(self, seed: int, *, pauses: bool, fails_for_good: bool) -> None:
        self.chance = random.Random(seed)
        self.pauses, self.fails_for_good = pauses, fails_for_good
        self.accepted: dict[tuple[int, str, str], list[Delivery]] = defaultdict(list)
        self.on_the_wire: list[queue.Claimed] = []
        self.log: list[str] = []
        self.affiliates = [AffiliateFactory() for _ in range(2)]
        for affiliate in self.affiliates:
            for event in ("order.created", "order.updated"):
                for host in self.chance.sample(HOSTS, self.chance.randint(0, 2)):
                    CallbackSettingFactory(affiliate=affiliate, event=event, name=host, url=f"https://{host}/")
                    self.log.append(f"{affiliate.pk} {event} {host}")

    def step(self) -> None:
        doors = [self.save, self.save, self.save, self.claim, self.claim, self.settle, self.settle, self.settle]
        doors += [self.delete] if self.pauses else [self.delete, self.resend_many]
        doors += [self.pause, self.pause] if self.pauses else []
        self.chance.choice(doors)()

    def save(self) -> None:
        number = str(self.chance.randint(1, 3))
        order = Order.objects.filter(number=number).first()
        if self._is_deleted_one_on_the_wire(number):
            return  # a new order does not wait for what was sent of a deleted one
        if order is None:
            order = Order(number=number, amount=self.chance.randint(1, 999))
            order.affiliate = self.chance.choice(self.affiliates)
        elif self.chance.random() < 0.4:
            order.affiliate = self.chance.choice([*self.affiliates, None])
        elif self.chance.random() < 0.7:
            order.status = self.chance.choice(["new", "approved", "rejected"])
        else:
            order.amount = self.chance.randint(1, 999)
        order.save()
        self.log.append(f"save {number} {order.affiliate_id} {order.status} {order.amount}")

    def _is_deleted_one_on_the_wire(self, number: str) -> bool:
        sent = Delivery.objects.filter(pk__in=[claimed.pk for claimed in self.on_the_wire])
        return any(delivery.order is None and delivery.order_number == number for delivery in sent)

    def delete(self) -> None:
        number = str(self.chance.randint(1, 3))
        Order.objects.filter(number=number).delete()
        self.log.append(f"delete {number}")

    def claim(self) -> None:
        found = db_thread.claim_due(self.chance.randint(1, 5), queue.EVERYTHING, queue.LEASE).claims
        self.on_the_wire += found
        self.log.append(f"claim {[claimed.pk for claimed in found]}")

    def settle(self, *, is_last: bool = False) -> None:
        if not self.on_the_wire:
            return
        claimed = self.on_the_wire.pop(self.chance.randrange(len(self.on_the_wire)))
        if is_last or self.chance.random() < 0.4:
            self.accept(claimed)
            settle.settle([settlement(claimed, "succeeded")])
        elif self.fails_for_good and self.chance.random() < 0.3:
            settle.settle([settlement(claimed, "failed", code=500)])
            self.log.append(f"failed {claimed.pk}")
        else:
            settle.settle([settlement(claimed, "pending", timezone.now() - timedelta(seconds=1), code=503)])
            self.log.append(f"again {claimed.pk}")

    def accept(self, claimed: queue.Claimed) -> None:
        delivery = Delivery.objects.get(pk=claimed.pk)
        assert delivery.setting is not None
        assert delivery.affiliate_id is not None
        self.accepted[delivery.affiliate_id, delivery.setting.host, delivery.order_number].append(delivery)
        self.log.append(f"accepted {describe(delivery)}")

    def resend_many(self) -> None:
        resend.resend(list(Delivery.objects.exclude(status="succeeded").values_list("pk", flat=True)))

    def pause(self) -> None:
        setting = self.chance.choice(list(CallbackSetting.objects.all()) or [None])
        if setting:
            setting.is_active = not setting.is_active
            setting.save()
            self.log.append(f"pause {setting.event} {setting.host} {setting.affiliate_id} {setting.is_active}")

    def finish(self) -> None:
        CallbackSetting.objects.update(is_active=True)
        while Delivery.objects.filter(status__in=["pending", "sending"]).exists():
            self.claim()
            while self.on_the_wire:
                self.settle(is_last=True)


def describe(d: Delivery) -> str:
    host = d.setting.host if d.setting else ""
    told = d.variables["order.status"], d.variables["order.amount"]
    return f"{d.pk} order {d.order_id} {d.event} {host} {d.affiliate_id} {d.order_number} {told}"


@pytest.mark.parametrize("seed", [8, 29, 46, 56, 58, 62, 68, 94, 116])
@pytest.mark.parametrize("kind", ["plain", "pauses", "failures"])
def test_nothing_older_is_accepted_after_something_newer(seed: int, kind: str) -> None:
    history = History(seed, pauses=kind == "pauses", fails_for_good=kind == "failures")
    for _ in range(STEPS):
        history.step()
    history.finish()
    log = "\n".join(history.log)
    for key, deliveries in history.accepted.items():
        for order_id in {delivery.order_id for delivery in deliveries}:
            ids = [delivery.pk for delivery in deliveries if delivery.order_id == order_id]
            assert ids == sorted(ids), f"{key} {ids}\n{log}"
    if kind != "plain":
        return
    for (affiliate, host, number), deliveries in history.accepted.items():
        if not CallbackSetting.objects.filter(affiliate=affiliate, host=host, event="order.updated").exists():
            continue
        order = Order.objects.filter(number=number, affiliate=affiliate).first()
        last = deliveries[-1].variables
        if order is None:
            assert last["order.status"] == "rejected", f"{affiliate, host, number}\n{log}"
        else:
            told = (last["order.status"], last["order.amount"])
            hears_of_new = CallbackSetting.objects.filter(
                affiliate=affiliate, host=host, event="order.created"
            ).exists()
            if hears_of_new or deliveries[-1].order_id == order.pk:
                assert told == (order.status, f"{order.amount:.2f}"), f"{affiliate, host, number}\n{log}"

"""Event ids, and the constraints of the table of deliveries."""

import time
import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from callbacks.models import Delivery, EventType
from callbacks.models.delivery import new_event_id
from tests.factories import CallbackSettingFactory, OrderFactory


def test_new_event_id_is_a_uuid_of_version_7_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = new_event_id()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_new_event_ids_differ_in_all_bits_that_are_neither_time_nor_version() -> None:
    made = [new_event_id().int for _ in range(1000)]
    assert len(set(made)) == 1000
    either = both = made[0]
    for number in made:
        either, both = either | number, both & number
    random = (either & ~both) & ((1 << 80) - 1)
    assert random.bit_count() == 74


def test_new_event_ids_are_in_the_order_of_their_making() -> None:
    first = new_event_id()
    time.sleep(0.002)  # the next millisecond
    assert first < new_event_id()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {"status": "pending", "next_attempt_at": None},
        {"status": "succeeded", "next_attempt_at": timezone.now()},
        {"status": "sending", "next_attempt_at": None},
        {"status": "failed", "next_attempt_at": None, "claim_token": uuid.uuid4()},
        {"status": "skipped", "next_attempt_at": None},
        {"status": "lost", "next_attempt_at": None},
    ],
)
def test_database_state_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    OrderFactory(affiliate=CallbackSettingFactory().affiliate)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.update(**fields)


@pytest.mark.django_db
def test_delivery_made_by_hand_belongs_to_its_settings_affiliate() -> None:
    setting = CallbackSettingFactory()
    delivery = Delivery.objects.create(setting=setting, event=EventType.CREATED, next_attempt_at=timezone.now())
    assert delivery.affiliate == setting.affiliate

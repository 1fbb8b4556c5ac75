"""Two weeks of made-up orders and of what was sent of them, so that a new installation shows what it does.

Nothing of this was sent. The rows are written as the engine would have written them, with its own schedule, sentences
and signatures, and are counted afterwards like any others. Whom it is about is in `config.management.commands.demo`.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pycurl
from django.db import transaction
from django.utils import timezone

from affiliates.models import Link
from callbacks.delivery import retry, settle
from callbacks.delivery.dispatcher import USER_AGENT
from callbacks.egress.outcome import Failure, Outcome, Request, explain_failure, explain_status
from callbacks.models import CallbackSetting, Delivery, EventType
from callbacks.models.delivery import new_event_id
from callbacks.postback.request import build
from callbacks.postback.variables import STATUS, Event, changes, snapshot
from callbacks.reports import hourly
from orders.models import Order, OrderState

DAYS = 14
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Before now. No attempt is younger than the first, so that all are counted; and no order than the second, so that what
# failed at first has succeeded since.
LATEST_ATTEMPT, LATEST_ORDER = 3 * MINUTE, 15 * MINUTE
PRICES = [Decimal(price) for price in ("58.00", "24.50", "129.90", "19.95", "349.00", "75.20", "31.75", "12.00")]
WEIGHTS = (9, 2, 2, 6, 6, 1)  # of the affiliates, in the order of their links
# What is answered; what is not here is the echo receiver's answer.
ANSWERS = {200: "ok\n", 404: '{"error": "unknown click id"}', 500: "Internal Server Error", 502: "Bad Gateway"}
# The stories, at times before now: by affiliate, and with the orders that are needed to tell them.
FAILING, FAILING_FOR = "gadget", 6 * HOUR  # since its URL was changed
FAILS = "&status=503"  # in the URL: the echo receiver answers as it is asked to
FAILING_ORDERS = [(FAILING, minutes * MINUTE) for minutes in (340, 80, 25)]
PAUSED, PAUSED_FROM, PAUSED_UNTIL = "nordic", 20 * HOUR, 14 * HOUR
PAUSED_ORDER = PAUSED, 17 * HOUR
REFUSED_ORDER = "joe", 4 * HOUR  # answered 200, and the answer means no
REFUSAL = '{"status": "error", "message": "Duplicate conversion"}'
UNKNOWN_ORDER = "style", 6 * DAY  # answered 404 ten times
REJECTED_ORDER = "style", 8 * DAY  # whose update its callback leaves out
NEVER_CHANGED = "joe"  # whose orders have only a callback for new ones
STORIES = [*FAILING_ORDERS, PAUSED_ORDER, REFUSED_ORDER, UNKNOWN_ORDER, REJECTED_ORDER]
Status, Skip = Delivery.Status, Delivery.SkipReason
# When it began, its delivery, its trigger, what was sent, what came of it.
Attempted = tuple[datetime, Delivery, str, Request, Outcome]


@dataclass(frozen=True, slots=True)
class Past:
    """An order of the history, when it came in, and when its status was changed; None if it never was."""

    order: Order
    came_at: datetime
    changed_at: datetime | None

    def events(self) -> Iterator[tuple[EventType, datetime, OrderState]]:
        now = self.order.current_state()
        yield EventType.CREATED, self.came_at, replace(now, status=Order.Status.NEW.value) if self.changed_at else now
        if self.changed_at:
            yield EventType.UPDATED, self.changed_at, now


def add_orders(links: Mapping[str, Sequence[Link]], first_number: int, now: datetime) -> list[Past]:
    """Orders through these links, by the affiliates' codes. There must be no callback yet: nothing is sent of them."""
    chance = random.Random(DAYS)  # noqa: S311 - the same history in every demo
    came = [(at, chance.choices(list(links), weights=WEIGHTS)[0]) for at in _times(now, chance)]
    past = []
    for number, (at, code) in enumerate(sorted([*came, *((now - ago, code) for code, ago in STORIES)]), first_number):
        link, story = chance.choice(links[code]), (code, now - at)
        order = Order(
            number=f"#{number}", affiliate=link.affiliate, link=link, amount=chance.choice(PRICES), source="link"
        )
        changed_at = at + chance.uniform(0.5, 3) * DAY
        is_changed = (
            chance.random() < 0.85
            and changed_at < now - LATEST_ORDER
            and code != NEVER_CHANGED
            and story != UNKNOWN_ORDER
        )
        if is_changed or story == REJECTED_ORDER:
            order.status = chance.choices([Order.Status.APPROVED, Order.Status.REJECTED], weights=[6, 1])[0]
            order.status = Order.Status.REJECTED if story == REJECTED_ORDER else order.status
        past.append(Past(order, at, changed_at if order.status != Order.Status.NEW else None))
    Order.objects.bulk_create([each.order for each in past])
    for each in past:
        each.order.created_at, each.order.updated_at = each.came_at, each.changed_at or each.came_at
    Order.objects.bulk_update([each.order for each in past], ["created_at", "updated_at"])
    return past


def _times(now: datetime, chance: random.Random) -> Iterator[datetime]:
    """More in the evening than in the morning, fewer at weekends, and a little more every day."""
    for ago in range(DAYS, -1, -1):
        midnight = timezone.localtime(now - ago * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(24 + DAYS - ago + chance.randint(-4, 4) - 8 * (midnight.weekday() >= 5)):
            if (at := midnight + chance.triangular(0, 24, 17) * HOUR) < now - LATEST_ORDER:
                yield at


def record(past: Sequence[Past], callbacks: Sequence[CallbackSetting], now: datetime) -> None:
    """Write the deliveries and attempts of these orders for the callbacks, and count them."""
    chance = random.Random(DAYS + 1)  # noqa: S311 - as above
    events = [(at, event, each, state) for each in past for event, at, state in each.events()]
    deliveries: list[tuple[Delivery, datetime]] = []
    attempts: list[Attempted] = []
    for at, event, each, state in sorted(events, key=lambda found: found[0]):
        for callback in callbacks:
            if (callback.affiliate_id, callback.event) == (state.affiliate_id, event):
                delivery = _delivery(event, at, each, state, callback, now)
                deliveries.append((delivery, at))
                if delivery.status == Status.PENDING:
                    attempts += _attempts(delivery, at, now, chance)
    attempts.sort(key=lambda found: found[0])
    with transaction.atomic():  # after all that takes time, because on SQLite the worker waits meanwhile
        Delivery.objects.bulk_create([delivery for delivery, _ in deliveries])
        for delivery, at in deliveries:
            delivery.created_at = at
        Delivery.objects.bulk_update([delivery for delivery, _ in deliveries], ["created_at"])
        settle.write_attempts(
            settle.attempt_rows((made.pk, trigger, at, sent, outcome) for at, made, trigger, sent, outcome in attempts)
        )
    while hourly.count():
        pass


def _delivery(
    event: EventType, at: datetime, each: Past, state: OrderState, callback: CallbackSetting, now: datetime
) -> Delivery:
    affiliate, link, event_id = each.order.affiliate, each.order.link, new_event_id()
    assert affiliate is not None
    assert link is not None
    variables = snapshot(Event(event.value, str(event_id), state, each.came_at, affiliate.code, link.url, at))
    if event == EventType.UPDATED:  # only its status has changed
        variables |= changes(variables, variables | {STATUS: Order.Status.NEW.value})
    delivery = Delivery(
        event_id=event_id,
        setting=callback,
        affiliate=affiliate,
        order=each.order,
        event=event,
        next_attempt_at=at,
        variables=variables,
    )
    is_paused = affiliate.code == PAUSED and now - PAUSED_FROM < at < now - PAUSED_UNTIL
    if is_paused or (callback.only_statuses and state.status not in callback.only_statuses):
        delivery.status, delivery.next_attempt_at = Status.SKIPPED, None
        delivery.skip_reason = Skip.PAUSED if is_paused else Skip.FILTERED
    return delivery


def _attempts(delivery: Delivery, at: datetime, now: datetime, chance: random.Random) -> Iterator[Attempted]:
    """The attempts until now, by the schedule; the delivery gets its state after the last of them."""
    fate, began_at = _fate(delivery, at, now, chance), at + timedelta(milliseconds=40)
    while delivery.status == Status.PENDING and began_at < now - LATEST_ATTEMPT:
        request = _request(delivery, at, began_at, now)
        outcome = _outcome(fate[min(delivery.attempt_count, len(fate) - 1)], request.url, chance)
        yield began_at, delivery, delivery.next_trigger, request, outcome
        ended_at = began_at + timedelta(milliseconds=outcome.total_ms or 0)
        decision = retry.decide(
            outcome, retry_step=delivery.retry_step, was_gone=False, now=ended_at, jitter=chance.random()
        )
        delivery.status, delivery.next_attempt_at, delivery.retry_step, _ = decision
        delivery.attempt_count += 1
        delivery.last_attempt_at = ended_at
        delivery.last_status_code, delivery.last_error_kind = outcome.status_code, outcome.error_kind
        delivery.is_soft_failure = settle.is_soft_failure(outcome)
        delivery.next_trigger = Delivery.Trigger.RETRY
        began_at = delivery.next_attempt_at or now


def _fate(delivery: Delivery, at: datetime, now: datetime, chance: random.Random) -> tuple[int, ...]:
    """The status codes of its attempts, the last of them for all that follow. 0 is no answer, -1 a refusal with 200."""
    assert delivery.setting is not None
    assert delivery.setting.affiliate is not None
    story = delivery.setting.affiliate.code, now - at
    if story[0] == FAILING and story[1] < FAILING_FOR:
        return (503,)
    if story in (REFUSED_ORDER, UNKNOWN_ORDER):
        return (-1,) if story == REFUSED_ORDER else (404,)
    return chance.choices([(200,), (502, 200), (0, 200), (500, 500, 200)], weights=[94, 3, 2, 1])[0]


def _request(delivery: Delivery, at: datetime, began_at: datetime, now: datetime) -> Request:
    callback = delivery.setting
    assert callback is not None
    return build(
        key=0,
        event_id=str(delivery.event_id),
        happened_at=at,
        method=callback.method,
        template=callback.url if began_at > now - FAILING_FOR else callback.url.removesuffix(FAILS),
        body_format=callback.body_format,
        secret=callback.secret,
        variables=delivery.variables,
        timestamp=int(began_at.timestamp()),
        user_agent=USER_AGENT,
    )


def _outcome(code: int, url: str, chance: random.Random) -> Outcome:
    if not code:
        failure = Failure(pycurl.E_OPERATION_TIMEDOUT, "", url, seconds=10)
        return Outcome(
            0, None, *explain_failure(failure), remote_address="127.0.0.1", connect_ms=0.3, total_ms=10_001.2
        )
    status = 200 if code < 0 else code
    answer = REFUSAL if code < 0 else ANSWERS.get(code, f"status {code}, as requested\n")
    content_type = "application/json" if answer.startswith("{") else "text/plain"
    first_byte_ms = round(chance.lognormvariate(3.4, 0.5), 3)
    return Outcome(
        0,
        status,
        *explain_status(status, None),
        response_headers=(("Content-Length", str(len(answer))), ("Content-Type", content_type)),
        response_excerpt=answer,
        remote_address="127.0.0.1",
        dns_ms=0.05,
        connect_ms=0.3,
        first_byte_ms=first_byte_ms,
        total_ms=first_byte_ms + 0.6,
    )

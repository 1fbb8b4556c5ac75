"""The variables of a postback: one table of names, meanings and examples, and the snapshot of an event.

The form, the preview, the documentation, the checks and the rendering all read this table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from affiliates import referral
from callbacks.egress.wording import Sentence
from orders import money

if TYPE_CHECKING:
    from orders.models import OrderState

LINK_QUERY = "link.query."
EVENT_AT, EVENT_AT_UNIX = "event.at", "event.at.unix"
AMOUNT, COMMISSION, CURRENCY, STATUS = "order.amount", "order.commission", "order.currency", "order.status"
CHANGE = ".change"
REJECTED = "rejected"
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of an order, with all data of a snapshot. `happened_at` is the event's, `created_at` when it was stored.

    `link_url` is "" if the order came through no link.
    """

    type: str
    event_id: str
    order: "OrderState"
    created_at: datetime
    affiliate_code: str
    link_url: str = ""
    happened_at: datetime = EPOCH


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. `read` gives its value at the time of the event; "" if there is none."""

    name: str
    meaning: Sentence
    example: str
    if_none: str
    read: Callable[[Event, referral.Referral], str]


ALWAYS = "always there"
EMPTY = "empty"

VARIABLES: tuple[Variable, ...] = (
    Variable(
        "order.number",
        Sentence("The order's number as the shop shows it"),
        "#100001",
        ALWAYS,
        lambda e, _: e.order.number,
    ),
    Variable(
        AMOUNT,
        Sentence("The order total, with the currency's decimal places"),
        "58.00",
        ALWAYS,
        lambda e, _: money.plain(e.order.amount, e.order.currency),
    ),
    Variable(
        COMMISSION,
        Sentence("The commission for this order"),
        "8.75",
        ALWAYS,
        lambda e, _: money.plain(e.order.commission, e.order.currency),
    ),
    Variable(CURRENCY, Sentence("The currency code (ISO 4217)"), "USD", ALWAYS, lambda e, _: e.order.currency),
    Variable(
        STATUS,
        Sentence("The order's status: new, approved or rejected"),
        "approved",
        ALWAYS,
        lambda e, _: e.order.status,
    ),
    Variable(
        AMOUNT + CHANGE,
        Sentence(
            "How much the amount changed since the tracker was last told, such as -10.00; at first the whole amount"
        ),
        "58.00",
        ALWAYS,
        lambda e, _: money.plain(_counted(e.order.amount, e.order.status), e.order.currency),
    ),
    Variable(
        COMMISSION + CHANGE,
        Sentence("How much the commission changed since the tracker was last told; at first the whole commission"),
        "8.75",
        ALWAYS,
        lambda e, _: money.plain(_counted(e.order.commission, e.order.status), e.order.currency),
    ),
    Variable(
        "order.subtotal",
        Sentence("The amount without shipping and tax"),
        "50.00",
        EMPTY,
        lambda e, _: "" if e.order.subtotal is None else money.plain(e.order.subtotal, e.order.currency),
    ),
    Variable(
        "order.refunded",
        Sentence("How much was refunded, 0.00 if nothing"),
        "0.00",
        ALWAYS,
        lambda e, _: money.plain(e.order.refunded, e.order.currency),
    ),
    Variable(
        "order.coupon",
        Sentence("The coupon codes that the customer used, with commas between them"),
        "SUMMER10",
        EMPTY,
        lambda e, _: e.order.coupon,
    ),
    Variable(
        "order.items",
        Sentence("How many items were ordered"),
        "2",
        EMPTY,
        lambda e, _: "" if e.order.items is None else str(e.order.items),
    ),
    Variable(
        "order.source",
        Sentence("How the order came to the affiliate: link, coupon, api, csv or manual"),
        "link",
        EMPTY,
        lambda e, _: e.order.source,
    ),
    Variable(
        "customer.is_new",
        Sentence("Whether the customer is new: true or false"),
        "true",
        EMPTY,
        lambda e, _: "" if e.order.customer_is_new is None else str(e.order.customer_is_new).lower(),
    ),
    Variable(
        "order.created_at",
        Sentence("When the order was created, RFC 3339 in UTC"),
        "2026-03-14T09:26:53Z",
        ALWAYS,
        lambda e, _: rfc3339(e.order.ordered_at or e.created_at),
    ),
    Variable(
        "event", Sentence("The event: order.created or order.updated"), "order.created", ALWAYS, lambda e, _: e.type
    ),
    Variable(
        "event.id",
        Sentence("The delivery's UUID, the same on every attempt, so that the receiver can ignore duplicates"),
        "0b9f8a52-6f0e-4a3c-9d55-2f1f4b6f1c11",
        ALWAYS,
        lambda e, _: e.event_id,
    ),
    Variable(
        EVENT_AT,
        Sentence("When the event happened, RFC 3339 in UTC, the same on every attempt"),
        "2026-03-14T09:26:53Z",
        ALWAYS,
        lambda e, _: event_times(e.happened_at)[EVENT_AT],
    ),
    Variable(
        EVENT_AT_UNIX,
        Sentence("When the event happened, in seconds since 1970, the same on every attempt"),
        "1773480413",
        ALWAYS,
        lambda e, _: event_times(e.happened_at)[EVENT_AT_UNIX],
    ),
    Variable("affiliate.code", Sentence("The affiliate's referral code"), "joe", ALWAYS, lambda e, _: e.affiliate_code),
    Variable(
        "link.query.NAME",
        Sentence("Query parameter NAME of the referral link (the first, if it is repeated)"),
        "summer",
        EMPTY,
        lambda _, __: "",  # a family of names: `snapshot` adds a member for each parameter of the link
    ),
    Variable(
        "link.sub_id", Sentence("The referral link's sub_id, or its subid"), "fb", EMPTY, lambda _, link: link.sub_id
    ),
    Variable(
        "link.path", Sentence("The referral link's path, decoded"), "/products/42", EMPTY, lambda _, link: link.path
    ),
    Variable(
        "link.hash",
        Sentence("The referral link's fragment, decoded, without #"),
        "top",
        EMPTY,
        lambda _, link: link.hash,
    ),
)
NAMES: frozenset[str] = frozenset(variable.name for variable in VARIABLES if variable.name != "link.query.NAME")


def rfc3339(moment: datetime) -> str:
    """`2026-03-14T09:26:53Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def event_times(happened_at: datetime) -> dict[str, str]:
    """The variables that say when an event happened."""
    return {EVENT_AT: rfc3339(happened_at), EVENT_AT_UNIX: str(int(happened_at.timestamp()))}


def changes(now: Mapping[str, str], told: Mapping[str, str] | None) -> dict[str, str]:
    """The variables that say how the amounts of `now` differ from those that were `told` last.

    A rejected order counts as nothing, so all changes of an order add up to what it is worth. If nothing was told, or
    in another currency, the change is the whole.
    """
    currency = now.get(CURRENCY, "")
    before = told if told and told.get(CURRENCY) == currency else {}
    return {
        name + CHANGE: money.plain(_counted_of(now, name) - _counted_of(before, name), currency)
        for name in (AMOUNT, COMMISSION)
    }


def _counted_of(variables: Mapping[str, str], name: str) -> Decimal:
    return _counted(Decimal(variables.get(name) or 0), variables.get(STATUS, ""))


def _counted(amount: Decimal, status: str) -> Decimal:
    return Decimal(0) if status == REJECTED else amount


def is_known(name: str) -> bool:
    """Whether `name` may stand between double braces. Any parameter name may follow `link.query.`."""
    return name in NAMES or (name.startswith(LINK_QUERY) and len(name) > len(LINK_QUERY))


def snapshot(event: Event) -> dict[str, str]:
    """All variables of `event` by name, as text. They are frozen with the delivery.

    A parameter of the link is only there if the link has it.
    """
    link = referral.parse(event.link_url)
    values = {v.name: v.read(event, link) for v in VARIABLES if v.name in NAMES}
    return values | {LINK_QUERY + name: value for name, value in link.query.items() if name}

"""What the translators of all kinds of shops have in common.

Each is a module with `headers(given, body)`; `keep(topic, body)`, which picks what may be stored of a body, so that it
holds no personal data; and `translate(message)`, which makes an order of what was kept. So a message can be applied
again as it was the first time.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from orders import money
from orders.intake.json_body import key, pick
from orders.models import Message

KEY_MAX_LENGTH: Final = 128
TOPIC_MAX_LENGTH: Final = 64
CART_KEY: Final = "_aff_landing"  # under which our script leaves the landing URL in the shop's cart
MOST_ITEMS: Final = 2**31 - 1
_YEARS: Final = range(1980, 2200)  # that every database and every zone can hold


@dataclass(frozen=True, slots=True)
class Headers:
    """What the headers say of a message. `key` is the same in each repetition of it; "" if the shop has no such key."""

    topic: str
    key: str = ""
    triggered_at: datetime | None = None
    api_version: str = ""
    domain: str = ""
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """No order is made of a message, for this reason: a sentence for the merchant."""

    reason: str
    outcome: Message.Outcome = Message.Outcome.IGNORED


def refused(reason: str) -> Ignored:
    return Ignored(reason, Message.Outcome.REFUSED)


def without_id() -> Ignored:
    return refused(_("The message names no order."))


def without_currency() -> Ignored:
    return refused(_("The message names no currency."))


def unknown_topic(topic: str) -> Ignored:
    return Ignored(_("Nothing is done for the topic “%(topic)s”.") % {"topic": topic})


def ignored_status(theirs: str) -> Ignored:
    return Ignored(_("Orders with the status “%(status)s” are ignored.") % {"status": theirs})


def one_line(text: str | None, most: int) -> str:
    """A header as a column can hold it."""
    return "".join(character if character.isprintable() else "?" for character in (text or "").strip()[:most])


def key_of(text: str) -> str:
    """A key of any length as the column holds it."""
    return text if len(text) <= KEY_MAX_LENGTH and text.isprintable() else hashlib.sha256(text.encode()).hexdigest()


def moment(text: Any) -> datetime | None:
    """The time in a text of RFC 3339, with 0 to 9 digits behind the second; without a zone it is UTC. Else None."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        found = parse_datetime(text.strip())
        if found is None or found.year not in _YEARS:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except ValueError:  # the 30th of February
        return None


def rounded(text: str | None, currency: str) -> Decimal | None:
    """An amount that was kept, rounded half-even to the currency's digits."""
    if not text:
        return None
    return money.rounded(Decimal(text), currency) if money.is_currency(currency) else Decimal(text)


def count(lines: Any) -> int | None:
    """How many items the lines of an order are; None if there are no lines, or more than anybody sells."""
    if not isinstance(lines, list):
        return None
    quantities = pick(lines, [{"quantity": key}]) or []
    found = sum(int(each.get("quantity", 0)) for each in quantities)
    return found if found <= MOST_ITEMS else None

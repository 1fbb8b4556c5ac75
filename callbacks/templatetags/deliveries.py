"""How deliveries and attempts are shown, and what became of an order: sentences, shares of time, words.

How a callback is shown is the library `callbacks`.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.conf import settings
from django.template.context import Context
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from affiliates.models import Affiliate
from callbacks.delivery import outbox, retry
from callbacks.editor import corrections
from callbacks.egress import excerpt, outcome
from callbacks.log import explain
from callbacks.models import Attempt, CallbackSetting, Delivery
from callbacks.postback.variables import LINK_QUERY, NAMES, VARIABLES
from config.language import translated
from config.theme.templatetags.theme import chip
from orders.models import Order

register = template.Library()

MAX_LISTED = 50  # deliveries of one order
# What a kind of failure is called where there is room for two words; the attempt itself has the whole sentence.
ERROR_WORDS = {
    "status": gettext_lazy("Not 2xx"),
    "redirect": gettext_lazy("Redirect"),
    "blocked_address": gettext_lazy("Blocked address"),
    "blocked_port": gettext_lazy("Blocked port"),
    "dns": gettext_lazy("Host not found"),
    "connect": gettext_lazy("No connection"),
    "timeout": gettext_lazy("Timeout"),
    "tls": gettext_lazy("TLS failed"),
    "closed": gettext_lazy("Connection closed"),
    "protocol": gettext_lazy("Invalid HTTP"),
    "proxy": gettext_lazy("Proxy"),
    "too_large": gettext_lazy("Headers too long"),
    "bad_url": gettext_lazy("Bad URL"),
    "bad_request": gettext_lazy("Bad request"),
    "secret": gettext_lazy("Secret unreadable"),
}
SET_BY_CURL = frozenset({"content-length", "host", "connection"})  # headers


# --- what became of an order ---------------------------------------------------
@register.inclusion_tag("admin/callbacks/log/explanations.html", takes_context=True)
def explanations(context: Context, order: Order) -> dict[str, Any]:
    may_set_up = context["perms"]["callbacks"]["add_callbacksetting"]
    return {"explanations": explain.explain(order), "order": order, "may_set_up": may_set_up}


@register.inclusion_tag("admin/callbacks/log/deliveries_of_order.html")
def deliveries_of(order: Order) -> dict[str, Any]:
    """Every delivery of an order, tests included; none if `explanations` names each of them already."""
    found = list(order.deliveries.select_related("affiliate", "setting").order_by("-pk")[:MAX_LISTED])
    explained = {(d.affiliate_id, d.event, d.setting_id) for d in found if d.origin != Delivery.Origin.TEST}
    return {"deliveries": found if len(found) > len(explained) else [], "order": order}


@register.simple_tag
def hear_of_deletion(order: Order) -> list[Affiliate]:
    """The affiliates whose trackers are sent the order's rejection when it is deleted."""
    return list(Affiliate.objects.filter(pk__in=outbox.hear_of_deletion(order)))


@register.inclusion_tag("theme/chip.html")
def short_explanation(order: Any) -> dict[str, Any]:
    """The chip of an order without deliveries, which says when its affiliate's callbacks were set up."""
    state, words = explain.in_short(order, order.first_set_up_at, order.first_created_at, order.kept_since)
    return chip(state, words)


# --- a delivery ----------------------------------------------------------------
register.filter("waits_for", explain.waits_for)


@register.filter
def pruned_attempts(delivery: Delivery, attempts: Sequence[Attempt]) -> int:
    """How many of its attempts are no longer kept."""
    return max(0, delivery.attempt_count - len(attempts))


@register.simple_tag
def attempts_kept_days() -> int:
    return int(settings.RETENTION_ATTEMPTS_DAYS)


@register.filter
def is_overdue(delivery: Delivery) -> bool:
    """Whether it only waits for a worker to take it."""
    return delivery.next_attempt_at is not None and delivery.next_attempt_at <= timezone.now()


@register.simple_tag
def attempt_of(delivery: Delivery, number: int = 0) -> str:
    """`Attempt 3 of 10`: the next one of a delivery, or that with this number; without the whole once it has ended.

    A resend starts the schedule anew, so there may be more than the ten of an undisturbed one.
    """
    is_open = delivery.status in {Delivery.Status.PENDING, Delivery.Status.SENDING}
    if not is_open or delivery.origin == Delivery.Origin.TEST:
        return _("Attempt %(number)d") % {"number": number or delivery.attempt_count}
    following = delivery.attempt_count + 1
    most = following + len(retry.WAITS) - min(delivery.retry_step, len(retry.WAITS))
    return _("Attempt %(number)d of %(most)d") % {"number": number or following, "most": most}


@register.filter
def snapshot(delivery: Delivery) -> list[tuple[str, str]]:
    """The frozen values in the order of the table of variables, the link's parameters where that names them."""
    values = dict(delivery.variables)
    if delivery.is_of_webhook:  # it has no order, so most variables do not apply
        return [(name, str(value)) for name, value in values.items()]
    rows = []
    for variable in VARIABLES:
        if variable.name in NAMES:
            rows.append((variable.name, str(values.pop(variable.name, ""))))
        else:
            rows += sorted((name, str(value)) for name, value in values.items() if name.startswith(LINK_QUERY))
    return rows


@register.filter
def has_link(values: dict[str, str]) -> bool:
    """Whether the customer came through a link, which has a path if nothing else."""
    return any(value for name, value in values.items() if name.startswith("link."))


# --- an attempt ----------------------------------------------------------------
@register.filter
def what_happened(attempt: Attempt) -> str:
    """The sentence that was stored in English; in another language one made of what else is stored."""
    if get_language() == settings.LANGUAGE_CODE:
        return str(attempt.detail)
    location = next((value for name, value in attempt.response_headers if name.lower() == "location"), "")
    said = outcome.sentence_of(attempt.error_kind, attempt.status_code, url=attempt.url, location=location)
    return translated(said)


@register.filter
def error_words(kind: str) -> str:
    return str(ERROR_WORDS.get(kind, _("Failed")))


@register.filter
def duration(value: timedelta) -> str:
    """`8 s`, `5 min 3 s`, `2 h 10 min`, `3 d 4 h`: the two largest units."""
    seconds = max(0, round(value.total_seconds()))
    parts: list[tuple[int, str]] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count or (parts and len(parts) < 2):
            parts.append((count, unit))
    shown = [f"{count} {unit}" for count, unit in parts[:2] if count]
    return " ".join(shown) or "less than a second"


@register.filter
def waited_since(attempt: Attempt, earlier: datetime) -> timedelta:
    """The time from an earlier moment to the beginning of this attempt."""
    return attempt.created_at - earlier


register.filter("indented", excerpt.indented)


@register.filter
def curl_command(attempt: Attempt) -> str:
    """The `curl` command that sends the request of this attempt, quoted for a POSIX shell; "" if none was sent."""
    if not attempt.url:
        return ""
    parts = [["curl", "--include", "--globoff"]]
    if attempt.method != "GET":
        parts.append(["--request", attempt.method])
    headers = [(name, value) for name, value in attempt.request_headers if name.lower() not in SET_BY_CURL]
    parts += [["--header", f"{name}: {value}"] for name, value in headers]
    if attempt.request_body:
        parts.append(["--data-raw", attempt.request_body])
    parts.append([attempt.url])
    return " \\\n  ".join(shlex.join(part) for part in parts)


@register.filter
def moved_template(attempt: Attempt, setting: CallbackSetting | None) -> str:
    """The template of the callback at the address that the tracker pointed to; "" if there is none."""
    locations = [value for name, value in attempt.response_headers if name.lower() == "location"]
    if setting is None or attempt.error_kind != "redirect" or not locations:
        return ""
    return corrections.redirected(setting.url, attempt.url, locations[0])


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the time: `start` and `share` in percent of the whole."""

    name: str
    css_class: str
    ms: float
    start: float
    share: float


@register.filter
def phases(attempt: Attempt) -> list[Phase]:
    """The phases that an attempt went through, one after the other; none if nothing was measured."""
    measured = [
        (_("DNS"), "dns", attempt.dns_ms),
        (_("connect"), "connect", attempt.connect_ms),
        ("TLS", "tls", attempt.tls_ms),
        (_("answer"), "answer", attempt.first_byte_ms),
    ]
    spent = [(name, css_class, ms) for name, css_class, ms in measured if ms and ms >= 0.05]
    known = sum(ms for _, _, ms in spent)
    rest = (attempt.total_ms or 0) - known
    if rest > 0.05:
        spent.append((_("rest") if attempt.first_byte_ms else _("waiting"), "rest", rest))
    whole = sum(ms for _, _, ms in spent)
    found, start = [], 0.0
    for name, css_class, ms in spent:
        share = 100 * ms / whole
        found.append(Phase(name, css_class, ms, round(start, 2), round(share, 2)))
        start += share
    return found

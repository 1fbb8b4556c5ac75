"""How callbacks, templates and attempts are shown: their parts and sentences, never HTML."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import template
from django.contrib.auth.models import PermissionsMixin
from django.template.context import Context
from django.utils import timezone

from affiliates import referral
from affiliates.models import Affiliate
from callbacks.editor import corrections, soft_failures
from callbacks.log import curl, explain
from callbacks.models import Attempt, CallbackSetting, Delivery, SettingChange, history, names
from callbacks.postback import signing, syntax
from callbacks.postback.variables import LINK_QUERY, NAMES, VARIABLES
from callbacks.reports import callback_health
from callbacks.setup import signing_secrets

register = template.Library()

# What a kind of failure is called where there is room for two words; the attempt itself has the whole sentence.
ERROR_WORDS = {
    "status": "Refused",
    "redirect": "Redirect",
    "blocked_address": "Blocked address",
    "blocked_port": "Blocked port",
    "dns": "Name not found",
    "connect": "No connection",
    "timeout": "Too slow",
    "tls": "No secure connection",
    "closed": "Broke off",
    "protocol": "Not HTTP",
    "proxy": "Proxy",
    "too_large": "Headers too long",
    "bad_url": "Bad URL",
    "bad_request": "Bad request",
}
LATEST = 3  # changes on the Settings tab
ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@register.filter
def pieces(source: str) -> tuple[syntax.Piece, ...]:
    """A template's texts and variables in order; a variable has a `name`. What cannot be read is text."""
    return syntax.scan(source)[0]


@register.filter
def doubt(attempt: Attempt | None) -> str:
    """What speaks against a success, in a sentence; "" if nothing does, or it was none."""
    return soft_failures.find(attempt.response_excerpt) if attempt and attempt.is_success else ""


@register.inclusion_tag("admin/callbacks/setup/section.html", takes_context=True)
def s2s_section(context: Context, affiliate: Affiliate) -> dict[str, Any]:
    """The two rows of the S2S Callback section, with what the viewer may do about them."""
    user = context["request"].user
    assert isinstance(user, PermissionsMixin)
    may = {action: user.has_perm(f"callbacks.{action}_callbacksetting") for action in ("add", "change", "delete")}
    callbacks = callback_health.callbacks_of(affiliate)
    shown = {callback.setting.pk for callback in callbacks if callback.setting}
    return {
        "callbacks": callbacks,
        "affiliate": affiliate,
        "may": may,
        "shown_secrets": signing_secrets.take(context["request"].session, shown),
        "csrf_token": context.get("csrf_token"),
    }


@register.filter
def masked(secret: str) -> str:
    return signing.masked(secret)


@register.filter
def in_overlap(setting: CallbackSetting) -> bool:
    """Whether the secret before the present one is still valid."""
    return bool(setting.previous_secret_at(timezone.now()))


# --- what was changed ----------------------------------------------------------
@register.inclusion_tag("admin/callbacks/setup/latest_changes.html")
def latest_changes(affiliate: Affiliate) -> dict[str, Any]:
    """The last things that were done to an affiliate's callbacks."""
    found = affiliate.setting_changes.order_by("-pk")
    changes = list(found[: LATEST + 1])
    has_more = len(changes) > LATEST
    count = found.count() if has_more else len(changes)
    return {"changes": changes[:LATEST], "has_more": has_more, "count": count, "affiliate": affiliate}


@register.filter
def changed_values(change: SettingChange) -> list[dict[str, str]]:
    """The fields that were changed, by their labels; none where the sentence says it all."""
    if change.action not in {"created", "changed", "rotated", "removed"}:
        return []
    words = history.WITHOUT if change.action == "changed" else {}
    return [
        {
            "label": history.LABELS.get(field, field),
            "old": old or words.get(field, ""),
            "new": new or words.get(field, ""),
        }
        for field, old, new in ((c["field"], c["old"], c["new"]) for c in change.changes)
    ]


@register.filter
def own_name(name: str) -> str:
    """The name of a callback if a person gave it, or told it from another; "" for the only one."""
    return "" if name == names.DEFAULT else name


# --- deliveries ----------------------------------------------------------------
@register.filter
def is_overdue(delivery: Delivery) -> bool:
    """Whether it only waits for a worker to take it."""
    return delivery.next_attempt_at is not None and delivery.next_attempt_at <= timezone.now()


@register.filter
def waits_for(delivery: Delivery) -> str:
    """The sentence about what a pending delivery waits for."""
    return explain.waits_for(delivery)


@register.filter
def error_words(kind: str) -> str:
    return ERROR_WORDS.get(kind, "Failed")


@register.filter
def ordinal(number: int) -> str:
    if number < len(ORDINALS):
        return ORDINALS[number]
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


@register.filter
def sub_id(link_url: str) -> str:
    """The affiliate's own click id in a referral link."""
    return referral.parse(link_url).sub_id


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
def curl_command(attempt: Attempt) -> str:
    return curl.command(attempt)


# --- the bar of one attempt's time --------------------------------------------
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
        ("name", "dns", attempt.dns_ms),
        ("connect", "connect", attempt.connect_ms),
        ("TLS", "tls", attempt.tls_ms),
        ("answer", "answer", attempt.first_byte_ms),
    ]
    spent = [(name, css_class, ms) for name, css_class, ms in measured if ms and ms >= 0.05]
    known = sum(ms for _, _, ms in spent)
    rest = (attempt.total_ms or 0) - known
    if rest > 0.05:
        spent.append(("rest" if attempt.first_byte_ms else "waiting", "rest", rest))
    whole = sum(ms for _, _, ms in spent)
    found, start = [], 0.0
    for name, css_class, ms in spent:
        share = 100 * ms / whole
        found.append(Phase(name, css_class, ms, round(start, 2), round(share, 2)))
        start += share
    return found


@register.filter
def snapshot(delivery: Delivery) -> list[tuple[str, str]]:
    """The frozen values in the order of the table of variables, the link's parameters where that names them."""
    values = dict(delivery.variables)
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


@register.filter
def moved_template(attempt: Attempt, setting: CallbackSetting | None) -> str:
    """The template of the callback at the address that the tracker pointed to; "" if there is none to be told."""
    locations = [value for name, value in attempt.response_headers if name.lower() == "location"]
    if setting is None or attempt.error_kind != "redirect" or not locations:
        return ""
    return corrections.redirected(setting.url, attempt.url, locations[0])


@register.filter
def waited_since(attempt: Attempt, earlier: Any) -> timedelta:
    """The time from an earlier moment to the beginning of this attempt."""
    waited: timedelta = attempt.created_at - earlier
    return waited

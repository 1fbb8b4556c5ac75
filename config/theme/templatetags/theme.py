"""Tags and filters for the parts that many pages share: icons, chips of state, times, amounts, list cells."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import template
from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from config.language import translated

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

register = template.Library()

# State -> tone, icon and word. Every page calls a state by its word here.
CHIPS: dict[str, tuple[str, str, "StrOrPromise"]] = {
    # deliveries
    "pending": ("busy", "clock", _("Pending")),
    "sending": ("busy", "deliveries", _("Sending")),
    "succeeded": ("ok", "check", _("Succeeded")),
    "failed": ("bad", "cross", _("Failed")),
    "skipped": ("idle", "skip", _("Skipped")),
    "retrying": ("warn", "resend", _("Retrying")),
    # an order in the reconciliation of a month, besides
    "missing": ("bad", "alert", _("Missing")),
    "no callback": ("idle", "ring", _("No callback")),
    # why an order has no delivery
    "not_recorded": ("bad", "alert", _("Not recorded")),
    "not_due": ("idle", "ring", _("Nothing to send")),
    "not_kept": ("idle", "history", _("No longer kept")),
    # callbacks and an affiliate's deliveries
    "working": ("ok", "check", _("Working")),
    "failing": ("bad", "alert", _("Failing")),
    "gone": ("bad", "pause", _("Paused automatically")),
    "soft_failure": ("warn", "info", _("Looks like a refusal")),
    "held": ("bad", "pause", _("On hold")),
    "recovered": ("ok", "check", _("Recovered")),
    "silent": ("idle", "ring", _("Nothing sent yet")),
    "pruned": ("idle", "ring", _("Nothing sent lately")),
    "changed": ("idle", "ring", _("Changed, nothing sent since")),
    "paused": ("warn", "pause", _("Paused")),
    "not_set": ("idle", "ring", _("Not set")),
    # resends and backfills
    "job_waiting": ("busy", "clock", _("Waiting")),
    "job_running": ("busy", "resend", _("Running")),
    "job_stopped": ("warn", "pause", _("Stopped")),
    "job_finished": ("ok", "check", _("Finished")),
    "job_failed": ("bad", "alert", _("Failed")),
    # orders
    "order_new": ("busy", "dot", _("New")),
    "order_approved": ("ok", "check", _("Approved")),
    "order_rejected": ("bad", "cross", _("Rejected")),
    "decided": ("ok", "check", _("Decided")),
    # affiliates
    "affiliate_pending": ("warn", "clock", _("Pending")),
    "affiliate_approved": ("ok", "check", _("Approved")),
    "affiliate_blocked": ("bad", "skip", _("Blocked")),
    # users
    "on": ("ok", "check", _("On")),
    "off": ("idle", "ring", _("Off")),
    # shops
    "shop_connected": ("ok", "check", _("Connected")),
    "shop_waiting": ("busy", "clock", _("Waiting for a message")),
    "shop_inactive": ("idle", "ring", _("Not active")),
    "shop_no_key": ("warn", "alert", _("Key missing")),
    "shop_refused": ("bad", "alert", _("Wrong signature")),
    # messages of shops
    "message_received": ("busy", "clock", _("Received, not yet applied")),
    "message_created": ("ok", "plus", _("Order created")),
    "message_updated": ("ok", "check", _("Order updated")),
    "message_unchanged": ("idle", "ring", _("Nothing changed")),
    "message_older": ("idle", "history", _("Older than the order")),
    "message_ignored": ("idle", "skip", _("Ignored")),
    "message_waiting": ("busy", "clock", _("Waits for its order")),
    "message_refused": ("bad", "alert", _("Refused")),
    "message_test": ("idle", "check", _("Test")),
    # API tokens
    "expired": ("warn", "clock", _("Expired")),
}


register.filter("translated", translated)


@register.inclusion_tag("theme/icon.html")
def icon(name: str) -> dict[str, Any]:
    return {"name": name}


@register.inclusion_tag("theme/chip.html")
def chip(state: str, text: str = "") -> dict[str, Any]:
    tone, icon_name, word = CHIPS[state]
    return {"tone": tone, "icon_name": icon_name, "word": text or word, "state": state}


@register.filter
def state_word(state: str) -> str:
    """The word of its chip."""
    return str(CHIPS[state][2])


@register.simple_tag
def zone() -> str:
    """The name of the installation's zone, in which days and months begin."""
    return timezone.get_default_timezone_name()


@register.simple_tag
def when(moment: datetime | None, form: str = "short", empty: str = "") -> SafeString:
    """A time in the installation's zone, which a script shows in the viewer's.

    `form`: `relative` (3 minutes ago), `short`, `clock` (seconds) or `full`.
    """
    machine = moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else ""
    context = {"machine": machine, "moment": moment, "form": form, "empty": empty}
    # Without the end of the file's last line, so that a full stop can follow.
    return mark_safe(render_to_string("theme/when.html", context).rstrip())  # noqa: S308 - rendered by Django


@register.filter
def percent(rate: Decimal) -> str:
    """`12.5 %` for 0.125."""
    return _percents(Decimal(rate) * 100)


@register.filter
def share(percents: float) -> str:
    """`12 %`, `99.9 %`, `100 %`: a part of the whole, with one decimal at most."""
    return _percents(Decimal(str(rounded_share(percents))))


def rounded_share(percents: float) -> float:
    """Rounded to one decimal, but never up to 100 and never down to 0."""
    return percents if percents in {0, 100} else min(max(round(percents, 1), 0.1), 99.9)


def _percents(number: Decimal) -> str:
    return f"{localize(number.normalize())}\N{NO-BREAK SPACE}%"


@register.filter
def milliseconds(value: float | None) -> str:
    """`142 ms`, `0.4 ms`, `3.2 s`."""
    if value is None:
        return ""
    if value >= 1000:
        return f"{localize(round(value / 1000, 1))} s"
    return f"{value:.0f} ms" if value >= 9.95 else f"{localize(round(value, 1))} ms"


@register.filter
def breakable(name: str) -> SafeString:
    """A name of a variable, or a whole one, that may end a line after a sign in it: `link.query.` `utm_source`."""
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in re.split("(?<=[._|:,])", name)))


@register.filter
def initials(name: str) -> str:
    """`RM` for Reyes Media: the first letters of the first two words."""
    words = [word for word in name.split() if word[0].isalnum()] or ["?"]
    return "".join(word[0] for word in words[:2]).upper()


# --- lists -------------------------------------------------------------------
@register.filter
def labelled(cells: Iterable[str], headers: Sequence[dict[str, Any]]) -> list[str]:
    """The cells of a row, each with the name of its column, which narrow windows show beside the value.

    A list without links to pages of its rows has none that heads a row: then it is the first one with a label.
    """
    row = [(cell, _label(header)) for cell, header in zip(cells, headers, strict=False)]
    heading = next((cell for cell, label in row if label), "")
    if not any(cell.startswith("<th") for cell, _ in row):
        row = [(f"<th{cell[3:-5]}</th>" if cell is heading else cell, label) for cell, label in row]
    return [SafeString(cell.replace("<td", format_html('<td data-label="{}"', label), 1)) for cell, label in row]


def _label(header: dict[str, Any]) -> str:
    return "" if "action-checkbox-column" in str(header.get("class_attrib")) else capfirst(str(header["text"]))


@register.filter
def list_title(opts: Any) -> str:
    """The title of the admin's list of a model, for the list itself and for links to it."""
    model_admin = admin.site.get_model_admin(opts.model) if admin.site.is_registered(opts.model) else None
    return getattr(model_admin, "list_title", "") or capfirst(opts.verbose_name_plural)


@register.filter
def page_start(page: int, changelist: Any) -> int:
    return int((page - 1) * changelist.list_per_page + 1)


@register.filter
def page_end(page: int, changelist: Any) -> int:
    return int(min(page * changelist.list_per_page, changelist.result_count))


@register.simple_tag
def page_link(changelist: Any, page: int) -> str:
    return changelist.get_query_string({PAGE_VAR: page})  # type: ignore[no-any-return]  # untyped here

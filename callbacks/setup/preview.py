"""Shows what a callback would send for one of its affiliate's orders, or for example values, before it is saved.

`callbacks.postback.request` builds the request, as it does for the dispatcher; nothing is sent or kept.
"""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from affiliates import referral
from affiliates.models import Affiliate
from callbacks.delivery.told import Callback, Told
from callbacks.editor import meanings
from callbacks.egress.outcome import Request
from callbacks.models import CallbackSetting, Delivery
from callbacks.postback import syntax
from callbacks.postback.render import RenderError
from callbacks.postback.request import build, user_agent
from callbacks.postback.signing import SecretError
from callbacks.postback.variables import CHANGE, LINK_QUERY, VARIABLES, Event, changes, snapshot
from orders.models import Order

NEWEST = 20
EXAMPLES = {variable.name: variable.example for variable in VARIABLES}
NAME = f"{LINK_QUERY}NAME"
SUB_ID = "link.sub_id"


@dataclass(frozen=True, slots=True)
class Value:
    """A variable as it stands in the template, what it holds and what its filters make of that.

    `why_empty` is the reason if there is no value.
    """

    source: str
    value: str
    sent: str
    why_empty: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is sent for `order` (None: for example values); no request, but a `problem`, if that cannot be.

    `variables` are all there are, and `values` those that stand in the template.
    """

    order: Order | None
    variables: dict[str, str] = field(default_factory=dict)
    values: tuple[Value, ...] = ()
    request: Request | None = None
    problem: str = ""

    @property
    def body(self) -> str:
        return (self.request.body or b"").decode("utf-8") if self.request else ""


@dataclass(frozen=True, slots=True)
class Example:
    """A row of the list of variables: its name, what it means, and its value for an order, "" where that is empty."""

    name: str
    meaning: str
    if_none: str
    value: str


def of_form(typed: CallbackSetting, template: str, order: Order | None) -> dict[str, Any]:
    """For a page with the form: the preview, None if there is no `template` that can be sent, and the variables."""
    return {
        "preview": preview(typed, template, order) if template else None,
        "examples": examples(typed, order),
    }


def examples(setting: CallbackSetting, order: Order | None) -> list[Example]:
    """The table of variables with the values of `order`, else with examples. Those of the link stand first: the click
    ID is one of them, and each tracker wants that.
    """
    values = _with_changes(setting, order, values_of(setting, order))
    rows = []
    for v in sorted(VARIABLES, key=lambda variable: not variable.name.startswith("link.")):
        if v.name != NAME:
            rows.append(Example(v.name, v.meaning, v.if_none, values[v.name]))
            continue
        rows.append(Example(v.name, v.meaning, v.if_none, "" if order else v.example))
        own = sorted((name, value) for name, value in values.items() if name.startswith(LINK_QUERY))
        rows += [
            Example(name, _("Parameter of this order's link"), "", value)
            for name, value in own
            if _can_be_written(name)
        ]
    rows.sort(key=lambda row: row.name != SUB_ID)
    return rows


def newest_orders(affiliate: Affiliate) -> list[Order]:
    """The orders to choose from, newest first."""
    return list(Order.objects.filter(affiliate=affiliate).select_related("link").order_by("-pk")[:NEWEST])


def preview(
    setting: CallbackSetting, template: str, order: Order | None, event_id: str = EXAMPLES["event.id"]
) -> Preview:
    """What `setting`, saved or not, would send for `order` if its URL were `template`."""
    pieces = syntax.scan(template)[0]
    references = {piece.source: piece for piece in pieces if isinstance(piece, syntax.VariableRef)}
    values = values_of(setting, order, event_id)
    if setting.body_format == "json" or any(p.name.endswith(CHANGE) for p in references.values()):
        values = _with_changes(setting, order, values)
    if order is None:
        values = {p.name: EXAMPLES[NAME] for p in references.values() if p.name.startswith(LINK_QUERY)} | values
    shown = tuple(_value(reference, values, order) for reference in references.values())
    now = timezone.now()
    try:
        request = build(
            key=0,
            event_id=event_id,
            happened_at=now,
            method=setting.method,
            template=template,
            body_format=setting.body_format,
            secret=setting.secret,
            previous_secret=setting.previous_secret_at(now),
            variables=values,
            timestamp=int(now.timestamp()),
            user_agent=user_agent(settings.VERSION),
        )
    except (RenderError, SecretError) as error:
        return Preview(order, values, shown, problem=str(error))
    return Preview(order, values, shown, request)


def values_of(setting: CallbackSetting, order: Order | None, event_id: str = EXAMPLES["event.id"]) -> dict[str, str]:
    """All variables of the first event of this callback for `order`, or examples with what is known of the affiliate.

    Each delivery has an `event_id` of its own.
    """
    code = setting.affiliate.code
    if order is None:
        known = {"event": str(setting.event), "event.id": event_id, "affiliate.code": code}
        return {name: value for name, value in EXAMPLES.items() if name != NAME} | known
    event = Event(
        type=str(setting.event),
        event_id=event_id,
        order=order.current_state(),
        created_at=order.created_at,
        affiliate_code=code,
        link_url=order.link.url if order.link else "",
        happened_at=timezone.now(),
    )
    return snapshot(event)


def _with_changes(setting: CallbackSetting, order: Order | None, values: dict[str, str]) -> dict[str, str]:
    """The variables with the changes since this callback was last told."""
    if order is None or setting.pk is None:
        return values
    callback = Callback(setting.affiliate.pk, setting.pk, str(setting.event), setting.host)
    return values | changes(values, Told([order.pk]).last(order.pk, callback, Delivery.Origin.BACKFILL))


def _can_be_written(name: str) -> bool:
    """Whether `name` stays itself between braces."""
    pieces, faults = syntax.scan("{{" + name + "}}")
    return not faults and len(pieces) == 1 and getattr(pieces[0], "name", "") == name


def _value(reference: syntax.VariableRef, values: dict[str, str], order: Order | None) -> Value:
    value, sent = values.get(reference.name, ""), reference.value_in(values)
    return Value(reference.source, value, sent, "" if value else _why_empty(reference.name, order))


def _why_empty(name: str, order: Order | None) -> str:
    if not name.startswith("link."):
        return _("this order has no value for it")
    if order is None or order.link is None:
        return _("this order has no link")
    if name.startswith(LINK_QUERY):
        return _("the link of this order has no parameter %(name)s") % {"name": name.removeprefix(LINK_QUERY)}
    given = list(referral.parse(order.link.url).query)
    if name != SUB_ID:
        return {
            "link.hash": _("the link of this order has no part after #"),
            "link.path": _("the link of this order has no path"),
        }.get(name, _("this order has no value for it"))
    if not given:
        return _("the link of this order has no sub_id")
    said = _("the link of this order has no sub_id. It has %(names)s.") % {"names": ", ".join(given)}
    clicks = [LINK_QUERY + own for own in given if meanings.is_click_id(own) and _can_be_written(LINK_QUERY + own)]
    if clicks:
        said += " " + _("Use %(variable)s if that is the click ID.") % {"variable": f"{{{{{clicks[0]}}}}}"}
    return said

"""Templates, values and the worked cases, for all tests that read templates. No database."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from callbacks.egress.addresses import Policy
from callbacks.postback import variables
from orders.models import OrderState

FILES = Path(__file__).parents[1] / "cases"
CASES = json.loads((FILES / "templates.json").read_text())
ADDRESSES = json.loads((FILES / "addresses.json").read_text())
NEVER_CALLED: list[str] = ADDRESSES["urls_never_called"]
CLOSED = Policy()

NAMES = sorted(variables.NAMES)
values = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", ".", "..", "%2e", "%41", "&a=1", "/../", "#", "?", "{{order.number}}", "a b", "\ud800", "é"]),
)
snapshots = st.dictionaries(st.sampled_from([*NAMES, "link.query.a"]), values)
variable_refs = st.sampled_from(
    ["{{" + name + "}}" for name in (*NAMES, "link.query.a")]
    + ["{{ link.sub_id|default:'a&b' }}", '{{order.status|map:"new=/,approved=.,=.."}}']
)
# What may stand in a path or a query, literal dots and escapes, whole and broken, among it.
texts = st.sampled_from(
    ["a", "/", ".", "..", "//", "%", "%2", "%2e", "%2E%2e", "%C3%A9", "é", " ", "a[0]", ";c=d", "q0z", "%71", "~", ",+"]
)


@dataclass(frozen=True)
class Made:
    """A template, by the parts that it was made of."""

    host: str
    path: list[str] = field(default_factory=list)
    query: list[str] | None = None
    fragment: list[str] | None = None

    @property
    def template(self) -> str:
        path = "/" + "".join(self.path) if self.path else ""
        query = "" if self.query is None else "?" + "".join(self.query)
        return self.host + path + query + ("" if self.fragment is None else "#" + "".join(self.fragment))


parts = st.lists(st.one_of(texts, variable_refs), max_size=6)
made = st.builds(
    Made,
    st.sampled_from(["https://track.example", "http://q0z.q1z.example:8080", "HTTPS://Münch.example"]),
    parts,
    st.none() | st.lists(st.one_of(texts, variable_refs, st.sampled_from(["&", "=", "?"])), max_size=8),
    st.none() | parts,
)


def values_of(context: dict[str, Any]) -> dict[str, str]:
    """The snapshot of a context of the worked cases."""
    order = context["order"] | {key: Decimal(context["order"][key]) for key in ("amount", "commission")}
    event = variables.Event(
        type="order.created",
        event_id="0b9f8a52-6f0e-4a3c-9d55-2f1f4b6f1c11",
        order=OrderState(affiliate_id=None, link_id=None, **order),
        created_at=datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC),
        affiliate_code="joe",
        link_url=context["link"] or "",
    )
    return variables.snapshot(event)

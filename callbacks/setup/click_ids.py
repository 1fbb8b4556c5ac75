"""Finds the variable that holds the click id in an affiliate's latest links: `sub_id` in most, or another parameter.

Most trackers answer 200 to a postback without a click id, but none of them counts it.
"""

from collections import Counter

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from affiliates import referral
from callbacks.editor import meanings
from callbacks.egress.targets import Problem
from callbacks.postback import syntax
from callbacks.postback.variables import LINK_QUERY
from orders.models import Order

LATEST = 20
SUB_ID = "link.sub_id"

Links = list[referral.Referral]


def latest(affiliate_id: int | None) -> Links:
    """The links that the latest orders of an affiliate came in through, one for each of these orders."""
    orders = Order.objects.filter(affiliate=affiliate_id, link__isnull=False).order_by("-pk")
    if affiliate_id is None:
        return []
    return [referral.parse(url) for url in orders.values_list("link__url", flat=True)[:LATEST]]


def variable(links: Links) -> str:
    """The variable that holds the click id in these links; `link.sub_id` if they have no such parameter."""
    if any(link.sub_id for link in links):
        return SUB_ID
    return next(iter(_others(links)), SUB_ID)


def warnings(template: str, links: Links) -> tuple[Problem, ...]:
    """A warning if `template` sends the `sub_id` and some of these links have none."""
    pieces, _faults = syntax.scan(template)
    if SUB_ID not in {piece.name for piece in pieces if isinstance(piece, syntax.VariableRef)}:
        return ()
    without = [link for link in links if not link.sub_id]
    if not without:
        return ()
    said = ngettext(
        "The link of the latest order has no sub_id, so this variable is empty.",
        "The links of %(count)d of the latest %(total)d orders have no sub_id, so this variable is empty there.",
        len(links),
    ) % {"count": len(without), "total": len(links)}
    if others := _others(without):
        said += " " + _("Use %(variable)s, which these links have.") % {"variable": f"{{{{{others[0]}}}}}"}
    return (Problem("click_id_empty", said, (SUB_ID,), tuple(f"{{{{{other}}}}}" for other in others[:1])),)


def _others(links: Links) -> list[str]:
    """Variables of parameters that usually hold a click id and do so here, the most common first."""
    names = Counter(LINK_QUERY + name for link in links for name, value in link.query.items() if value)
    return [
        name
        for name, _count in names.most_common()
        if syntax.is_name(name) and meanings.is_click_id(name.removeprefix(LINK_QUERY))
    ]

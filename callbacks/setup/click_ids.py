"""Finds the variable that holds the click id in an affiliate's latest links: `sub_id` in most, or another parameter.

Most trackers answer 200 to a postback without a click id, but none of them counts it.
"""

from collections import Counter

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
    pieces, _ = syntax.scan(template)
    if SUB_ID not in {piece.name for piece in pieces if isinstance(piece, syntax.VariableRef)}:
        return ()
    without = [link for link in links if not link.sub_id]
    if not without:
        return ()
    came = f"{len(without)} of the latest {len(links)} orders came through a link without a sub_id"
    message = f"{came}, so nothing is sent in its place."
    if others := _others(without):
        message += f" Write {{{{{others[0]}}}}} if that is the click id: those links have it."
    return (Problem("click_id_empty", message, (SUB_ID,), tuple(f"{{{{{other}}}}}" for other in others[:1])),)


def _others(links: Links) -> list[str]:
    """Variables of parameters that usually hold a click id and do so here, the most common first."""
    names = Counter(LINK_QUERY + name for link in links for name, value in link.query.items() if value)
    return [
        name
        for name, _ in names.most_common()
        if syntax.is_name(name) and meanings.is_click_id(name.removeprefix(LINK_QUERY))
    ]

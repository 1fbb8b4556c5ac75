"""The trackers: one record for each says how its postback URL is recognised and what its parameters expect.

Many trackers are called on their customers' own hosts, and some share one shape of URL. Then several records fit.
What any parameter or placeholder is for by its name is in `callbacks.editor.meanings`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from callbacks.editor import url_parts
from callbacks.editor.meanings import CLICK_ID, PAYOUT, STATUS
from callbacks.postback import syntax


@dataclass(frozen=True, slots=True)
class Tracker:
    """What is known about one tracker's postback URL.

    A URL is recognised by one of `hosts` or a name below it, or else by its `path` and all parameters of `needs`.
    `knows` are all documented parameters. `click_id` is the parameter that holds the click id ("" if several may).
    `meanings` are those of parameters that hold something else than `callbacks.editor.meanings` says for their name.
    `dispensable` parameters are better left out than filled in: only the tracker's owner knows their values.
    `statuses` is empty for a tracker that takes any word as a status. Else it has, for each status of ours, the
    tracker's own word and the parameter that lists more words for it; `status` is the parameter that holds the word.
    """

    name: str
    click_id: str
    path: re.Pattern[str]
    needs: frozenset[str]
    knows: frozenset[str]
    hosts: tuple[str, ...]
    dispensable: frozenset[str]
    meanings: Mapping[str, str] = field(hash=False)
    status: str
    statuses: Mapping[str, tuple[str, str]] = field(hash=False)


def _tracker(
    name: str,
    click_id: str,
    path: str,
    *,
    needs: str = "",
    knows: str = "",
    hosts: str = "",
    dispensable: str = "",
    meanings: Mapping[str, str] | None = None,
    status: str = "",
    statuses: Mapping[str, tuple[str, str]] | None = None,
) -> Tracker:
    """A record. Texts with several names separate them by spaces."""
    return Tracker(
        name=name,
        click_id=click_id,
        path=re.compile(path),
        needs=frozenset(needs.split()),
        knows=frozenset(f"{needs} {knows}".split()),
        hosts=tuple(hosts.split()),
        dispensable=frozenset(dispensable.split()),
        meanings=meanings or {},
        status=status,
        statuses=statuses or {},
    )


POSTBACK = r"/postback/?"
# Of those that share one shape of URL, the likeliest stands first.
TRACKERS = (
    _tracker(
        "Voluum",
        "cid",
        POSTBACK,
        needs="cid",
        knows="payout txid currency et param1 param2 param3 param4 param5",
        hosts="voluumtrk.com voluumtrk2.com voluumtrk3.com",
        dispensable="et param1 param2 param3 param4 param5",
    ),
    _tracker(
        "BeMob",
        "cid",
        POSTBACK,
        needs="cid",
        knows="payout txid status",
        hosts="bemobtrcks.com bemobtracks.com bemobtrk.com bmtrck.com",
    ),
    _tracker("PeerClick", "cid", POSTBACK, needs="cid", knows="payout status txid currency", hosts="peerclick.com"),
    _tracker(
        "Keitaro",
        "subid",
        r"(?:/[^/]+)?/postback/?",
        needs="subid",
        knows="status payout tid currency from lead_status sale_status rejected_status",
        dispensable="from cost return lead_status sale_status rejected_status",
        status="status",  # docs.keitaro.io, "Postback", status transformations
        statuses={
            "new": ("lead", "lead_status"),
            "approved": ("sale", "sale_status"),
            "rejected": ("rejected", "rejected_status"),
        },
    ),
    _tracker(
        "RedTrack", "clickid", POSTBACK, needs="clickid", knows="sum type rdtk_event_id", hosts="rdtk.io redtrack.io"
    ),
    _tracker("Binom", "clickid", POSTBACK, needs="clickid", knows="goal"),
    _tracker(
        "Affise",
        "clickid",
        POSTBACK,
        needs="clickid",
        knows="click_id action_id goal sum ip status referrer comment secure promo_code user_id",
        hosts="affise.com g2afse.com go2affise.com",
    ),
    _tracker("Binom", "cnv_id", r"/click\.php", needs="cnv_id", knows="payout cnv_status cnv_currency"),
    _tracker("FunnelFlux", "hit", r"/pb/?", needs="hit", knows="tx rev"),
    _tracker("ClickFlare", "click_id", r"/cf/cv/?", knows="click_id payout txid"),
    _tracker("ClickMagick", "s1", r"/api/s/post/?", knows="uid s1 ref amt", hosts="clkmg.com"),
    _tracker(
        "Everflow",
        "transaction_id",
        r"/?",
        needs="nid transaction_id",
        knows="amount",
        meanings={"transaction_id": CLICK_ID, "amount": PAYOUT},
    ),
    _tracker(
        "TUNE",
        "transaction_id",
        r"/aff_lsr/?",
        knows="offer_id transaction_id amount",
        hosts="go2cloud.org",
        meanings={"transaction_id": CLICK_ID, "amount": PAYOUT},
    ),
    _tracker("CAKE", "r", r"/p\.ashx", knows="o e r", meanings={"r": CLICK_ID}),
    _tracker(
        "Taboola",
        "click-id",
        r"/actions-handler/.*s2s-action",
        knows="click-id name revenue currency orderid",
        meanings={"name": STATUS},
    ),
    _tracker("Google Floodlight", "", r"/ddm/activity/.*"),
)


@lru_cache(maxsize=1024)
def recognise(template: str) -> tuple[Tracker, ...]:
    """The trackers whose postback URL this may be, the likeliest first; one if its host says so, none if unknown."""
    masked = syntax.masked(template)
    start, end = url_parts.authority_span(template)
    host = masked[start:end].rpartition("@")[2].partition(":")[0].lower()
    for tracker in TRACKERS:
        if any(f".{host}".endswith(f".{own}") for own in tracker.hosts):
            return (tracker,)
    path = re.split("[?#]", masked[end:], maxsplit=1)[0]
    parameters = url_parts.parameters_of(template)
    found = tuple(tracker for tracker in TRACKERS if tracker.path.fullmatch(path) and tracker.needs <= parameters)
    return tuple(tracker for tracker in found if parameters <= tracker.knows) or found

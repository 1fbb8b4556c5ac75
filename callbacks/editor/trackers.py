"""The trackers: one record for each says how its postback URL is recognised and what its parameters expect.

Many trackers are called on their customers' own hosts, and some share one shape of URL. Then several records fit.
What any parameter or placeholder is for by its name is in `callbacks.editor.meanings`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from callbacks.editor import url_parts
from callbacks.editor.meanings import AMOUNT, CLICK_ID, PAYOUT, STATUS
from callbacks.egress.wording import Sentence as _
from callbacks.postback import syntax


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True, eq=False)
class Tracker:
    """What is known about one tracker's postback URL.

    A URL is recognised by one of `hosts` or a name below it, or else by its `path` and all parameters of `needs`.
    `knows` are all documented parameters. `click_id` is the parameter that holds the click id ("" if several may).
    `meanings` are those of parameters that hold something else than `callbacks.editor.meanings` says for their name.
    `dispensable` parameters are better left out than filled in: only the tracker's owner knows their values.
    `statuses` is empty for a tracker that takes any word as a status. Else it has, for each status of ours, the
    tracker's own word and the parameter that lists more words for it; `status` is the parameter that holds the word.
    `second_postback` says what it does with another postback for the same order, `must_switch_on` which of its options
    an affiliate has to look at; both are sentences for a page, from its own documentation, "" if that says nothing.
    """

    name: str
    click_id: str
    path: str
    knows: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    dispensable: frozenset[str] = frozenset()
    meanings: Mapping[str, str] = field(default_factory=dict)
    status: str = ""
    statuses: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    second_postback: str = ""
    must_switch_on: str = ""


POSTBACK = r"/postback/?"
# Of those that share one shape of URL, the likeliest stands first.
TRACKERS = (
    Tracker(
        "Voluum",
        "cid",
        POSTBACK,
        needs=_names("cid"),
        knows=_names("cid payout txid currency et param1 param2 param3 param4 param5"),
        hosts=_names("voluumtrk.com voluumtrk2.com voluumtrk3.com"),
        dispensable=_names("et param1 param2 param3 param4 param5"),
        # doc.voluum.com: "Upselling", "Affiliate Network: Options"
        second_postback=_(
            "Voluum counts each pair of cid and txid once: a second postback with both the same changes nothing."
        ),
        must_switch_on=_(
            "In the affiliate network's options: “Accept duplicate postbacks” if no txid is sent and one click can lead "
            "to several orders. If “Only accept postbacks from whitelisted IPs” is on, add this server's IP address."
        ),
    ),
    Tracker(
        "BeMob",
        "cid",
        POSTBACK,
        needs=_names("cid"),
        knows=_names("cid payout txid status"),
        hosts=_names("bemobtrcks.com bemobtracks.com bemobtrk.com bmtrck.com"),
    ),
    Tracker(
        "PeerClick",
        "cid",
        POSTBACK,
        needs=_names("cid"),
        knows=_names("cid payout status txid currency"),
        hosts=_names("peerclick.com"),
    ),
    Tracker(
        "Keitaro",
        "subid",
        r"(?:/[^/]+)?/postback/?",
        needs=_names("subid"),
        knows=_names("subid status payout tid currency from lead_status sale_status rejected_status"),
        dispensable=_names("from cost return lead_status sale_status rejected_status"),
        status="status",  # docs.keitaro.io, "Postback", status transformations
        statuses={
            "new": ("lead", "lead_status"),
            "approved": ("sale", "sale_status"),
            "rejected": ("rejected", "rejected_status"),
        },
    ),
    Tracker(
        "RedTrack",
        "clickid",
        POSTBACK,
        needs=_names("clickid"),
        knows=_names("clickid sum type rdtk_event_id"),
        hosts=_names("rdtk.io redtrack.io"),
        # help.redtrack.io: "Duplicated conversions", "Protecting your postback"
        second_postback=_(
            "RedTrack does what its “Default duplicate postback mode” says: ignore it, add a conversion, or change the "
            "first one."
        ),
        must_switch_on=_(
            "In the offer source: “Edit conversion with new data” as the duplicate postback mode, so that updates of an "
            "order are counted. If “Whitelisted IPs” are set, add this server's IP address."
        ),
    ),
    Tracker("Binom", "clickid", POSTBACK, needs=_names("clickid"), knows=_names("clickid goal")),
    Tracker(
        "Affise",
        "clickid",
        POSTBACK,
        needs=_names("clickid"),
        knows=_names("clickid click_id action_id goal sum ip status referrer comment secure promo_code user_id"),
        hosts=_names("affise.com g2afse.com go2affise.com"),
    ),
    Tracker(
        "Binom", "cnv_id", r"/click\.php", needs=_names("cnv_id"), knows=_names("cnv_id payout cnv_status cnv_currency")
    ),
    Tracker("FunnelFlux", "hit", r"/pb/?", needs=_names("hit"), knows=_names("hit tx rev")),
    Tracker("ClickFlare", "click_id", r"/cf/cv/?", knows=_names("click_id payout txid")),
    Tracker("ClickMagick", "s1", r"/api/s/post/?", knows=_names("uid s1 ref amt"), hosts=_names("clkmg.com")),
    Tracker(
        "Everflow",
        "transaction_id",
        r"/?",
        needs=_names("nid transaction_id"),
        knows=_names("nid transaction_id amount"),
        meanings={"transaction_id": CLICK_ID, "amount": PAYOUT},
    ),
    Tracker(
        "TUNE",
        "transaction_id",
        r"/aff_(?:lsr|goal)/?",
        knows=_names("offer_id goal_id a transaction_id amount adv_sub"),
        hosts=_names("go2cloud.org"),
        meanings={"transaction_id": CLICK_ID, "amount": PAYOUT, "adv_sub": AMOUNT},
    ),
    Tracker("CAKE", "r", r"/p\.ashx", knows=_names("o e r"), meanings={"r": CLICK_ID}),
    Tracker(
        "Taboola",
        "click-id",
        r"/actions-handler/.*s2s-action",
        knows=_names("click-id name revenue currency orderid"),
        meanings={"name": STATUS},
    ),
    Tracker("Google Floodlight", "", r"/ddm/activity/.*"),
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
    found = tuple(tracker for tracker in TRACKERS if re.fullmatch(tracker.path, path) and tracker.needs <= parameters)
    return tuple(tracker for tracker in found if parameters <= tracker.knows) or found

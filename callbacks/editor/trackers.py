"""Recognises the tracker that a postback URL belongs to: by its host, else by the path and parameters it documents.

Pure. What a placeholder in that URL means is `callbacks.editor.macros`. Many trackers are called on their customers' own
hosts, and some share one shape of URL: then there is more than one answer.
"""

import re
from dataclasses import dataclass

from callbacks.editor import macros
from callbacks.postback import syntax

PARAMETER = re.compile(r"(?:^|[?&;/])([^=?&;/#]+)=")


@dataclass(frozen=True, slots=True)
class Tracker:
    """What is known of one tracker's postback URL.

    `click_id` is the parameter that names the click ("" where it has several). A URL on another host than `hosts` has
    this `path` and all parameters of `needs`; `knows` are those that it documents besides.
    """

    name: str
    click_id: str
    path: re.Pattern[str]
    needs: frozenset[str]
    knows: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()


def _tracker(name: str, click_id: str, path: str, *, needs: str = "", knows: str = "", hosts: str = "") -> Tracker:
    needed = frozenset(needs.split())
    return Tracker(name, click_id, re.compile(path), needed, needed | set(knows.split()), tuple(hosts.split()))


POSTBACK = r"/postback/?"
TRACKERS = (
    _tracker(
        "Voluum",
        "cid",
        POSTBACK,
        needs="cid",
        knows="payout txid currency et param1 param2 param3 param4 param5",
        hosts="voluumtrk.com voluumtrk2.com voluumtrk3.com",
    ),
    _tracker(
        "BeMob",
        "cid",
        POSTBACK,
        needs="cid",
        knows="payout txid status",
        hosts="bemobtrcks.com bemobtracks.com bemobtrk.com bmtrck.com",
    ),
    _tracker(
        "PeerClick",
        "cid",
        POSTBACK,
        needs="cid",
        knows="payout status txid currency",
        hosts="peerclick.com",
    ),
    _tracker(
        "Keitaro",
        "subid",
        r"(?:/[^/]+)?/postback/?",
        needs="subid",
        knows="status payout tid currency from lead_status sale_status rejected_status",
    ),
    _tracker(
        "RedTrack",
        "clickid",
        POSTBACK,
        needs="clickid",
        knows="sum type rdtk_event_id",
        hosts="rdtk.io redtrack.io",
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
    _tracker("Everflow", "transaction_id", r"/?", needs="nid transaction_id", knows="amount"),
    _tracker("TUNE", "transaction_id", r"/aff_lsr/?", knows="offer_id transaction_id amount", hosts="go2cloud.org"),
    _tracker("CAKE", "r", r"/p\.ashx", knows="o e r"),
    _tracker("Taboola", "click-id", r"/actions-handler/.*s2s-action", knows="click-id name revenue currency orderid"),
    _tracker("Google Floodlight", "", r"/ddm/activity/.*"),
)


def recognise(template: str) -> tuple[Tracker, ...]:
    """The trackers whose postback URL this may be, the likeliest first; one if its host says so, none if unknown."""
    masked = syntax.masked(template)
    start, end = macros.authority_span(template)
    host = masked[start:end].rpartition("@")[2].partition(":")[0].lower()
    path = re.split("[?#]", masked[end:], maxsplit=1)[0]
    parameters = parameters_of(template)
    of_host = [tracker for tracker in TRACKERS if any(f".{host}".endswith(f".{own}") for own in tracker.hosts)]
    if of_host:
        return tuple(of_host[:1])
    found = [t for t in TRACKERS if t.path.fullmatch(path) and t.needs <= parameters]
    exact = [tracker for tracker in found if parameters <= tracker.knows]
    return tuple(exact or found)


def parameters_of(template: str) -> frozenset[str]:
    """The names of the parameters in a template's query and path."""
    masked = syntax.masked(template)
    _, end = macros.authority_span(template)
    return frozenset(PARAMETER.findall(masked[end:].partition("#")[0]))

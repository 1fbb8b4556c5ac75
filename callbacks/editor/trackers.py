"""The trackers: one record for each says how its postback URL is recognised and what its parameters expect.

Many trackers are called on their customers' own hosts, and some share one shape of URL. Then several records fit.
What any parameter or placeholder is for by its name is in `callbacks.editor.meanings`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from callbacks.editor import url_parts
from callbacks.editor.meanings import AMOUNT, CLICK_ID, COUPON, CURRENCY, ORDER, PAYOUT, STATUS
from callbacks.egress.wording import Sentence as _
from callbacks.postback import syntax


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True, eq=False)
class Tracker:
    """What is known about one tracker's postback URL.

    A URL is recognised by one of `hosts` or a name below it, or else by its `path` and all parameters of `needs`: then
    it only looks like one (`is_certain`).
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
        # doc.voluum.com: "Upselling: Tracking Subsequent Conversions", "Affiliate Network: Options"
        second_postback=_(
            "Voluum counts each pair of cid and txid once. A second postback with the same cid and txid is ignored."
        ),
        must_switch_on=_(
            "If you do not send a txid, turn on “Accept duplicate postbacks” in the options of the affiliate network. "
            "Otherwise only the first order of a click is counted. If “Only accept postbacks from whitelisted IPs” is "
            "on, add the IP address of this server."
        ),
    ),
    Tracker(
        "BeMob",
        "cid",
        POSTBACK,
        needs=_names("cid"),
        knows=_names("cid payout txid status"),
        hosts=_names("bemobtrcks.com bemobtracks.com bemobtrk.com bmtrck.com"),
        # docs.bemob.com: "Performing Conversion Test", "Postback Settings of Affiliate Network"
        second_postback=_("BeMob uses the txid to avoid counting a conversion twice."),
        must_switch_on=_(
            "In the additional options of the affiliate network: if you send a status, turn on the postback statuses. "
            "Check the options for duplicate postbacks and for whitelisted IP addresses."
        ),
    ),
    Tracker(
        "PeerClick",
        "cid",
        POSTBACK,
        needs=_names("cid"),
        knows=_names("cid payout status txid currency"),
        hosts=_names("peerclick.com"),
    ),
    *(
        Tracker(
            "Keitaro",
            click_id,
            r"(?:/[^/]+)?/postback/?",
            needs=_names(needs),
            knows=_names(f"{click_id} status payout tid currency from lead_status sale_status rejected_status"),
            dispensable=_names("from cost return lead_status sale_status rejected_status"),
            status="status",  # docs.keitaro.io, "Postback", status transformations
            statuses={
                "new": ("lead", "lead_status"),
                "approved": ("sale", "sale_status"),
                "rejected": ("rejected", "rejected_status"),
            },
            # docs.keitaro.io: "Postback", status transitions and rebills
            second_postback=_(
                "A second postback for the same click changes the status of the conversion: from lead to sale, and "
                "from lead or sale to rejected. With another tid it can be counted as a further sale."
            ),
            must_switch_on=_(
                "If one click can lead to several orders, allow rebills (upsells) in the settings of the offer, and "
                "send {{order.number}} as the tid."
            ),
        )
        # Older versions call the click sub_id; the lists of statuses tell them from others.
        for click_id, needs in (("subid", "subid"), ("sub_id", "sub_id sale_status"))
    ),
    Tracker(
        "RedTrack",
        "clickid",
        POSTBACK,
        needs=_names("clickid"),
        knows=_names("clickid sum type rdtk_event_id"),
        hosts=_names("rdtk.io redtrack.io ttrk.io rdtrck2.com"),
        # help.redtrack.io: "Duplicated conversions", "Protecting your postback"
        second_postback=_(
            "RedTrack follows its duplicate postback mode: it ignores the postback, adds a conversion, or changes "
            "the first one."
        ),
        must_switch_on=_(
            "In the settings of the offer source or of the conversion type: choose “Edit conversion with new data” as "
            "the duplicate postback mode, so that updates of an order arrive. If “Whitelisted IPs” is on, add the IP "
            "address of this server."
        ),
    ),
    Tracker(
        "Binom",
        "clickid",
        POSTBACK,
        needs=_names("clickid"),
        knows=_names("clickid goal"),
    ),
    Tracker(
        "Affise",
        "clickid",
        POSTBACK,
        needs=_names("clickid"),
        knows=_names("clickid click_id action_id goal sum ip status referrer comment secure promo_code user_id"),
        hosts=_names("affise.com g2afse.com go2affise.com"),
        # help-center.affise.com: "Conversion uniqueness", "Server postback errors"
        second_postback=_(
            "Affise takes a second postback with the same action_id as the same conversion (without one: with the same "
            "click ID and goal). It can change the status only while the conversion is pending."
        ),
        must_switch_on=_(
            "If a secure postback code is set for the offer or the advertiser, add secure=… to the URL. If an IP "
            "whitelist is set, add the IP address of this server to it."
        ),
    ),
    Tracker(
        "Binom",
        "cnv_id",
        r"/click(?:\.php)?/?",
        needs=_names("cnv_id"),
        knows=_names("cnv_id payout cnv_status cnv_status2 cnv_currency to_offer disable_postback"),
        dispensable=_names("cnv_status2 to_offer disable_postback"),
        # docs.binom.org: "Postback URL", "Manual conversions update"
        second_postback=_(
            "A second postback with the same cnv_id updates the conversion. With Upsell on in the offer, its payout is "
            "added to the first one."
        ),
        must_switch_on=_("Turn Upsell off in the settings of the offer if updates of an order are sent."),
    ),
    Tracker(
        "FunnelFlux",
        "hit",
        r"/pb/?",
        needs=_names("hit"),
        knows=_names("hit tx rev"),
        # help.funnelflux.pro: "Updating conversion data"
        second_postback=_("Postbacks for one hit with different tx values are separate conversions."),
    ),
    Tracker("ClickFlare", "click_id", r"/cf/cv/?", knows=_names("click_id payout txid"), hosts=_names("clickflare.io")),
    Tracker(
        "ClickMagick",
        "s1",
        r"/api/s/post/?",
        knows=_names("uid s1 ref amt timestamp cmc_currency"),
        hosts=_names("clkmg.com clickmagick.com"),
        meanings={"cmc_currency": CURRENCY},
    ),
    Tracker(
        "Everflow",
        "transaction_id",
        r"/?(?:sdk/conversion/?)?",
        needs=_names("nid transaction_id"),
        knows=_names("nid oid aid transaction_id amount order_id coupon_code email verification_token event_id")
        | _names("adv1 adv2 adv3 adv4 adv5 adv_event_id"),
        dispensable=_names("email event_id adv_event_id adv1 adv2 adv3 adv4 adv5"),
        meanings={"transaction_id": CLICK_ID, "amount": PAYOUT},
        # helpdesk.everflow.io: "Session Definition; Rules for Duplicate Clicks & Conversions"
        second_postback=_(
            "A second conversion of the same visitor is a duplicate, unless the offer allows duplicates."
        ),
        must_switch_on=_(
            "If one click can lead to several orders, turn on “Allow Duplicate Conversions” under Attribution in the "
            "settings of the offer."
        ),
    ),
    Tracker(
        "TUNE",
        "transaction_id",
        r"/aff_(?:lsr|goal)/?",
        knows=_names("offer_id goal_id a transaction_id amount adv_sub security_token"),
        hosts=_names("go2cloud.org hasoffers.com"),
        meanings={"transaction_id": CLICK_ID, "amount": PAYOUT, "adv_sub": AMOUNT},
        # support.tune.com: "Receiving Conversions via Postback URL", "Offer Whitelist: Conversions"
        second_postback=_("TUNE can refuse a second postback as a duplicate. It then answers 200 with success=false."),
        must_switch_on=_(
            "If “Offer Whitelist” is enabled for the offer, add the IP address of this server. If the offer has an "
            "advertiser security token, add it to the URL."
        ),
    ),
    Tracker(
        "CAKE",
        "r",
        r"/p\.ashx",
        knows=_names("o e r a f t p ap"),
        hosts=_names("cakemarketing.com"),
        dispensable=_names("ap"),
        meanings={"r": CLICK_ID, "t": ORDER, "p": PAYOUT},
        # support.getcake.com: "How to Whitelist Conversion Pixel IP Addresses"
        must_switch_on=_(
            "If “Conversions from Whitelist Only” is ticked for the offer, add the IP address of this server to the "
            "pixel whitelist."
        ),
    ),
    Tracker(
        "Offer18",
        "tid",
        r"/p(?:\.php)?/?",
        needs=_names("m tid"),
        knows=_names("m tid t status payout sale adv_sub1 adv_sub2 adv_sub3 adv_sub4 adv_sub5"),
        hosts=_names("offer18.com o18.click"),
        dispensable=_names("adv_sub1 adv_sub2 adv_sub3 adv_sub4 adv_sub5"),
    ),
    Tracker(
        "Taboola",
        "click-id",
        r"/actions-handler/.*s2s-action",
        knows=_names("click-id name revenue currency orderid"),
        hosts=_names("taboola.com"),
        meanings={"name": STATUS},
        # developers.taboola.com: "Conversion deduplication"
        second_postback=_("Taboola removes duplicates: the same event of the same click with the same orderid."),
    ),
    # developer.awin.com: "Direct S2S Integration"
    Tracker(
        "Awin",
        "cks",
        r"/sread\.(?:php|img)",
        knows=_names("tt tv merchant amount ch parts vc cr ref testmode cks"),
        hosts=_names("awin1.com"),
        meanings={"vc": COUPON, "cr": CURRENCY},
    ),
    Tracker("Google Floodlight", "", r"/ddm/activity/.*", hosts=_names("ad.doubleclick.net fls.doubleclick.net")),
)


@lru_cache(maxsize=1024)
def recognise(template: str) -> tuple[Tracker, ...]:
    """The trackers whose postback URL this may be, the likeliest first; one if its host says so, none if unknown."""
    masked = syntax.masked(template)
    _, end = url_parts.authority_span(template)
    path = re.split("[?#]", masked[end:], maxsplit=1)[0]
    parameters = url_parts.parameters_of(template)
    found = tuple(tracker for tracker in TRACKERS if re.fullmatch(tracker.path, path) and tracker.needs <= parameters)
    if owner := _owner(template):
        return (next((tracker for tracker in found if tracker.name == owner.name), owner),)
    unique = {tracker.name: tracker for tracker in reversed(found)}
    found = tuple(tracker for tracker in found if unique[tracker.name] is tracker)
    return tuple(tracker for tracker in found if parameters <= tracker.knows) or found


def is_certain(template: str) -> bool:
    """Whether the URL calls a tracker's own host. Else its shape only looks like that of the trackers recognised."""
    return _owner(template) is not None


def _owner(template: str) -> Tracker | None:
    """The tracker whose own host the URL calls."""
    start, end = url_parts.authority_span(template)
    host = syntax.masked(template)[start:end].rpartition("@")[2].partition(":")[0].lower()
    return next((one for one in TRACKERS if any(f".{host}".endswith(f".{own}") for own in one.hosts)), None)

"""Whose an order is: which of what came with it decides, and what is noted of the rest.

It sets the columns of an order in memory. What came is read by `orders.intake.sources`; making links and saving is
`orders.intake.place`.
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from affiliates import search
from affiliates.models import Affiliate, Link, can_be_kept, kept
from affiliates.referral import without_blanks
from orders.intake.incoming import IncomingOrder, LeftOut
from orders.intake.sources import Saying, is_address, why_unusable
from orders.models import Order, Shop, link_of_another

Reason = Order.NoAffiliate
Source = Order.Source
WITHOUT_AFFILIATE = "The order was stored without an affiliate."
_LINKS = ("cart", "link", "landing")


@dataclass(slots=True)
class Attributed:
    """What is left to do after `attribute`: the URL of the order's link, if it gets one, and what was left out."""

    url: str = ""
    left_out: list[LeftOut] = field(default_factory=list)


# --- who the customer is ---------------------------------------------------------
def customer_hash(email: str) -> str:
    """The keyed hash of an e-mail address, 64 characters; "" of none. It is compared, and the address never kept."""
    normal = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).strip().casefold())
    if not normal:
        return ""
    return salted_hmac("orders.intake.customer", normal.encode("utf-8", "replace"), algorithm="sha256").hexdigest()


def _is_self_referral(incoming: IncomingOrder, affiliate: Affiliate | None) -> bool:
    if not incoming.customer or affiliate is None:
        return False
    return constant_time_compare(incoming.customer, customer_hash(affiliate.email))


# --- who decides ---------------------------------------------------------------
def is_settled(order: Order, incoming: IncomingOrder, said: Collection[Saying]) -> bool:
    """Whether an order that has its affiliate keeps it, because a shop repeats what it said when that was decided.

    So a coupon that became another's meanwhile takes no old order along.
    """
    if order.affiliate is None or incoming.affiliate_code is not None or incoming.link is not None:
        return False
    if _is_self_referral(incoming, order.affiliate) and not order.is_self_referral:
        return False
    return {(saying.source, saying.given) for saying in said} <= {
        (entry["source"], entry["given"]) for entry in order.attribution or ()
    }


def attribute(order: Order, incoming: IncomingOrder, said: list[Saying]) -> Attributed:
    """Give the order whom the sources name, or the reason why nobody; `said` was identified.

    Sets `affiliate`, `source`, `attribution`, `is_self_referral`, `no_affiliate_reason` and `referral_given`. Clears a
    `link` that is another's.
    """
    result = Attributed()
    stays, is_cleared = is_chosen(order, incoming), _is_clearing(incoming)
    if order.pk is None:
        order.source = incoming.source or ""
    if is_cleared and not stays:
        order.affiliate = order.link = None
        order.source = incoming.source or ""
    if (is_cleared and not stays) or incoming.link is not None:
        order.no_affiliate_reason = order.referral_given = ""
    if incoming.link is not None and not without_blanks(incoming.link):
        order.link = None
    decided = None if stays else next((saying for saying in _in_order(order, said) if saying.is_decisive), None)
    owner = decided.affiliate if decided else order.affiliate
    is_self = _is_self_referral(incoming, owner)
    if is_self and not stays and _leaves_out(order, owner):
        _leave_out(order, [saying for saying in said if saying.affiliate == owner])
        _note(order, incoming, said, None)
        return result
    if incoming.customer or owner != order.affiliate:
        order.is_self_referral = is_self
    if decided:
        order.source = _source_of(decided, incoming)
    order.affiliate = owner
    result.left_out = _problems(said, owner)
    _set_link(order, said, decided, result)
    if owner is None and not stays:
        _leave_without(order, said, is_asked=is_cleared)
    _note(order, incoming, said, decided, stays=stays)
    return result


def _is_clearing(incoming: IncomingOrder) -> bool:
    return incoming.affiliate_code is not None and not without_blanks(incoming.affiliate_code)


def is_chosen(order: Order, incoming: IncomingOrder) -> bool:
    """Whether somebody named the order's affiliate outright, or that it has none, and what came is not as outright.

    What a person chose in the panel is changed by a person, or by a program that names the affiliate; not by a shop.
    """
    if not any(entry["source"] == "affiliate" and entry["decided"] for entry in order.attribution or ()):
        return False
    if order.source == Source.MANUAL:
        return incoming.affiliate_code is None or incoming.source is None
    return incoming.affiliate_code is None and incoming.link is None


def _in_order(order: Order, said: Iterable[Saying]) -> list[Saying]:
    """What names somebody outright, then links or coupons, whichever the shop has first."""
    is_coupon_first = order.shop is not None and order.shop.first == Shop.First.COUPON
    return sorted(
        said, key=lambda saying: (saying.source != "affiliate", (saying.source == "coupon") != is_coupon_first)
    )


def _leaves_out(order: Order, owner: Affiliate | None) -> bool:
    """Not an order that was this affiliate's already when it was known that they are the customer."""
    is_old = order.affiliate == owner and order.is_self_referral
    return order.shop is not None and order.shop.leaves_out_self_referrals and not is_old


def _source_of(decided: Saying, incoming: IncomingOrder) -> str:
    if decided.source == "affiliate":
        return incoming.source or Source.API
    return Source.COUPON if decided.source == "coupon" else Source.LINK


def _set_link(order: Order, said: Collection[Saying], decided: Saying | None, result: Attributed) -> None:
    """Find the URL of the owner's link: of what decided, else of the first that names them. Clear another's link."""
    owner = order.affiliate
    links = [saying for saying in said if saying.url]
    named = [saying for saying in links if saying.affiliate and saying.affiliate == owner]
    # A link that was handed over as such, and names nobody, is of whom the order is.
    bare = [saying for saying in links if saying.source == "link" and saying.affiliate is None and owner]
    for saying in sorted(named, key=lambda saying: saying is not decided) + bare:
        unusable = why_unusable(saying.url)
        url = kept(saying.url) if unusable else saying.url
        is_kept = can_be_kept(url)
        if unusable and saying.source == "link":
            outcome = "The important parts of it were kept." if is_kept else "It was left out."
            result.left_out.append(_warning(unusable, outcome))
        if is_kept:
            result.url = url
            break
    if order.link and owner and order.link.affiliate_id != owner.pk:
        if not result.url:
            result.left_out.append(_link_of_another(order.link.affiliate))
        order.link = None


def _problems(said: Collection[Saying], owner: Affiliate | None) -> list[LeftOut]:
    """What was named outright and is not used."""
    outcome = "It was left out." if owner else WITHOUT_AFFILIATE
    is_chosen = any(saying.source == "affiliate" and saying.affiliate for saying in said)
    found = []
    for saying in said:
        is_link_of_another = saying.source == "link" and None is not saying.affiliate != owner
        if saying.source == "affiliate" and saying.reason:
            found.append(_warning(Reason(saying.reason), outcome))
        elif is_link_of_another and owner and (is_chosen or not saying.reason):
            assert saying.affiliate
            found.append(_link_of_another(saying.affiliate))
        elif saying.source == "link" and saying.reason and (owner is None or is_link_of_another):
            found.append(_warning(Reason(saying.reason), outcome))
    return found


def _leave_out(order: Order, said: Collection[Saying]) -> None:
    """Take the order from the affiliate who is its customer, and keep what named them."""
    for saying in said:
        saying.reason = Reason.SELF_REFERRAL.value
    urls = [saying.url for saying in said if saying.url] + ([order.link.url] if order.link else [])
    order.no_affiliate_reason = Reason.SELF_REFERRAL.value
    order.referral_given = kept((urls + [saying.given for saying in said] or [""])[0])
    order.affiliate = order.link = None
    order.source, order.is_self_referral = "", True


def _leave_without(order: Order, said: Sequence[Saying], *, is_asked: bool) -> None:
    """Keep why an order has no affiliate, unless that was asked for, and what could still give it one."""
    wrong = {saying.source: saying for saying in reversed(said) if saying.reason and _is_worth_keeping(saying)}
    saying = next((wrong[source] for source in (*_LINKS, "affiliate", "coupon") if source in wrong), None)
    if saying is None:
        if order.shop is not None and not is_asked:
            order.no_affiliate_reason, order.referral_given = Reason.NOTHING_GIVEN.value, ""
        return
    order.no_affiliate_reason = saying.reason
    if saying.source == "affiliate":
        order.referral_given = kept(order.referral_given or saying.code)
    else:
        order.referral_given = kept(saying.url or saying.given)


def _is_worth_keeping(saying: Saying) -> bool:
    """A landing page without a referral is what most orders have."""
    return saying.source == "link" or saying.reason != Reason.NO_REFERRAL


def _note(
    order: Order, incoming: IncomingOrder, said: list[Saying], decided: Saying | None, *, stays: bool = False
) -> None:
    """Note what the sources said, beside what others said before."""
    new = [saying.entry(decided=saying is decided) for saying in said]
    if _is_clearing(incoming) and decided is None:
        new.insert(0, Saying("affiliate", "").entry(decided=True))
    fields = {
        "affiliate": incoming.affiliate_code,
        "cart": incoming.cart_link,
        "link": incoming.link,
        "landing": incoming.landing,
        "coupon": incoming.coupons,
    }
    old = order.attribution or []
    if stays:
        chosen = [entry for entry in old if entry["decided"]]
        order.attribution = chosen + [entry for entry in new if entry["source"] != "affiliate"]
        return
    unsaid = [entry for entry in old if fields.get(entry["source"]) is None]
    if decided:
        unsaid = [entry | {"decided": False} for entry in unsaid]
    order.attribution = [*unsaid, *new] or order.attribution


def choose(order: Order, affiliate: Affiliate | None, url: str = "") -> None:
    """Note that a person chose whose the order is, or typed only the link with this URL, which names them.

    Sets `source`, `attribution` and `is_self_referral`; saves nothing.
    """
    chosen = Saying("link" if url else "affiliate", url or (affiliate.code if affiliate else ""), affiliate=affiliate)
    said = order.attribution or []
    others = [entry | {"decided": False} for entry in said if entry["source"] != chosen.source]
    order.source = Source.LINK if url and order.pk is None else Source.MANUAL
    order.attribution = [chosen.entry(decided=True), *others]
    code = affiliate.code if affiliate else None
    order.is_self_referral = any((e["reason"], e["affiliate"]) == (Reason.SELF_REFERRAL, code) for e in said)


# --- what is said of it --------------------------------------------------------
def warnings_of(order: Order) -> list[LeftOut]:
    """Why a saved order has no affiliate, if it named one."""
    if not order.why_no_affiliate or order.no_affiliate_reason == Reason.NOTHING_GIVEN:
        return []
    return [_warning(Reason(order.no_affiliate_reason), WITHOUT_AFFILIATE)]


def _warning(reason: Reason, outcome: str) -> LeftOut:
    fields = {Reason.UNKNOWN_AFFILIATE: "affiliate", Reason.UNKNOWN_COUPON: "coupon", Reason.SELF_REFERRAL: "affiliate"}
    return LeftOut(fields.get(reason, "link"), reason.value, f"{reason.label} {outcome}")


def _link_of_another(owner: Affiliate) -> LeftOut:
    return LeftOut("link", "link_of_another_affiliate", f"The link belongs to {owner.name}. It was left out.")


# --- for a person who can correct what they typed --------------------------------
def resolve_link(affiliate: Affiliate | None, url: str) -> tuple[Affiliate | None, Link | None]:
    """The affiliate and the link of an order that came in through `url`, the link made if it is new.

    Without `affiliate`, the link's referral parameter names it. Raises `ValidationError` with code `bad_link` (no valid
    http or https URL), `link_of_another_affiliate`, or `unknown_referral` (no affiliate has that code). An empty `url`
    gives no link.
    """
    url = without_blanks(url)
    if not url:
        return affiliate, None
    named = search.named_by(url)
    owner = affiliate or named
    if affiliate and named and named != affiliate:
        raise link_of_another(named)
    if not is_address(url):
        raise ValidationError(
            _("This is not a web address. Enter the full URL, such as https://shop.example/?ref=joe."), code="bad_link"
        )
    if owner is None:
        code = search.code_in(url)
        wrong = _("No affiliate has the code “%(code)s” in this link. Choose the affiliate, or correct the link.")
        missing = _("This link contains no affiliate code. Choose the affiliate, or correct the link.")
        raise ValidationError(wrong if code else missing, code="unknown_referral", params={"code": code})
    return owner, Link.objects.find_or_make(owner, url)

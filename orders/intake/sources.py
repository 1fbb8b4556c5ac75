"""What came with an order and may say whose it is: read into `Saying`s, and the affiliates looked up that they name.

Which of them decides is `orders.intake.attribution`.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from affiliates import search
from affiliates.models import LINK_MAX_LENGTH, Affiliate, Coupon, can_be_kept, folded_coupon, is_storable, kept
from affiliates.referral import without_blanks
from orders.intake.incoming import IncomingOrder
from orders.models import COUPON_MAX_LENGTH, Order, Shop

Reason = Order.NoAffiliate

MAX_COUPONS = 20  # of an order that are looked at
_SPACE = re.compile(r"\s")
_UNSTORABLE = re.compile("[\0-\x1f\ud800-\udfff]")
_TECHNICAL = re.compile(
    r"(?:(?:https?:)?//[^/?#]{1,255})?/(?:[0-9]{1,20}/)?(?:[a-z]{2}(?:-[a-z]{2,4})?/)?"
    r"(?:wallets/checkouts|checkouts|cart/c|orders|gift_cards|account/(?:activate|reset|login/multipass))(?:[/.?#]|\Z)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Saying:
    """What one source says of an order's affiliate.

    `given` is what came, as far as it is kept; `code` the affiliate's code in it, `coupon` a coupon as it is compared,
    `url` what a link of it would have, and `problem` what is wrong with that. `reason` is why it says nothing that can
    be used: a value of `NoAffiliate`.
    """

    source: str
    given: str
    code: str = ""
    coupon: str = ""
    url: str = ""
    problem: Order.NoAffiliate | None = None
    reason: str = ""
    affiliate: Affiliate | None = None

    @property
    def is_decisive(self) -> bool:
        return self.affiliate is not None and not self.reason

    def entry(self, *, decided: bool) -> dict[str, Any]:
        """As `Order.attribution` keeps it."""
        code = self.affiliate.code if self.affiliate else None
        return {
            "source": self.source,
            "given": self.given,
            "affiliate": code,
            "decided": decided,
            "reason": self.reason,
        }


# --- what the sources say ------------------------------------------------------
def read(incoming: IncomingOrder) -> list[Saying]:
    """What came, before anybody was looked up. Sources that say nothing at all are not in it."""
    said = []
    if code := without_blanks(incoming.affiliate_code or ""):
        said.append(Saying("affiliate", _storable(code)[: search.MAX_LENGTH], code=code))
    if url := without_blanks(incoming.cart_link or ""):
        said.append(_read_landing("cart", url, incoming.shop))
    if url := without_blanks(incoming.link or ""):
        why, given = why_unusable(url), kept(url)
        is_usable = why is None or (why is Reason.LINK_TOO_LONG and is_address(given))  # without what matters least
        reason = "" if why is None or is_usable else why.value
        said.append(Saying("link", given, search.code_in(url), url=url, problem=why, reason=reason))
    if url := without_blanks(incoming.landing or ""):
        said.append(_read_landing("landing", url, incoming.shop))
    coupons: dict[str, str] = {}
    for code in coupons_of(incoming):
        coupons.setdefault(folded_coupon(code), code)
    said += [Saying("coupon", code, coupon=folded) for folded, code in coupons.items() if folded]
    return said


def coupons_of(incoming: IncomingOrder) -> list[str]:
    """The codes that the customer used, as a column can keep them."""
    codes = (_storable(code).strip()[:COUPON_MAX_LENGTH] for code in (incoming.coupons or ())[:MAX_COUPONS])
    return [code for code in codes if code]


def joined(codes: Iterable[str]) -> str:
    """Coupons with commas between them, as many whole ones as `Order.coupon` holds."""
    text = ""
    for code in codes:
        longer = f"{text},{code}" if text else code
        if len(longer) > COUPON_MAX_LENGTH:
            break
        text = longer
    return text


def _read_landing(source: str, url: str, shop: Shop | None) -> Saying:
    """A landing page that nobody chose to send: without a referral, or if it is no page, only its path is kept."""
    code = search.code_in(url)
    url = kept(_with_address(url, shop))
    if not code or is_technical(url):
        return Saying(source, url.partition("?")[0].partition("#")[0], reason=Reason.NO_REFERRAL.value)
    return Saying(source, url, code, url=url)


def is_technical(url: str) -> bool:
    """Whether no customer came through this page, although a shop notes it as such. Many have a key in their path."""
    return _TECHNICAL.match(url) is not None


def _with_address(url: str, shop: Shop | None) -> str:
    """A URL that is only a path, with the shop's address in front of it if that is known."""
    if shop is None or not url.startswith(("/", "?")) or url.startswith("//"):
        return url
    address = shop.address or (f"https://{shop.domain}" if shop.domain else "")
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}/{url.removeprefix('/')}" if parts.netloc else url


def why_unusable(url: str) -> Reason | None:
    """Why nothing is done by this link alone; None if it is a whole web address."""
    if len(url) > LINK_MAX_LENGTH:
        return Reason.LINK_TOO_LONG
    if _SPACE.search(url):
        return Reason.LINK_HAS_SPACE
    if url.startswith(("/", "?", "#", ".")):
        return Reason.LINK_IS_PATH
    return None if is_address(url) else Reason.BAD_LINK


def is_address(url: str) -> bool:
    """Whether a link row may hold this as it is, host and all."""
    return len(url) <= LINK_MAX_LENGTH and not url.startswith("/") and is_storable(url) and can_be_kept(url)


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


# --- whom they name ------------------------------------------------------------
def identify(said: Collection[Saying], known: Affiliate | None = None) -> None:
    """Look up whom these name, of however many orders, in a few queries. `known` saves one for their own code."""
    codes = {saying.code for saying in said if saying.code}
    affiliates = {known.code: known} if known else {}
    if unknown := codes - affiliates.keys():
        affiliates |= search.by_codes(unknown)
    folded = {saying.coupon for saying in said if saying.coupon}
    coupons = Coupon.objects.select_related("affiliate").filter(folded__in=folded).order_by() if folded else ()
    owners = {coupon.folded: coupon.affiliate for coupon in coupons}
    for saying in said:
        saying.affiliate = owners.get(saying.coupon) if saying.coupon else affiliates.get(saying.code)
        if saying.affiliate is None and not saying.reason:
            saying.reason = _unknown(saying).value


def _unknown(saying: Saying) -> Reason:
    if saying.coupon:
        return Reason.UNKNOWN_COUPON
    if saying.source == "affiliate":
        return Reason.UNKNOWN_AFFILIATE
    return Reason.UNKNOWN_REFERRAL if saying.code else Reason.NO_REFERRAL

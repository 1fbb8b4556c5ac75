"""The one way in for all that hands over orders: saves one, and finds the affiliate and link of its referral URL."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from affiliates import search
from affiliates.models import LINK_MAX_LENGTH, Affiliate, Link, can_be_kept, kept, validate_text
from affiliates.referral import without_blanks
from orders.intake.incoming import KEEP, IncomingOrder, LeftOut, Placed
from orders.models import NUMBER_MAX_LENGTH, Order, Shop, link_of_another

# Besides the number, the affiliate, the link and the commission.
FIELDS = ("amount", "currency", "status")

Reason = Order.NoAffiliate
WITHOUT_AFFILIATE = "The order was stored without an affiliate."


class UnknownOrderError(Exception):
    """There is no order with this external id, and what came is not enough to make one."""


def place(incoming: IncomingOrder) -> Placed:
    """Save the order that came in: a new one, or the changes to the one that is there.

    It is found by the shop's external id, else by its number. A code or a link that cannot be used refuses nothing. It
    is left out with a warning: a new order then has no affiliate, and keeps the reason and what was given. Raises
    `ValidationError` with the fields' names and codes, or `UnknownOrderError`.
    """
    try:
        return _place(incoming)
    except IntegrityError:  # a request at the same time has just made this order
        return _place(incoming)


def place_many(incoming: Sequence[IncomingOrder]) -> list[Placed | ValidationError | UnknownOrderError]:
    """As `place` for each, in their order; what is refused is in the place of its result and spoils no other."""
    results: list[Placed | ValidationError | UnknownOrderError] = []
    for each in incoming:
        try:
            results.append(place(each))
        except (ValidationError, UnknownOrderError) as error:
            results.append(error)
    return results


def _place(incoming: IncomingOrder) -> Placed:
    with transaction.atomic():
        order = find(incoming.number, incoming.shop, incoming.external_id, lock=True)
        is_new = order is None
        order = order or Order(number=incoming.number, shop=incoming.shop, external_id=incoming.external_id)
        for name in FIELDS:
            if (value := getattr(incoming, name)) is not None:
                setattr(order, name, value)
        if incoming.commission is not KEEP:
            order.commission = incoming.commission  # `save` computes it if it is None
        warnings = _set_affiliate_and_link(order, incoming.affiliate_code, incoming.link)
        order.full_clean(exclude=set() if is_new else {"number"})  # it was found by its number
        order.save()
    return Placed(order, is_new, tuple(warnings or warnings_of(order)), order.before != order.after)


def find(number: str, shop: Shop | None = None, external_id: str = "", *, lock: bool = False) -> Order | None:
    """The shop's order with this external id, else with this number, whether or not white space is at its ends."""
    numbers = [text for text in (number, without_blanks(number)) if _can_be_number(text)]
    orders = Order.objects.select_related("affiliate", "link").filter(shop=shop)
    if lock:
        orders = orders.select_for_update(no_key=True, of=("self",))
    if external_id and (known := orders.filter(external_id=external_id).first()):
        return known
    found = {order.number: order for order in orders.filter(number__in=numbers)}
    return next((found[text] for text in numbers if text in found), None)


def _can_be_number(text: str) -> bool:
    """Whether a row may have this number. A query with other texts may be an error."""
    try:
        validate_text(text[:NUMBER_MAX_LENGTH])
    except ValidationError:
        return False
    return 0 < len(text) <= NUMBER_MAX_LENGTH


def warnings_of(order: Order) -> list[LeftOut]:
    """Why a saved order has no affiliate, if it named one."""
    return [_warning(Reason(order.no_affiliate_reason), WITHOUT_AFFILIATE)] if order.why_no_affiliate else []


def _warning(reason: Reason, outcome: str) -> LeftOut:
    field = "affiliate" if reason == Reason.UNKNOWN_AFFILIATE else "link"
    return LeftOut(field, reason.value, f"{reason.label} {outcome}")


def _set_affiliate_and_link(order: Order, code: str | None, url: str | None) -> list[LeftOut]:
    """Set what can be used of a code and a link; returns a warning for the rest."""
    code = None if code is None else without_blanks(code)
    url = None if url is None else without_blanks(url)
    if code == "":
        order.affiliate = order.link = None
    if code == "" or url is not None:
        order.no_affiliate_reason = order.referral_given = ""
    chosen = search.by_code(code) if code else None
    order.affiliate = chosen or order.affiliate
    problems = [Reason.UNKNOWN_AFFILIATE] if code and chosen is None else []
    left_out: list[LeftOut] = []
    if url == "":
        order.link = None
    elif url is not None:
        found = _set_link(order, chosen, url)
        if isinstance(found, Reason):
            problems.append(found)
        elif found:
            left_out.append(found)
    if order.affiliate and order.link and order.link.affiliate_id != order.affiliate.pk:
        left_out.append(_link_of_another(order.link.affiliate))
        order.link = None
    if order.affiliate is None and problems:
        order.no_affiliate_reason = problems[-1].value
        order.referral_given = kept(url or order.referral_given or code or "")
    outcome = "It was left out." if order.affiliate else WITHOUT_AFFILIATE
    return [*(_warning(problem, outcome) for problem in problems), *left_out]


def _set_link(order: Order, chosen: Affiliate | None, url: str) -> Reason | LeftOut | None:
    """Set the link, and the affiliate that it names. Returns why nothing was set, or what was left out."""
    named = search.named_by(url)
    if chosen and named and named != chosen:
        return _link_of_another(named)
    owner = chosen or named or order.affiliate
    why = _why_unusable(url)
    if owner is None or (why and owner != order.affiliate):
        return why or (Reason.UNKNOWN_REFERRAL if search.code_in(url) else Reason.NO_REFERRAL)
    order.affiliate = owner
    text = kept(url) if why else url
    is_kept = can_be_kept(text)
    if is_kept:
        order.link = Link.objects.find_or_make(owner, text)
    return _warning(why, "The important parts of it were kept." if is_kept else "It was left out.") if why else None


def _link_of_another(owner: Affiliate) -> LeftOut:
    return LeftOut("link", "link_of_another_affiliate", f"The link belongs to {owner.name}. It was left out.")


def _why_unusable(url: str) -> Reason | None:
    """Why nothing is done by this link alone; None if it is a whole web address."""
    if len(url) > LINK_MAX_LENGTH:
        return Reason.LINK_TOO_LONG
    if any(character.isspace() for character in url):
        return Reason.LINK_HAS_SPACE
    if url.startswith(("/", "?", "#", ".")):
        return Reason.LINK_IS_PATH
    return None if _is_address(url) else Reason.BAD_LINK


def _is_address(url: str) -> bool:
    try:
        Link(url=url).clean_fields(exclude={"affiliate", "digest"})
    except ValidationError:
        return False
    return True


def resolve_link(affiliate: Affiliate | None, url: str) -> tuple[Affiliate | None, Link | None]:
    """The affiliate and the link of an order that came in through `url`, the link made if it is new.

    For a person who can correct what they typed. Without `affiliate`, the link's referral parameter names it. Raises
    `ValidationError` with code `bad_link` (no valid http or https URL), `link_of_another_affiliate`, or
    `unknown_referral` (no affiliate has that code). An empty `url` gives no link.
    """
    url = without_blanks(url)
    if not url:
        return affiliate, None
    named = search.named_by(url)
    owner = affiliate or named
    if affiliate and named and named != affiliate:
        raise link_of_another(named)
    if not _is_address(url):
        raise ValidationError(
            _("This is not a web address. Enter the full URL, such as https://shop.example/?ref=joe."), code="bad_link"
        )
    if owner is None:
        code = search.code_in(url)
        wrong = _("No affiliate has the code “%(code)s” in this link. Choose the affiliate, or correct the link.")
        missing = _("This link contains no affiliate code. Choose the affiliate, or correct the link.")
        raise ValidationError(wrong if code else missing, code="unknown_referral", params={"code": code})
    return owner, Link.objects.find_or_make(owner, url)

"""One order between what came and what is stored: what is applied to it, checked and saved.

Finding it, and what goes into one transaction, is `orders.intake.place`.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from affiliates.models import Link, digest_of
from orders.intake import attribution, refunds, sources
from orders.intake.attribution import warnings_of
from orders.intake.incoming import KEEP, IncomingOrder, LeftOut, Placed
from orders.models import Order

FUTURE = timedelta(minutes=5)  # how far a shop's clock may be ahead of ours
# What is stored as it came, if it came.
FIELDS = ("amount", "subtotal", "refunded", "currency", "status", "ordered_at", "items", "customer_is_new")
ROUNDED = ("subtotal", "refunded")
# Found in the same transaction, or set here to what their columns hold.
UNCHECKED = frozenset(
    {"shop", "affiliate", "link", "source", "attribution", "is_self_referral", "coupon", "commission_rate"}
    | {"no_affiliate_reason", "referral_given", "source_updated_at", "source_triggered_at", "commission_on"}
)
_COLUMNS = [
    field.attname
    for field in Order._meta.concrete_fields  # noqa: SLF001 - Django's documented name
    if field.name not in {"id", "created_at", "updated_at"}
]


class Draft:
    """An order, and what came for it. Unless `is_older`: identify what is `said`, then `fill`, `check` and `save`."""

    def __init__(self, order: Order, incoming: IncomingOrder) -> None:
        """Raises `ValidationError` (`number_taken`) if it is the number of an order with another external id."""
        self.order, self.incoming = order, (incoming := _by_right_clock(incoming))
        order.request_id = incoming.request_id
        self.is_new = order.pk is None
        self.before = {} if self.is_new else {name: getattr(order, name) for name in _COLUMNS}
        self.url = ""
        self.left_out: list[LeftOut] = []
        self.rows = refunds.RefundRows()
        self.said: list[sources.Saying] = []
        if incoming.external_id and order.external_id not in {"", incoming.external_id}:
            taken = ValidationError(_("Another order of this shop already has this number."), code="number_taken")
            raise ValidationError({"number": taken})
        self.is_older = not self.is_new and _is_older(order, incoming)
        said = sources.read(incoming)
        self.is_settled = not self.is_new and attribution.is_settled(order, incoming, said)
        if not self.is_older and not self.is_settled:
            self.said = said

    def fill(self) -> None:
        """Set what came, and whose it is; the sayings are identified by now. The URL of its link is in `url`."""
        order, incoming = self.order, self.incoming
        order.external_id = incoming.external_id or order.external_id
        for name in FIELDS:
            if (value := getattr(incoming, name)) is not None:
                setattr(order, name, value)
        for name in ROUNDED:
            setattr(order, name, refunds.rounded(getattr(order, name), order.currency))
        if incoming.coupons is not None:
            order.coupon = sources.joined(sources.coupons_of(incoming))
        if incoming.commission is not KEEP and not self._is_calculated_already():
            order.commission = incoming.commission  # `save` computes it if it is None
        _set_times(order, incoming)
        is_said = _says_whose(incoming) or (incoming.customer and order.affiliate)
        if not self.is_settled and (self.is_new or is_said):
            attributed = attribution.attribute(order, incoming, self.said)
            self.url, self.left_out = attributed.url, attributed.left_out

    def _is_calculated_already(self) -> bool:
        order = self.order
        has_rate = order.commission_rate is not None or order.affiliate_id is None
        return self.incoming.commission is None and not self.is_new and not order.commission_given and has_rate

    @property
    def needs_link(self) -> bool:
        link = self.order.link
        is_there = link is not None and (link.affiliate_id, link.url) == (self.order.affiliate_id, self.url)
        return bool(self.url) and not is_there

    def check(self) -> None:
        """Check all that came, and settle the money. Raises `ValidationError` with the fields' names and codes.

        That nobody has its number was seen when it was looked for; the database holds it.
        """
        unchecked = UNCHECKED if self.is_new else UNCHECKED | {"number"}
        self.order.full_clean(exclude=unchecked, validate_unique=False, validate_constraints=False)
        self.rows = refunds.settle(self.order, self.incoming, self.before)

    @property
    def has_changes(self) -> bool:
        return self.is_new or bool(self.rows or self.changed)

    @property
    def changed(self) -> list[str]:
        """The columns of a stored order that are other than in its row."""
        return [name for name, value in self.before.items() if getattr(self.order, name) != value]

    def save(self) -> Placed:
        changed = self.changed
        if self.is_new:
            self.order.save()
        elif changed:
            self.order.save(update_fields=changed)
        refunds.write([self.rows])
        return self.placed(is_saved=self.is_new or bool(changed))

    def placed(self, *, is_saved: bool) -> Placed:
        order = self.order
        is_changed = is_saved and order.before != order.after
        return Placed(order, self.is_new, tuple(self.left_out or warnings_of(order)), is_changed, self.is_older)


def find_or_make_links(drafts: Iterable[Draft]) -> None:
    """Give the orders of these drafts the links that they came in through; those that are new are made."""
    wanted: dict[tuple[int, str], list[Draft]] = defaultdict(list)
    for draft in drafts:
        if not draft.needs_link:
            continue
        assert draft.order.affiliate_id is not None, "only an affiliate has links"
        wanted[draft.order.affiliate_id, digest_of(draft.url)].append(draft)
    if not wanted:
        return
    owners, digests = {owner for owner, _ in wanted}, {digest for _, digest in wanted}
    rows = Link.objects.filter(affiliate__in=owners, digest__in=digests).order_by()
    links = {(link.affiliate_id, link.digest): link for link in rows}
    if missing := wanted.keys() - links.keys():
        new = [Link(affiliate_id=owner, url=wanted[owner, digest][0].url) for owner, digest in sorted(missing)]
        Link.objects.bulk_create(new, ignore_conflicts=True)  # and in order, as another may make them at the same time
        links = {(link.affiliate_id, link.digest): link for link in rows.all()}
    for key, of_link in wanted.items():
        for draft in of_link:
            draft.order.link = links[key]


def _says_whose(incoming: IncomingOrder) -> bool:
    sources: tuple[Any, ...] = (incoming.affiliate_code, incoming.link, incoming.cart_link, incoming.landing)
    return incoming.coupons is not None or any(source is not None for source in sources)


# --- the order of messages -----------------------------------------------------
def _is_older(order: Order, incoming: IncomingOrder) -> bool:
    """Whether what came was made before what is stored. What is as old is applied again: it is the whole order."""
    if incoming.updated_at is None or order.source_updated_at is None:
        return False
    if incoming.updated_at != order.source_updated_at:
        return incoming.updated_at < order.source_updated_at
    if incoming.triggered_at is None or order.source_triggered_at is None:
        return False
    return incoming.triggered_at < order.source_triggered_at


def _set_times(order: Order, incoming: IncomingOrder) -> None:
    if incoming.updated_at is None:
        return
    if incoming.triggered_at or incoming.updated_at != order.source_updated_at:
        order.source_triggered_at = incoming.triggered_at
    order.source_updated_at = incoming.updated_at


def _by_right_clock(incoming: IncomingOrder) -> IncomingOrder:
    """What came, without times that no right clock showed then: believed, they would hinder all messages until then."""
    now = incoming.received_at or timezone.now()
    if incoming.updated_at and incoming.updated_at > now + FUTURE:
        incoming = replace(incoming, updated_at=now)
    if incoming.triggered_at and incoming.triggered_at > now + FUTURE:
        incoming = replace(incoming, triggered_at=None)
    return incoming

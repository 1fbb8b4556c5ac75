"""The one way in for all that hands over orders: saves one, and finds the affiliate and link of its referral URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from affiliates.models import Affiliate, Link, affiliate_named_by, code_in, validate_text
from orders.models import Order

# Besides the number, the affiliate and the link.
FIELDS = ("amount", "commission", "currency", "status")


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as it was saved, and whether it is a new one."""

    order: Order
    is_new: bool


def place(number: str, fields: Mapping[str, Any], *, affiliate_code: str | None, link_url: str | None) -> Placed:
    """Save the order with this number: a new one, or the changes to the one that is there.

    Of `fields`, those of `FIELDS` that are named are set and the rest stay. `affiliate_code` and `link_url` likewise:
    None leaves what is there, "" clears it. Raises `ValidationError` with the fields' names and codes.
    """
    _check_text(number=number, affiliate=affiliate_code or "")
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True, of=("self",)).filter(number=number).first()
        is_new = order is None
        order = order or Order(number=number)
        errors: dict[str, list[ValidationError]] = {}
        for name in FIELDS:
            if name in fields:
                setattr(order, name, fields[name])
        try:
            _set_affiliate_and_link(order, affiliate_code, link_url)
        except ValidationError as error:
            errors |= error.error_dict
        try:
            order.full_clean(exclude=errors)
        except ValidationError as error:
            errors |= error.error_dict
        if errors:
            raise ValidationError(errors)
        order.save()
    return Placed(order, is_new)


def _check_text(**texts: str) -> None:
    """Refuse texts that would be an error in a query."""
    errors = {}
    for name, text in texts.items():
        try:
            validate_text(text)
        except ValidationError as error:
            errors[name] = error
    if errors:
        raise ValidationError(errors)


def _set_affiliate_and_link(order: Order, affiliate_code: str | None, link_url: str | None) -> None:
    """Set the affiliate and the link of an order."""
    if affiliate_code is not None:
        order.affiliate = Affiliate.objects.filter(code=affiliate_code).first() if affiliate_code else None
        if affiliate_code and order.affiliate is None:
            raise ValidationError(
                {"affiliate": ValidationError("No affiliate has this code.", code="unknown_affiliate")}
            )
    if link_url is not None:
        chosen = order.affiliate if affiliate_code else None
        try:
            owner, order.link = resolve_link(chosen, link_url)
        except ValidationError as error:
            raise ValidationError({"link": error}) from error
        order.affiliate = owner or order.affiliate


def resolve_link(affiliate: Affiliate | None, url: str) -> tuple[Affiliate | None, Link | None]:
    """The affiliate and the link of an order that came in through `url`, the link made if it is new.

    Without `affiliate`, the link's referral parameter names it. Raises `ValidationError` with code `bad_link` (no
    valid http or https URL), `link_of_another_affiliate`, or `unknown_referral` (no affiliate has that code). An empty
    `url` gives no link.
    """
    url = url.strip()
    if not url:
        return affiliate, None
    named = affiliate_named_by(url)
    owner = affiliate or named
    if affiliate and named and named != affiliate:
        raise ValidationError(
            "This link belongs to %(name)s; clear it or choose that affiliate.",
            code="link_of_another_affiliate",
            params={"name": named.name},
        )
    link = Link(affiliate=owner, url=url) if owner else Link(url=url)
    try:
        link.clean_fields(exclude={"affiliate", "digest"})
    except ValidationError as error:
        raise ValidationError(
            "This is no link; enter the full address, such as https://shop.example/?ref=joe.", code="bad_link"
        ) from error
    if owner is None:
        code = code_in(url)
        wrong = "No affiliate has exactly the code “%(code)s”" if code else "No affiliate's code is"
        raise ValidationError(
            f"{wrong} in this link; choose the affiliate, or correct the link.",
            code="unknown_referral",
            params={"code": code},
        )
    return owner, Link.objects.find_or_make(owner, url)

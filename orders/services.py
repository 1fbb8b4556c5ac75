"""What people and programs do with orders: find the affiliate and the link that a referral URL names."""

from django.core.exceptions import ValidationError

from affiliates.models import Affiliate, Link, affiliate_named_by


def resolve_link(affiliate: Affiliate | None, url: str) -> tuple[Affiliate | None, Link | None]:
    """The affiliate and the link of an order that came in through `url`, the link made if it is new.

    Without `affiliate`, the link's referral parameter names it. Raises `ValidationError` with code `bad_link` (no
    valid http or https URL), `link_of_another_affiliate`, or `unknown_referral` (nobody has that code). An empty
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
        raise ValidationError(
            "No affiliate has the code in this link; choose the affiliate, or correct the link.",
            code="unknown_referral",
        )
    return owner, Link.objects.find_or_make(owner, url)

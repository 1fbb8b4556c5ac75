"""The API's routes of affiliates: read them, make and change them."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from ninja.responses import Status

from affiliates import search
from affiliates.models import Affiliate, Coupon, folded_coupon
from affiliates.portal import access as portal
from orders.api.access import Scope, Token
from orders.api.fields import Amount, Body, Coupons, UrlText
from orders.api.pages import PageOut, PageQuery, page
from orders.intake.problems import BODY, Problem, RefusedError, as_problems, errors

router = Router(tags=["Affiliates"])
FIELDS = ("name", "email", "status", "commission_rate")
NEEDED = {"name": "An affiliate needs a name.", "email": "An affiliate needs an e-mail address."}


class AffiliateIn(Body):
    """An affiliate, or changes to one. A field that is left out or null is not changed."""

    name: str | None = Field(None, description="Required for a new affiliate.", examples=["Joe's Coffee Blog"])
    email: str | None = Field(None, description="Required for a new affiliate.", examples=["joe@blog.example"])
    status: Affiliate.Status | None = Field(None, description="A new affiliate is approved unless you say otherwise.")
    commission_rate: Amount | None = Field(
        None, description="A fraction: 0.15 is 15 %. That of a new affiliate is 0.", examples=["0.15"]
    )
    coupons: Coupons | None = Field(
        None,
        description="All discount codes whose orders are theirs, in place of those that there are. Letter case does "
        "not matter.",
        examples=[["JOE10"]],
    )


class AffiliateOut(Schema):
    code: str
    name: str
    email: str
    status: str
    commission_rate: str
    coupons: list[str]
    created_at: datetime
    warnings: list[Problem] = Field(description="What was not done, and why.")


class AffiliatesOut(PageOut):
    affiliates: list[AffiliateOut]


@router.get(
    "/affiliates",
    response={200: AffiliatesOut} | errors(422),
    auth=Token(Scope.AFFILIATES_READ),
    summary="List affiliates",
    operation_id="list_affiliates",
)
def list_affiliates(request: HttpRequest, query: Query[PageQuery]) -> dict[str, Any]:
    """The newest first."""
    rows, after = page(request, query, Affiliate.objects.prefetch_related("coupons").order_by())
    return {"affiliates": [_shown(affiliate) for affiliate in rows], "next": after}


@router.get(
    "/affiliates/{code}",
    response={200: AffiliateOut} | errors(404, 422),
    auth=Token(Scope.AFFILIATES_READ),
    summary="Read an affiliate",
    operation_id="read_affiliate",
)
def read_affiliate(request: HttpRequest, code: UrlText) -> dict[str, Any]:
    """An old code finds its affiliate too."""
    return _shown(affiliate_of(code))


@router.put(
    "/affiliates/{code}",
    response={200: AffiliateOut, 201: AffiliateOut} | errors(404, *BODY),
    auth=Token(Scope.AFFILIATES_WRITE),
    summary="Create or change an affiliate",
    operation_id="save_affiliate",
)
def save_affiliate(request: HttpRequest, code: UrlText, affiliate: AffiliateIn) -> Status[dict[str, Any]]:
    """201 for a new affiliate, 200 for an existing one. Portal access is given in the panel."""
    try:
        return _save(code, affiliate)
    except IntegrityError:  # a request at the same time has just made this affiliate, or a coupon
        return _save(code, affiliate)


@transaction.atomic
def _save(code: str, given: AffiliateIn) -> Status[dict[str, Any]]:
    warnings: list[tuple[str, str, str]] = []
    known = search.by_code(code)
    saved = Affiliate.objects.select_for_update(no_key=True).get(pk=known.pk) if known else Affiliate(code=code)
    values = {name: value for name in FIELDS if (value := getattr(given, name)) is not None}
    email_before = saved.email
    for name, value in values.items():
        setattr(saved, name, value)
    if missing := {name: why for name, why in NEEDED.items() if not getattr(saved, name)}:
        raise ValidationError({name: ValidationError(why, code="blank") for name, why in missing.items()})
    saved.full_clean()
    has_new_login = saved.user_id is not None and saved.email != email_before
    if has_new_login:
        _check_login(saved)
    saved.save(**({"update_fields": values} if known else {}))
    if has_new_login:
        try:
            portal.follow_email(saved)
        except ValidationError as error:
            kept = f"The portal log-in keeps the old e-mail address. {' '.join(error.messages)}"
            warnings.append(("email", "login_kept", kept))
    if given.coupons is not None:
        _set_coupons(saved, given.coupons)
    return Status(200 if known else 201, _shown(saved, warnings))


def affiliate_of(code: str, *, is_locked: bool = False) -> Affiliate:
    """Raises `RefusedError` if nobody has this code, or had it before."""
    found = search.by_code(code)
    if found is None:
        raise RefusedError(404, "code", "not_found", "There is no affiliate with this code.")
    return Affiliate.objects.select_for_update(no_key=True).get(pk=found.pk) if is_locked else found


def _check_login(affiliate: Affiliate) -> None:
    try:
        portal.check_name_is_free(affiliate, affiliate.email)
    except ValidationError as error:
        raise ValidationError({"email": error}) from error


def _set_coupons(affiliate: Affiliate, codes: list[str]) -> None:
    """Delete those that are not among `codes` any more, and make the new ones."""
    wanted = {folded_coupon(code): code for code in codes}
    affiliate.coupons.exclude(folded__in=wanted).delete()
    known = set(affiliate.coupons.values_list("folded", flat=True))
    for folded, code in wanted.items():
        if folded not in known:
            coupon = Coupon(affiliate=affiliate, code=code)
            try:
                coupon.full_clean(exclude={"folded"})
            except ValidationError as error:
                wrong = [
                    ValidationError(f"{code}: {' '.join(each.messages)}", code=each.code)
                    for each in error.error_dict["code"]
                ]
                raise ValidationError({"coupons": wrong}) from error
            coupon.save()


def _shown(affiliate: Affiliate, warnings: list[tuple[str, str, str]] | None = None) -> dict[str, Any]:
    return {
        "code": affiliate.code,
        "name": affiliate.name,
        "email": affiliate.email,
        "status": affiliate.status,
        "commission_rate": format(affiliate.commission_rate.normalize(), "f"),
        "coupons": [coupon.code for coupon in affiliate.coupons.all()],
        "created_at": affiliate.created_at,
        "warnings": as_problems(warnings or ()),
    }

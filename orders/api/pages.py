"""Lists in pages: newest first, each in bounded time, continued with the `next` of the page before."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Schema

from config.listing.keys import Keys, key_in, page_of
from orders.api.fields import UrlText

LARGEST = 100
ALL = Keys()


class PageQuery(Schema):
    """What the address of every list may say."""

    after: UrlText | None = Field(None, description="`next` of the page before. Missing: the first page.")
    limit: int = Field(50, ge=1, le=LARGEST, description="The most rows of a page.")


class PageOut(Schema):
    next: str | None = Field(
        description="For `after` of the next page; null on the last one. A page with few rows may not be the last."
    )


def page(
    request: HttpRequest, query: PageQuery, queryset: QuerySet[Any], keys: Keys = ALL
) -> tuple[list[Any], str | None]:
    """The rows of a page, and its `next`.

    Raises `ValidationError` for an `after` that no page gave, and for an unknown parameter: if it were ignored, more
    would be listed than was asked for.
    """
    for name in sorted(request.GET.keys() - type(query).model_fields.keys()):
        known = ", ".join(type(query).model_fields)
        wrong = f"There is no parameter with this name. Known: {known}."
        raise ValidationError({name[:100]: ValidationError(wrong, code="unknown_parameter")})
    before = None if query.after is None else key_in(query.after)
    if query.after is not None and before is None:
        raise ValidationError({"after": ValidationError("Send the `next` of a page.", code="invalid")})
    found = page_of(queryset, query.limit, before=before, keys=keys)
    return found.rows, None if found.older is None else str(found.older)

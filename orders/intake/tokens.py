"""Makes and recognises the tokens of programs that use the API."""

import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from config.security.encryption import digest
from orders.models import ApiToken

PREFIX = "apb_"
MOST_DAYS = 3650
USE_NOTED_EVERY = timedelta(minutes=1)  # more would be a write for each request


def create(name: str, days: int | None = None, scopes: Iterable[str] = ()) -> str:
    """Make a token called `name` and return it; it cannot be read again. An existing name gets a new token.

    It is valid for `days`, without them for ever. Without `scopes` it keeps those that it had, or may write orders.
    """
    record = ApiToken.objects.filter(name=name).first() or ApiToken(name=name)
    record.scopes = sorted(set(scopes)) or record.scopes
    return issue(record, days)


def issue(record: ApiToken, days: int | None = None) -> str:
    """Save `record` with a new token and return the token; it cannot be read again."""
    token = PREFIX + secrets.token_urlsafe(32)
    record.digest, record.last_used_at = digest(token), None
    record.expires_at = timezone.now() + timedelta(days=days) if days else None
    record.save()
    return token


def find(token: str) -> ApiToken | None:
    """The record of a token, expired or not, or None if there is no such token."""
    return ApiToken.objects.filter(digest=digest(token)).first()


def note_use(record: ApiToken) -> None:
    now = timezone.now()
    if record.last_used_at is None or record.last_used_at < now - USE_NOTED_EVERY:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
        ApiToken.objects.filter(unnoted, pk=record.pk).update(last_used_at=now)

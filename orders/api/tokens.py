"""Makes and recognises the tokens of programs that use the API."""

import secrets
import time
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from config.security.encryption import digest
from orders.models import ApiToken

PREFIX = "apb_"
MOST_DAYS = 3650
USE_NOTED_EVERY = timedelta(minutes=1)  # more would be a write for each request
KNOWN_S = 1.0

_known: dict[str, tuple[float, ApiToken]] = {}  # by their digests, with the time until which they are believed


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
    """The record of a token, expired or not, or None if there is no such token. To be read only.

    Each process remembers it for a second: so a token that is revoked or replaced is refused a second later.
    """
    key, now = digest(token), time.monotonic()
    until, record = _known.get(key, (0.0, None))
    if now >= until:
        _known.pop(key, None)
        if record := next(iter(ApiToken.objects.filter(digest=key)), None):
            _known[key] = now + KNOWN_S, record
    return record


def note_use(record: ApiToken) -> None:
    now = timezone.now()
    if record.last_used_at is None or record.last_used_at < now - USE_NOTED_EVERY:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
        ApiToken.objects.filter(unnoted, pk=record.pk).update(last_used_at=now)
        record.last_used_at = now

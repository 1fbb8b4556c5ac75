"""Tells whether a message was signed with one of a shop's secrets, by the bytes as they came. Pure: no database.

Shopify and WooCommerce send base64 of HMAC-SHA256 over the body. A shop of one's own signs by Standard Webhooks
(https://www.standardwebhooks.com), as our own postbacks are signed.
"""

import base64
import hmac
import re
from collections.abc import Iterable
from typing import Final

from orders.models.shop import key_of

TOLERANCE_S: Final = 300  # of the clocks of both sides
_LONGEST_SIGNATURE: Final = 100
_MOST_SIGNATURES: Final = 20
_TIMESTAMP = re.compile("[0-9]{1,12}")


def is_signed(secrets: Iterable[str], body: bytes, signature: str) -> bool:
    """Whether the signature is the body's, made with one of the secrets as text."""
    return _is_one_of(signature, [secret.encode("utf-8", "replace") for secret in secrets], body)


def is_signed_by_standard(
    secrets: Iterable[str], body: bytes, message_id: str, timestamp: str, signatures: str, now: float
) -> bool:
    """Whether one of the signatures is the message's. `now` is in seconds since 1970.

    A message of more than five minutes ago, or from the future, was perhaps recorded and is sent again by another.
    """
    if not message_id or not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE_S:
        return False
    content = b"%s.%s.%s" % (message_id.encode("utf-8", "replace"), timestamp.encode("ascii"), body)
    keys = [key for secret in secrets if (key := key_of(secret))]
    given = [each.removeprefix("v1,") for each in signatures.split()[:_MOST_SIGNATURES] if each.startswith("v1,")]
    return any(_is_one_of(each, keys, content) for each in given)


def _is_one_of(signature: str, keys: Iterable[bytes], content: bytes) -> bool:
    given = _decoded(signature)
    found = False
    for key in keys:  # all of them, so that the time does not tell which
        found |= given is not None and hmac.compare_digest(given, hmac.digest(key, content, "sha256"))
    return found


def _decoded(signature: str) -> bytes | None:
    """The 32 bytes of a signature in base64, or None."""
    if len(signature) > _LONGEST_SIGNATURE:
        return None
    try:
        given = base64.b64decode(signature.strip(), validate=True)
    except ValueError:
        return None
    return given if len(given) == 32 else None

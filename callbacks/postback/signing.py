"""Signs requests and makes secrets, by Standard Webhooks, version 1 (https://www.standardwebhooks.com).

A signature is HMAC-SHA256 over `id.timestamp.content`, with the decoded secret as the key.
"""

import base64
import hmac
import secrets
from datetime import datetime
from functools import lru_cache

from callbacks.egress.wording import Sentence as _

PREFIX = "whsec_"


UNREADABLE = _(
    "The signing secret cannot be read: it was encrypted with another SECRET_KEY. The operator can restore "
    "that key, or run manage.py rotate_secret_key with it."
)


class SecretError(ValueError):
    """Nothing can be signed with this secret. Its text is a sentence for people."""


def is_encrypted(secret: str) -> bool:
    """Whether it is as the database has it, because no key opened it: then it begins with a sign that is no ASCII."""
    return not secret[:1].isascii()


def new_secret() -> str:
    """A signing secret in the form of Standard Webhooks: `whsec_` and 24 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode("ascii")


def masked(secret: str) -> str:
    """The last four characters of a secret, to tell it from others; "" stays ""."""
    if is_encrypted(secret):
        return "cannot be read"
    return f"{PREFIX}••••••••{secret[-4:]}" if secret else ""


def secret_until(secret: str, until: datetime | None, moment: datetime) -> str:
    """A secret that was replaced and signs beside the new one until then; "" if that time is over at `moment`."""
    return secret if until and moment < until else ""


def headers(
    secret: str, message_id: str, timestamp: int, content: bytes, *, previous_secret: str = ""
) -> tuple[tuple[str, str], ...]:
    """The three `webhook-*` headers of one request.

    `timestamp` is in seconds since 1970. `content` is the body as sent; a GET has none, so the request target as sent
    (path and query) takes its place. While a secret is being replaced, `previous_secret` signs too: the header has
    both signatures with a space between, the new one first. Raises `SecretError` for a secret that is still
    encrypted, and another ValueError for one that is no base64.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, content)
    signatures = [_signature(secret, signed)]
    if previous_secret:
        signatures.append(_signature(previous_secret, signed))
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(signatures)),
    )


def _signature(secret: str, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode("ascii")


@lru_cache(maxsize=1024)
def _key(secret: str) -> bytes:
    if is_encrypted(secret):
        raise SecretError(UNREADABLE)
    encoded = secret.removeprefix(PREFIX)
    # Other implementations leave the padding out. b64decode needs it, and ignores more of it than is needed.
    return base64.b64decode(encoded + "==")

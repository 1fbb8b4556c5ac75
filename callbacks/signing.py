"""Signs a request by Standard Webhooks, version 1 (https://www.standardwebhooks.com).

HMAC-SHA256 with the secret's decoded part over `id.timestamp.content`. Pure: no clock, no settings.
"""

import base64
import hmac
from functools import lru_cache

PREFIX = "whsec_"


def headers(secret: str, message_id: str, timestamp: int, content: bytes) -> tuple[tuple[str, str], ...]:
    """The three `webhook-*` headers of one request.

    `timestamp` is in seconds since 1970. `content` is the body as sent; a GET has none, so the request target as sent
    (path and query) takes its place. Raises ValueError for a secret that is no base64.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, content)
    signature = base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode("ascii")
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", f"v1,{signature}"),
    )


@lru_cache(maxsize=1024)
def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(PREFIX)
    # Other implementations leave the padding out; b64decode wants it and ignores what is too much.
    return base64.b64decode(encoded + "==")

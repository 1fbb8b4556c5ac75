from standardwebhooks import Webhook


def verify(secret, method, target, headers, body):
    """Raise WebhookVerificationError unless this is signed with `secret` and at most five minutes old.

    `target` is path and query, `body` the bytes, both as they arrived.
    """
    Webhook(secret).verify(body if method == "POST" else target, headers, json_parse=False)

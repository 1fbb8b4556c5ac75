"""Our signatures, verified by the public library of Standard Webhooks and by its published example."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from callbacks.postback import signing
from callbacks.postback.signing import new_secret

EVENT_ID = "0b9f8a52-6f0e-4a3c-9d55-2f1f4b6f1c11"


def test_headers_equal_the_example_of_the_reference_libraries() -> None:
    headers = signing.headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers == (
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    )


@pytest.mark.parametrize("content", [b'{"type": "order.created", "n": "\xe2\x82\xac"}', b"[]"])
def test_signature_of_a_json_body_verifies_with_the_public_library(content: bytes) -> None:
    secret = new_secret()
    headers = dict(signing.headers(secret, EVENT_ID, int(time.time()), content))
    Webhook(secret).verify(content, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(content + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(content, headers)


def test_signature_of_a_request_target_verifies_with_the_public_library() -> None:
    secret, target = new_secret(), b"/postback?order=%23100001&amount=58.00"
    headers = dict(signing.headers(secret, EVENT_ID, int(time.time()), target))
    Webhook(secret).verify(target, headers, json_parse=False)


def test_signature_while_a_secret_is_replaced_verifies_with_both() -> None:
    new, old, content = new_secret(), new_secret(), b'{"type":"order.created"}'
    headers = dict(signing.headers(new, "msg_1", int(time.time()), content, previous_secret=old))
    alone = dict(signing.headers(new, "msg_1", int(headers["webhook-timestamp"]), content))
    assert headers["webhook-signature"].split(" ")[0] == alone["webhook-signature"]
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        Webhook(secret).verify(content, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(content, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(content, alone)


def test_masked_secret_tells_it_from_others_and_no_more() -> None:
    secret = new_secret()
    assert signing.masked(secret) == f"whsec_••••••••{secret[-4:]}"
    assert signing.masked("") == ""


def test_secret_is_read_with_and_without_prefix_and_padding() -> None:
    secret = "whsec_" + base64.b64encode(b"25 bytes, so with padding").decode()
    assert secret.endswith("=")
    spellings = [secret, secret.rstrip("="), secret.removeprefix("whsec_")]
    assert len({signing.headers(spelling, EVENT_ID, 1, b"") for spelling in spellings}) == 1


def test_secret_that_is_no_base64_is_an_error() -> None:
    with pytest.raises(ValueError, match="base64"):
        signing.headers("whsec_a", EVENT_ID, 1, b"")

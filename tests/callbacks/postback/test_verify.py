"""The code that portal and documents show verifies what really goes out, in all three languages."""

import json
import runpy
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.test import Client
from standardwebhooks import WebhookVerificationError

from affiliates.portal.views import SNIPPETS, VERIFYING
from callbacks.delivery import dispatcher
from callbacks.models import CallbackSetting
from callbacks.postback import signing
from callbacks.setup import signing_secrets
from tests.affiliates.portal.test_views import sign_in, with_login
from tests.factories import AffiliateFactory, CallbackSettingFactory, LinkFactory, OrderFactory
from tests.receiver import Receiver

QUERY = "/pb?cid={{link.sub_id}}&o={{order.number}}&n=%C3%A9+a%2Cb"
KINDS = {"GET": ("GET", "form"), "POST form": ("POST", "form"), "POST JSON": ("POST", "json")}


@dataclass(frozen=True)
class Sent:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Verify = Callable[[str, Sent], bool]


def in_python(secret: str, sent: Sent) -> bool:
    verify = runpy.run_path(str(SNIPPETS / "verify.py"))["verify"]
    with suppress(WebhookVerificationError):
        verify(secret, sent.method, sent.target, sent.headers, sent.body)
        return True
    return False


def in_node(secret: str, sent: Sent) -> bool:
    code = (
        f"import {{ verify }} from {json.dumps((SNIPPETS / 'verify.mjs').as_uri())};"
        "import { readFileSync } from 'node:fs';"
        "const [secret, method, target, headers, body] = JSON.parse(readFileSync(0, 'utf8'));"
        "process.stdout.write(String(verify(secret, method, target, headers, Buffer.from(body, 'utf8'))));"
    )
    return _said(["node", "--input-type=module", "--eval", code], secret, sent)


def in_php(secret: str, sent: Sent) -> bool:
    code = (
        f"require {json.dumps(str(SNIPPETS / 'verify.php'))};"
        "echo var_export(verify(...json_decode(file_get_contents('php://stdin'), true)), true);"
    )
    return _said(["php", "-r", code], secret, sent)


def _said(command: list[str], secret: str, sent: Sent) -> bool:
    given = json.dumps([secret, sent.method, sent.target, sent.headers, sent.body.decode()])
    said = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=True).stdout
    assert said in {"true", "false"}
    return said == "true"


@pytest.fixture
def sent(receiver: Receiver, loopback: Any, broker: Any) -> dict[str, tuple[str, Sent]]:
    """One request of each kind, sent by the dispatcher, with the secret of its callback. The old one signs it too."""
    affiliate = AffiliateFactory()
    for name, (method, body_format) in KINDS.items():
        setting = CallbackSettingFactory(
            affiliate=affiliate, name=name, method=method, body_format=body_format,
            url=receiver.url(QUERY.replace("?", f"?kind={name.replace(' ', '-')}&")),
        )  # fmt: skip
        signing_secrets.rotate(setting)
    OrderFactory(
        affiliate=affiliate, number="#é 1", link=LinkFactory(affiliate=affiliate, url="https://a.example/?sub_id=ü")
    )
    dispatcher.run()
    found = {}
    for request in receiver.wait_for(len(KINDS)):
        name = next(name for name in KINDS if f"kind={name.replace(' ', '-')}&" in request.target)
        headers = {key.lower(): value for key, value in request.headers}
        secret = CallbackSetting.objects.get(name=name).secret
        found[name] = secret, Sent(request.method, request.target, headers, request.body)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verify", [in_python, in_node, in_php])
def test_code_of_the_portal_verifies_each_kind_of_request_and_no_other(
    sent: dict[str, tuple[str, Sent]], verify: Verify
) -> None:
    assert sent.keys() == KINDS.keys()
    for name, (secret, request) in sent.items():
        assert verify(secret, request), name
        previous = CallbackSetting.objects.get(name=name).previous_secret
        assert verify(previous, request), name
        assert not verify(signing.new_secret(), request)
        is_get = request.method == "GET"
        assert verify(secret, replace(request, target=request.target + "&x=1")) == (not is_get)  # POST signs no query
        assert verify(secret, replace(request, body=request.body + b" ")) == is_get
        assert not verify(secret, replace(request, headers=request.headers | {"webhook-id": "x"}))
        assert not verify(secret, replace(request, headers={}))
        old = str(int(time.time()) - 301)
        content = request.target.encode() if is_get else request.body
        resent = dict(signing.headers(secret, request.headers["webhook-id"], int(old), content))
        assert not verify(secret, replace(request, headers=request.headers | resent))


@pytest.mark.django_db
def test_portal_shows_the_code_and_no_secret(client: Client) -> None:
    affiliate = with_login(name="Joe")
    assert client.get("/portal/verify/").status_code == 302
    home = sign_in(client, affiliate).content.decode()
    assert 'href="/portal/verify/"' in home
    page = client.get("/portal/verify/")
    text = page.content.decode()
    assert [snippet["code"] for snippet in page.context["snippets"]] == [
        (SNIPPETS / name).read_text("utf-8").strip() for _, name, _ in VERIFYING
    ]
    assert "&lt;?php" in text
    assert "<?php" not in text
    for setting in CallbackSetting.objects.all():
        assert setting.secret not in text

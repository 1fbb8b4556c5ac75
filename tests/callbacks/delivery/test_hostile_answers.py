"""What any answer comes to, all the way: sent by the dispatcher, stored as an attempt, shown on its delivery's page."""

import contextlib
import email.utils
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from affiliates.models import Affiliate
from callbacks.delivery.dispatcher import Dispatcher
from callbacks.delivery.retry import JITTER, WAITS
from callbacks.egress.addresses import Policy
from callbacks.egress.outcome import status_phrase
from callbacks.egress.transport import Transport
from callbacks.models import Attempt, CallbackSetting, Delivery
from orders.models import Order
from tests.authority import Authority
from tests.callbacks.egress import hostile
from tests.callbacks.egress.sending import AMPLE_LIMITS as LIMITS
from tests.callbacks.egress.sending import LOOPBACK
from tests.name_server import NameServer
from tests.receiver import Answer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]

# Here a hundred receivers share the process with the dispatcher. `test_hostile_growth` is stricter, and has only one.
LEEWAY_S = 1.0
NAME = "tracker.example"
Sent = dict[str, tuple[Delivery, Attempt]]


@pytest.fixture
def send(authority: Authority) -> Callable[..., Sent]:
    """Sends an order to each of these URLs, by one dispatcher, and gives what was stored of each."""

    def send(urls: Mapping[str, str], names: NameServer | None = None) -> Sent:
        affiliates = [
            Affiliate(name=url[:99], email=f"{n}@x.example", code=str(n)) for n, url in enumerate(urls.values())
        ]
        Affiliate.objects.bulk_create(affiliates)
        CallbackSetting.objects.bulk_create(
            CallbackSetting(affiliate=affiliate, event="order.created", method="GET", url=url)
            for affiliate, url in zip(affiliates, urls.values(), strict=True)
        )
        Order.objects.bulk_create(
            Order(number=label, affiliate=affiliate, amount=1, currency="USD")
            for affiliate, label in zip(affiliates, urls, strict=True)
        )
        policy = Policy(LOOPBACK, frozenset(range(1, 65536)))
        resolving = {"look_up": names.look_up} if names else {}
        transport = Transport(policy, limits=LIMITS, ca_bundle=authority.bundle, **resolving)
        with contextlib.closing(Dispatcher(transport)) as dispatcher:
            assert dispatcher.run() == len(urls)
        attempts = Attempt.objects.select_related("delivery__order")
        return {attempt.delivery.order.number: (attempt.delivery, attempt) for attempt in attempts}

    return send


def assert_stored(sent: Sent, label: str, *, kind: str, status: int | None, says: str) -> Attempt:
    delivery, attempt = sent[label]
    assert (label, attempt.error_kind, attempt.status_code) == (label, kind, status)
    assert says in attempt.detail
    assert attempt.detail.endswith(".")
    assert (attempt.total_ms or 0) < (LIMITS.total_s + LEEWAY_S) * 1000
    assert delivery.last_attempt_at - attempt.created_at < timedelta(seconds=LIMITS.total_s + 2 * LEEWAY_S)
    assert (delivery.status, delivery.last_error_kind) == ("pending" if kind else "succeeded", kind)
    assert len(attempt.response_excerpt.encode()) <= 3 * 4096  # what is no UTF-8 is shown by a sign of three bytes
    return attempt


def assert_shown(client: Client, attempt: Attempt) -> str:
    """The page of the delivery, on which the sentence stands."""
    response = client.get(attempt.delivery.get_absolute_url())
    assert response.status_code == 200
    page = response.content.decode()
    assert escape(attempt.detail) in page
    return page


def test_hostile_answers_are_stored_and_shown(send: Callable[..., Sent], admin_client: Client) -> None:
    with contextlib.ExitStack() as stack:
        urls = {}
        for label, case in hostile.ALL.items():
            receiver = stack.enter_context(Receiver())  # a host for each, because the circuit breaker counts by host
            receiver.answer("*", case.answer)
            urls[label] = receiver.url("/pb")
        began = time.monotonic()
        sent = send(urls)
        assert time.monotonic() - began < LIMITS.total_s + 5 * LEEWAY_S  # all at once, and writing them down
    for label, case in hostile.ALL.items():
        attempt = assert_stored(sent, label, kind=case.kind, status=case.status, says=case.says)
        assert_shown(admin_client, attempt)


# --- statuses ----------------------------------------------------------------
SUCCESSES = [200, 201, 202, 203, 204, 205, 206, 207, 208, 218, 226, 250, 299]
EMPTY = {204, 205}
REFUSALS = [400, 401, 402, 403, 404, 405, 406, 407, 409, 411, 413, 414, 415, 418, 421, 422, 423, 426, 431, 444, 451,
            499, 500, 501, 502, 504, 505, 508, 511, *range(520, 528), 530, 598, 599, 600, 777, 999]  # fmt: skip


def test_any_status_is_stored_and_shown(send: Callable[..., Sent], admin_client: Client, receiver: Receiver) -> None:
    for status in SUCCESSES + REFUSALS:
        body = b"" if status in EMPTY else b"said <b>so</b>"
        receiver.answer(f"/{status}", Answer(status=status, body=body))
    sent = send({str(status): receiver.url(f"/{status}") for status in SUCCESSES + REFUSALS})
    for status in SUCCESSES + REFUSALS:
        kind = "" if status in SUCCESSES else "status"
        says = f"The tracker answered {status_phrase(status)}."
        page = assert_shown(admin_client, assert_stored(sent, str(status), kind=kind, status=status, says=says))
        assert ("said &lt;b&gt;so&lt;/b&gt;" in page) == (status not in EMPTY)
        assert "<b>so" not in page


STEP_S = WAITS[0].total_seconds()


def date_in(seconds: int) -> str:
    return email.utils.format_datetime(timezone.now() + timedelta(seconds=seconds), usegmt=False)


# What the header says, and after how many seconds the next attempt is to be made, at least and at most.
AT_ONCE = (STEP_S, STEP_S * (1 + JITTER))
DAY = (86_400.0, 86_400.0)


def retry_afters() -> dict[str, tuple[str | None, tuple[float, float]]]:
    return {
        "none": (None, AT_ONCE),
        "seconds": ("120", (120, 120)),
        "fewer seconds than the schedule": ("1", AT_ONCE),
        "zero": ("0", AT_ONCE),
        "negative": ("-120", AT_ONCE),
        "fraction": ("120.5", AT_ONCE),
        "huge": ("999999999999999999999999", DAY),
        "a day and more": ("86401", DAY),
        "8,000 digits": ("9" * 8000, DAY),
        "other digits": ("١٢٠", AT_ONCE),
        "date": (date_in(600), (590, 601)),
        "date in the past": (date_in(-600), AT_ONCE),
        "date after years": ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        "date of the oldest kind": ("Sunday, 06-Nov-94 08:49:37 GMT", AT_ONCE),
        "date that cannot be": ("Mon, 99 Zzz 2030 99:99:99 GMT", AT_ONCE),
        "empty": ("", AT_ONCE),
        "words": ("soon", AT_ONCE),
        "markup": ("<script>alert(1)</script>", AT_ONCE),
    }


def test_retry_after_puts_off_the_next_attempt_but_not_for_ever(
    send: Callable[..., Sent], admin_client: Client, receiver: Receiver
) -> None:
    cases = {
        f"{status} {what}": (status, *case) for status in (408, 425, 429, 503) for what, case in retry_afters().items()
    }
    for number, (status, value, _) in enumerate(cases.values()):
        header = b"" if value is None else b"Retry-After: " + value.encode() + b"\r\n"
        head = b"HTTP/1.1 %d Later\r\n%sContent-Length: 0\r\n\r\n" % (status, header)
        receiver.answer(f"/{number}", Answer(raw=head))
    sent = send({label: receiver.url(f"/{number}") for number, label in enumerate(cases)})
    for label, (status, _, (least, most)) in cases.items():
        says = f"The tracker answered {status_phrase(status)}."
        attempt = assert_stored(sent, label, kind="status", status=status, says=says)
        ended = attempt.created_at + timedelta(milliseconds=attempt.total_ms or 0)
        wait = (sent[label][0].next_attempt_at - ended).total_seconds()
        assert least - 1 <= wait <= most + 2, label  # a busy machine may take note of an answer late
        if status == 503:
            assert "<script>alert" not in assert_shown(admin_client, attempt)


def test_gone_is_confirmed_after_an_hour_or_what_it_asks_for(
    send: Callable[..., Sent], admin_client: Client, receiver: Receiver
) -> None:
    receiver.answer("/plain", Answer(status=410))
    receiver.answer("/later", Answer(status=410, headers=(("Retry-After", "7200"),)))
    receiver.answer("/sooner", Answer(status=410, headers=(("Retry-After", "5"),)))
    sent = send({label: receiver.url(f"/{label}") for label in ("plain", "later", "sooner")})
    for label, hours in (("plain", 1), ("later", 2), ("sooner", 1)):
        attempt = assert_stored(sent, label, kind="status", status=410, says="410 Gone")
        assert_shown(admin_client, attempt)
        wait = (sent[label][0].next_attempt_at - attempt.created_at).total_seconds() / 3600
        assert hours - 0.001 <= wait <= hours * (1 + JITTER) + 0.001


# --- redirects ---------------------------------------------------------------
LOCATIONS: dict[str, bytes | None] = {
    "absolute": b"https://new.example/pb?a=1",
    "to ourselves": b"/pb",
    "relative": b"next?a=1",
    "of the same scheme": b"//new.example/pb",
    "without a value": b"",
    "missing": None,
    "of another scheme": b"ftp://new.example/",
    "of a file": b"file:///etc/passwd",
    "of a script": b"javascript:alert(1)",
    "of a blocked address": b"http://169.254.169.254/latest/meta-data/",
    "of this machine": b"http://localhost:8000/admin/",
    "with a password": b"https://me:secret@new.example/",
    "with markup": b"https://new.example/\"><script>alert('x')</script>",
    "with our braces": b"https://new.example/{{order.number}}{% load x %}",
    "in Latin-1": "https://new.example/\xe9".encode("latin-1"),
    "in UTF-8": "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/€".encode(),
    "with spaces": b"https://new.example/a b",
    "with a broken host": b"http://[::1/",
    "very long": b"https://new.example/" + b"a" * 5000,
    "longer than anything": b"https://new.example/" + b"a" * 50_000,
    "twice": b"https://new.example/\r\nLocation: https://new.example/",
}


def test_redirect_to_anywhere_is_never_followed_and_is_named(
    send: Callable[..., Sent], admin_client: Client, receiver: Receiver
) -> None:
    cases = {
        f"{status} {what}": (status, location)
        for status in (*range(300, 309), 399)
        for what, location in LOCATIONS.items()
    }
    for number, (status, location) in enumerate(cases.values()):
        line = b"" if location is None else b"Location: " + location + b"\r\n"
        receiver.answer(f"/{number}", Answer(raw=b"HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n" % (status, line)))
    sent = send({label: receiver.url(f"/{number}") for number, label in enumerate(cases)})
    assert sorted(request.path for request in receiver.requests) == sorted(f"/{n}" for n in range(len(cases)))
    for label, (status, location) in cases.items():
        says = "a redirect to " if location else "a redirect without a target"
        attempt = assert_stored(sent, label, kind="redirect", status=status, says=says)
        assert f"The tracker answered {status_phrase(status)}" in attempt.detail
        assert len(attempt.detail) < 700
        assert (location or b"").partition(b"\r")[0][:100].decode("latin-1") in attempt.detail
        if status == 302:
            page = assert_shown(admin_client, attempt)
            for markup in ("<script>alert", 'href="javascript:', 'href="ftp:', 'href="file:'):
                assert markup not in page


# --- TLS, names, connections -------------------------------------------------
def only_for(context: ssl.SSLContext, name: str) -> ssl.SSLContext:
    """A server that has several names and talks to nobody who does not say which of them is meant."""

    def refuse_others(_: object, asked_for: str | None, __: object) -> int | None:
        return None if asked_for == name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = refuse_others
    return context


@dataclass(frozen=True)
class Host:
    """How a host behaves before any HTTP is spoken, and what that comes to."""

    kind: str
    says: str
    receiver: Callable[[Authority], Receiver]
    scheme: str = "https"
    host: str = NAME


OLD = datetime(2021, 1, 1, tzinfo=UTC)
HOSTS: dict[str, Host] = {
    "good certificate": Host("", "200 OK", lambda a: Receiver(tls=a.context(NAME))),
    "self-signed": Host(
        "tls", "is self-signed", lambda a: Receiver(tls=a.self_signed()), host="127.0.0.1"
    ),
    "expired": Host("tls", "has expired", lambda a: Receiver(tls=a.context(NAME, not_after=OLD))),
    "for another name": Host("tls", "is for another host name", lambda a: Receiver(tls=a.context("other.example"))),
    "for the address only": Host("tls", "is for another host name", lambda a: Receiver(tls=a.context("127.0.0.1"))),
    "SNI wanted": Host("", "200 OK", lambda a: Receiver(tls=only_for(a.context(NAME), NAME))),
    "SNI of others wanted": Host("tls", "handshake", lambda a: Receiver(tls=only_for(a.context(NAME), "x.example"))),
    "SNI wanted where there is no name": Host(
        "tls", "handshake", lambda a: Receiver(tls=only_for(a.context("127.0.0.1"), NAME)), host="127.0.0.1"
    ),
    "handshake that stalls": Host("timeout", "TLS handshake with", lambda _: Receiver(on_connect="stall")),
    "handshake closed": Host("tls", "handshake", lambda _: Receiver(on_connect="close")),
    "no TLS there": Host("tls", "handshake", lambda _: Receiver()),
    "closed on connecting": Host("closed", "before the answer", lambda _: Receiver(on_connect="close"), "http"),
    "TLS there": Host("closed", "", lambda a: Receiver(tls=a.context(NAME)), "http"),
    "nothing on connecting": Host("timeout", "No answer within", lambda _: Receiver(on_connect="stall"), "http"),
    "name that does not exist": Host("dns", "was not found", lambda _: Receiver(), "http", "gone.example"),
    "name that cannot exist": Host("dns", "was not found", lambda _: Receiver(), "http", "a" * 64 + ".example"),
    "name that takes 30 s": Host("timeout", "DNS lookup", lambda _: Receiver(), "http", "slow.example"),
}  # fmt: skip


def test_hosts_that_cannot_be_talked_to_are_stored_and_shown(
    send: Callable[..., Sent], admin_client: Client, authority: Authority
) -> None:
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(NameServer({NAME: ["127.0.0.1"], "slow.example": None}))
        receivers = {label: stack.enter_context(host.receiver(authority)) for label, host in HOSTS.items()}
        sent = send(
            {label: f"{host.scheme}://{host.host}:{receivers[label].port}/pb" for label, host in HOSTS.items()}, names
        )
    for label, host in HOSTS.items():
        status = None if host.kind else 200
        assert_shown(admin_client, assert_stored(sent, label, kind=host.kind, status=status, says=host.says))

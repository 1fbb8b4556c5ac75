"""The door of the shops: takes a message, and stores what may be kept of it.

The signature is checked by `verify`, on the bytes as they came; `shopify`, `woocommerce` and `signed` know what each
kind of shop sends; what becomes of the message is `applying`.

A message with a right signature is answered 200, whatever becomes of it: sending it again would change nothing, and
shops stop sending to an address that refuses again and again. So is one for a shop that is not active: it is kept, and
can be applied once the shop is active again.

A message is applied before it is answered, so a quiet shop's order is in the trackers within a second. While this
process takes in several already, the next ones are only stored, which takes a tenth of the time, and a worker applies
them in the order in which they came (`orders.intake.received`).
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from threading import Lock
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError
from django.db.models import F
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from config.db_outages import note, outage
from config.security import security_log
from orders.intake import json_body, shopify, shopify_refunds, verify, woocommerce
from orders.intake.applying import TRANSLATORS, apply, store, store_with_others
from orders.intake.problems import GENERAL, answer
from orders.intake.translator import Headers
from orders.models import EXTERNAL_ID_MAX_LENGTH, Message, Shop

AT_ONCE = 3  # messages that one process takes in and applies; Shopify tells of one order by three in the same moment
NOTED_EVERY = timedelta(seconds=1)  # more would be a row for which all messages of a shop wait
BUSY_S = 1.0  # for how long a process that got more is busy: applying takes as much time as storing a dozen
FRESH_S = 1.0  # for how long a busy process need not read a shop again
AGAIN = "Send the same message again later; it is applied only once."

_lock = Lock()
_present = 0  # messages that this process takes in now
_busy_until = 0.0
_recent: dict[tuple[str, str], tuple[float, Shop]] = {}  # shops by kind and uuid, with the time when they were read


# --- what comes ----------------------------------------------------------------
@csrf_exempt
def receive(request: HttpRequest, kind: str, uuid: str) -> HttpResponse:
    """200 without a body for what has a right signature; 401, 404, 405, and 503 while the database is away."""
    if request.method != "POST":
        return answer(405, headers={"Allow": "POST"})
    try:
        body = request.body
    except UnreadablePostError:
        return answer(400)
    try:
        with _taking_in() as is_busy:
            return _receive(request, kind, uuid, body, is_busy=is_busy)
    except (DatabaseError, InterfaceError) as error:
        if not (sentence := outage(error)):
            raise
        return note(request, error, answer(503, [("", GENERAL[503][0], f"{sentence} {AGAIN}")]))


@contextlib.contextmanager
def _taking_in() -> Iterator[bool]:
    """Count a message for as long as it is taken in. True if this process gets many at once."""
    global _present, _busy_until  # noqa: PLW0603 - of all threads of the process
    with _lock:
        _present += 1
        if _present > AT_ONCE:
            _busy_until = time.monotonic() + BUSY_S
        is_busy = time.monotonic() < _busy_until
    try:
        yield is_busy
    finally:
        with _lock:
            _present -= 1


def _receive(request: HttpRequest, kind: str, uuid: str, body: bytes, *, is_busy: bool) -> HttpResponse:
    shop = _find_recent(kind, uuid) if is_busy else None
    is_signed = shop is not None and _is_signed(shop, request, body)
    if not is_signed:  # or its secret has just been rotated
        shop = _find(kind, uuid)
    if shop is None:
        return answer(404, [("", "unknown_shop", "There is no shop with this address. Copy the address again.")])
    if shop.kind == Shop.Kind.WOOCOMMERCE and woocommerce.is_ping(request.headers, body):
        _note_received(shop)
        return HttpResponse()
    if not (is_signed or _is_signed(shop, request, body)):
        security_log.warn(request, "shop_message_refused", shop=shop.pk)
        refused = {"refused_count": F("refused_count") + 1, "last_refused_at": timezone.now()}
        Shop.objects.filter(pk=shop.pk).update(**refused)
        wrong = "The signature is missing or wrong. Check the secret."
        if shop.kind == Shop.Kind.SIGNED:
            wrong += " Check the clock too: webhook-timestamp must be within five minutes of the time here."
        return answer(401, [("", "bad_signature", wrong)])
    headers = TRANSLATORS[Shop.Kind(shop.kind)].headers(request.headers, body)
    learnt = _learn(shop, headers)
    message = _read(shop, headers, body)
    try:
        if is_busy and message.kept is not None:
            if not store_with_others[Shop.Kind(shop.kind)](message):
                store([message])
        else:
            apply(message)
    except IntegrityError:
        if not _is_repeated(message):
            raise
    _note_received(shop, learnt)
    return HttpResponse()


def _find(kind: str, uuid: str) -> Shop | None:
    try:
        shop = Shop.objects.filter(uuid=UUID(uuid), kind=kind).first()
    except ValueError:
        return None
    if shop is not None:
        _recent[kind, uuid] = time.monotonic(), shop
    return shop


def _find_recent(kind: str, uuid: str) -> Shop | None:
    """The shop as it was a moment ago, if it was read then."""
    read_at, shop = _recent.get((kind, uuid), (0.0, None))
    return shop if time.monotonic() < read_at + FRESH_S else None


def _is_signed(shop: Shop, request: HttpRequest, body: bytes) -> bool:
    given, secrets = request.headers, shop.valid_secrets()
    if shop.kind == Shop.Kind.SIGNED:
        message_id, at, signatures = (given.get(f"webhook-{name}") or "" for name in ("id", "timestamp", "signature"))
        return verify.is_signed_by_standard(secrets, body, message_id, at, signatures, now=time.time())
    translator = shopify if shop.kind == Shop.Kind.SHOPIFY else woocommerce
    return verify.is_signed(secrets, body, translator.signature(given))


def _read(shop: Shop, headers: Headers, body: bytes) -> Message:
    """The message with what may be kept of it, not saved."""
    message = Message(
        shop=shop,
        key=headers.key,
        topic=headers.topic,
        triggered_at=headers.triggered_at,
        api_version=headers.api_version,
    )
    try:
        content = json_body.read(body)
    except json_body.BadJsonError as error:
        message.reason = str(error)
        return message
    kept = TRANSLATORS[Shop.Kind(shop.kind)].keep(headers.topic, content)
    message.kept = kept | {"domain": headers.domain, "test": headers.is_test or kept.get("test") is True}
    key = kept.get("order_id") or kept.get("id") or kept.get("number", "")
    message.external_id = key[:EXTERNAL_ID_MAX_LENGTH]
    return message


def _is_repeated(message: Message) -> bool:
    return bool(message.key) and Message.objects.filter(shop=message.shop_id, key=message.key).exists()


def _learn(shop: Shop, headers: Headers) -> dict[str, Any]:
    """What the headers say of the shop that is not stored yet. The domain is set, which links are made of."""
    found: dict[str, Any] = {}
    if headers.domain and not shop.domain:
        found["domain"] = shop.domain = headers.domain
    if headers.api_version and headers.api_version != shop.api_version:
        found["api_version"] = headers.api_version
    if headers.topic == shopify_refunds.UPDATED:
        now, before = timezone.now(), shop.updates_received_at
        if before is None or before < now - timedelta(days=1):
            found["updates_received_at"] = now
    return found


def _note_received(shop: Shop, learnt: Mapping[str, Any] = MappingProxyType({})) -> None:
    now = timezone.now()
    if learnt or shop.last_received_at is None or shop.last_received_at < now - NOTED_EVERY:
        for name, value in {"last_received_at": now, **learnt}.items():
            setattr(shop, name, value)
        Shop.objects.filter(pk=shop.pk).update(last_received_at=now, **learnt)

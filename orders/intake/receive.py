"""The door of the shops: takes a message, and stores what it says and what became of it.

The signature is checked by `verify`, on the bytes as they came; `shopify`, `woocommerce` and `signed` know what each
kind of shop sends; `place` saves the orders.

A message with a right signature is answered 200, whatever becomes of it: sending it again would change nothing, and
shops stop sending to an address that refuses again and again. So is one for a shop that is not active: it is kept, and
can be applied once the shop is active again.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

import structlog
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from config.db_outages import note, outage
from config.security import security_log
from orders.intake import json_body, place, shopify, signed, statuses, verify, woocommerce
from orders.intake.place import UnknownOrderError
from orders.intake.problems import GENERAL, answer
from orders.intake.translator import Headers, Ignored
from orders.models import Message, Order, Shop

TRANSLATORS = {Shop.Kind.SHOPIFY: shopify, Shop.Kind.WOOCOMMERCE: woocommerce, Shop.Kind.SIGNED: signed}
NOTED_EVERY = timedelta(seconds=1)  # more would be a row for which all messages of a shop wait
AGAIN = "Send the same message again later; it is applied only once."
Outcome = Message.Outcome

log = structlog.get_logger(__name__)


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
        return _receive(request, kind, uuid, body)
    except (DatabaseError, InterfaceError) as error:
        if not (sentence := outage(error)):
            raise
        return note(request, error, answer(503, [("", GENERAL[503][0], f"{sentence} {AGAIN}")]))


def _receive(request: HttpRequest, kind: str, uuid: str, body: bytes) -> HttpResponse:
    if (shop := _find(kind, uuid)) is None:
        return answer(404, [("", "unknown_shop", "There is no shop with this address. Copy the address again.")])
    if shop.kind == Shop.Kind.WOOCOMMERCE and woocommerce.is_ping(request.headers, body):
        _note_received(shop)
        return HttpResponse()
    if not _is_signed(shop, request, body):
        security_log.warn(request, "shop_message_refused", shop=shop.pk)
        refused = {"refused_count": F("refused_count") + 1, "last_refused_at": timezone.now()}
        Shop.objects.filter(pk=shop.pk).update(**refused)
        return answer(401, [("", "bad_signature", "The signature is missing or wrong. Check the secret.")])
    headers = TRANSLATORS[Shop.Kind(shop.kind)].headers(request.headers, body)
    learnt = _learn(shop, headers)
    message = _read(shop, headers, body)
    try:
        apply(message)
    except IntegrityError:
        if not _is_repeated(message):
            raise
    _note_received(shop, learnt)
    return HttpResponse()


def _find(kind: str, uuid: str) -> Shop | None:
    try:
        return Shop.objects.filter(uuid=UUID(uuid), kind=kind).first()
    except ValueError:
        return None


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
    message.external_id = kept.get("order_id", kept.get("id", ""))
    return message


def _is_repeated(message: Message) -> bool:
    return bool(message.key) and Message.objects.filter(shop=message.shop_id, key=message.key).exists()


def _learn(shop: Shop, headers: Headers) -> dict[str, str]:
    """What the headers say of the shop that is not stored yet. The domain is set, which links are made of."""
    found = {}
    if headers.domain and not shop.domain:
        found["domain"] = shop.domain = headers.domain
    if headers.api_version and headers.api_version != shop.api_version:
        found["api_version"] = headers.api_version
    return found


def _note_received(shop: Shop, learnt: Mapping[str, str] = MappingProxyType({})) -> None:
    now = timezone.now()
    if learnt or shop.last_received_at is None or shop.last_received_at < now - NOTED_EVERY:
        Shop.objects.filter(pk=shop.pk).update(last_received_at=now, **learnt)


# --- what becomes of it --------------------------------------------------------
def apply(message: Message) -> Message:
    """Apply a kept message, once more if it was applied before, and store what became of it.

    In one transaction, so that it is applied wholly or not at all. The messages about one order are applied one after
    another. Raises `IntegrityError` for a new message with a key that was there before.
    """
    with transaction.atomic():
        if message.external_id and connection.vendor == "postgresql":  # SQLite lets one write at a time
            with connection.cursor() as cursor:
                name = f"{message.shop_id} {message.external_id}"
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        if message.kept is None:  # it could not be read
            message.outcome = message.outcome or Outcome.REFUSED
        else:
            _apply(message)
        message.save()
        if message.outcome == Outcome.CREATED:
            for waiting in _waiting(message):
                apply(waiting)
    return message


def _waiting(message: Message) -> list[Message]:
    """Messages about an order that came before it."""
    others = Message.objects.filter(shop=message.shop_id, external_id=message.external_id, outcome=Outcome.WAITING)
    return list(others.select_related("shop").order_by("pk"))


def _apply(message: Message) -> None:
    """Set what becomes of the message, after its order was saved."""
    message.order, message.reason = None, ""
    if stop := _stop(message):
        message.outcome, message.reason = stop.outcome, stop.reason
        return
    try:
        _place(message)  # which undoes by itself what it has begun
    except ValidationError as error:
        message.outcome, message.reason = Outcome.REFUSED, _sentences(error)
    except UnknownOrderError:
        message.outcome, message.reason = Outcome.IGNORED, _("There is no order with this ID here.")
    except Exception as error:
        if outage(error):
            raise
        # Shops do not send a message again for as long as we take to mend this. It is kept, and can be applied then.
        log.exception("message_not_applied", shop=message.shop_id, topic=message.topic)
        message.outcome, message.reason = Outcome.REFUSED, _("Our own error. Apply the message again after an update.")


def _stop(message: Message) -> Ignored | None:
    """Why nothing is made of the message, whatever is in it."""
    kept, shop = message.kept or {}, message.shop
    if shop.domain and kept.get("domain") and kept["domain"] != shop.domain:
        found = {"other": kept["domain"], "domain": shop.domain}
        return Ignored(_("It came from %(other)s. This shop is %(domain)s.") % found, Outcome.REFUSED)
    if not shop.is_active:
        return Ignored(_("The shop is not active."))
    if kept.get("test") and not shop.accepts_test_orders:
        return Ignored(_("A test: no order was made."), Outcome.TEST)
    return None


def _place(message: Message) -> None:
    incoming = TRANSLATORS[Shop.Kind(message.shop.kind)].translate(message)
    if isinstance(incoming, Ignored):
        message.outcome, message.reason = incoming.outcome, incoming.reason
        return
    placed = place.place(replace(incoming, triggered_at=message.triggered_at))
    message.order = placed.order
    if placed.is_older:
        message.outcome = Outcome.OLDER
    elif placed.is_new:
        message.outcome = Outcome.CREATED
    else:
        message.outcome = Outcome.UPDATED if placed.is_changed else Outcome.UNCHANGED
    notes = [_notes_on_status(message), _notes_on_version(message), *(each.message for each in placed.warnings)]
    message.reason = " ".join(filter(None, notes))


def _notes_on_status(message: Message) -> str:
    theirs = (message.kept or {}).get("status", "")
    if statuses.is_known(message.shop, theirs):
        return ""
    return _("The status “%(status)s” has no meaning yet, so the order is new. Choose one in the shop's settings.") % {
        "status": theirs
    }


def _notes_on_version(message: Message) -> str:
    before, now = message.shop.api_version, message.api_version
    if not before or not now or before == now:
        return ""
    return _("The messages have version %(now)s of Shopify's API now; before it was %(before)s.") % {
        "now": now,
        "before": before,
    }


def _sentences(error: ValidationError) -> str:
    """What is wrong, with the fields' names before it."""
    fields = {field.name: field for field in Order._meta.fields}  # noqa: SLF001 - Django's documented name
    by_field: dict[str, list[ValidationError]] = getattr(error, "error_dict", {"": [error]})
    sentences = []
    for name, errors in by_field.items():
        begin = f"{capfirst(fields[name].verbose_name)}: " if name in fields else ""
        sentences += [f"{begin}{sentence}" for each in errors for sentence in each.messages]
    return " ".join(sentences)

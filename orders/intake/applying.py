"""Applies a message that was kept, and stores what became of it.

`shopify`, `woocommerce` and `signed` know what each kind of shop sends; `place` saves the orders. How messages come in
is `receive`; those that a busy process only stored are applied by `received`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from config.db_outages import outage
from orders.intake import place, shopify, signed, statuses, woocommerce
from orders.intake.group_commit import GroupCommit
from orders.intake.incoming import IncomingOrder, Placed
from orders.intake.place import UnknownOrderError
from orders.intake.translator import Ignored
from orders.models import Message, Order, Shop

TRANSLATORS = {Shop.Kind.SHOPIFY: shopify, Shop.Kind.WOOCOMMERCE: woocommerce, Shop.Kind.SIGNED: signed}
Outcome = Message.Outcome
UNFINISHED = (Outcome.RECEIVED, Outcome.WAITING)

log = structlog.get_logger(__name__)


def store(messages: Sequence[Message]) -> Sequence[Message]:
    """Store new messages for a worker, except those whose key was there before."""
    for message in messages:
        message.outcome, message.reason = Outcome.RECEIVED, _notes_on_version(message)
    Message.objects.bulk_create(messages, ignore_conflicts=True)
    return messages


# Those of one kind: WooCommerce waits longer for a lock than others may.
store_with_others = {kind: GroupCommit(store) for kind in Shop.Kind}


def apply(message: Message) -> Message:
    """Apply a kept message, once more if it was applied before, and store what became of it.

    In one transaction, so that it is applied wholly or not at all. The messages about one order are applied one after
    another: a new one for which an earlier one still waits is only stored. Raises `IntegrityError` for a new message
    with a key that was there before.
    """
    with transaction.atomic():
        lock_orders([message])
        if message.pk is not None:
            message.refresh_from_db(from_queryset=_locked())
        unfinished = _unfinished(message)
        if message.pk is None and Outcome.RECEIVED in unfinished and message.kept is not None:
            store([message])
            return message
        if message.kept is None:  # it could not be read
            message.outcome = message.outcome or Outcome.REFUSED
        else:
            _apply(message)
        message.save(update_fields=None if message.pk is None else ["order", "outcome", "reason"])
        if message.outcome == Outcome.CREATED and Outcome.WAITING in unfinished:
            apply_waiting([message])
    return message


def _locked() -> QuerySet[Message]:
    return Message.objects.select_for_update(no_key=True, of=("self",)).select_related("shop")


def lock_orders(messages: Iterable[Message]) -> None:
    """Make other messages about the orders of these wait for the end of this transaction."""
    names = sorted({f"{message.shop_id} {message.external_id}" for message in messages if message.external_id})
    if names and connection.vendor == "postgresql":  # SQLite lets one write at a time
        with connection.cursor() as cursor:
            locks = "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(%s::text[]) AS name"
            cursor.execute(locks, [names])


def _unfinished(message: Message) -> set[str]:
    """The outcomes of those messages about the same order of which nothing is made yet."""
    if not message.external_id:
        return set()
    others = Message.objects.filter(shop=message.shop_id, external_id=message.external_id)
    return set(others.filter(outcome__in=UNFINISHED).order_by().values_list("outcome", flat=True))


def apply_waiting(created: Iterable[Message]) -> None:
    """Apply the messages that came before these, which have made their orders."""
    about = {(message.shop_id, message.external_id) for message in created}
    others = Message.objects.filter(outcome=Outcome.WAITING, external_id__in={key for _shop, key in about})
    for waiting in others.filter(shop__in={shop for shop, _key in about}).select_related("shop").order_by("pk"):
        if (waiting.shop_id, waiting.external_id) in about:
            apply(waiting)


def _apply(message: Message) -> None:
    """Set what becomes of the message, after its order was saved."""
    try:
        if incoming := translated(message):
            conclude(message, place.place(incoming))  # which undoes by itself what it has begun
    except (ValidationError, UnknownOrderError) as error:
        conclude(message, error)
    except Exception as error:
        if outage(error):
            raise
        # Shops do not send a message again for as long as we take to mend this. It is kept, and can be applied then.
        log.exception("message_not_applied", shop=message.shop_id, topic=message.topic)
        message.outcome, message.reason = (
            Outcome.REFUSED,
            _("This program has an error. Update it, then apply the message again."),
        )


def translated(message: Message) -> IncomingOrder | None:
    """The order that is to be placed. None if none is made of the message: then it says why.

    Raises what `place` raises.
    """
    # What was noted when it was stored; the shop may have learnt it since.
    message.reason = message.reason if message.outcome == Outcome.RECEIVED else _notes_on_version(message)
    message.order = None
    translate = TRANSLATORS[Shop.Kind(message.shop.kind)].translate
    found: IncomingOrder | Ignored = _stop(message) or translate(message)
    if isinstance(found, Ignored):
        message.outcome, message.reason = found.outcome, found.reason
        return None
    return replace(found, triggered_at=message.triggered_at, received_at=message.received_at)


def conclude(message: Message, result: place.Result) -> None:
    """Set what became of a message that was `translated`, by what became of its order."""
    if isinstance(result, ValidationError):
        message.outcome, message.reason = Outcome.REFUSED, _sentences(result)
        return
    if isinstance(result, UnknownOrderError):
        message.outcome, message.reason = Outcome.IGNORED, _("There is no order with this ID here.")
        return
    message.order = result.order
    if result.is_older:
        message.outcome = Outcome.OLDER
    elif result.is_new:
        message.outcome = Outcome.CREATED
    else:
        message.outcome = Outcome.UPDATED if result.is_changed else Outcome.UNCHANGED
    notes = [_notes_on_status(message, result), message.reason, *(each.message for each in result.warnings)]
    message.reason = " ".join(filter(None, notes))


def _stop(message: Message) -> Ignored | None:
    """Why nothing is made of the message, whatever is in it."""
    kept, shop = message.kept or {}, message.shop
    if shop.domain and kept.get("domain") and kept["domain"] != shop.domain:
        found = {"other": kept["domain"], "domain": shop.domain}
        return Ignored(_("The message came from %(other)s, but this shop is %(domain)s.") % found, Outcome.REFUSED)
    if not shop.is_active:
        return Ignored(_("The shop is not active."))
    if kept.get("test") and not shop.accepts_test_orders:
        return Ignored(_("This is only a test, so no order was created."), Outcome.TEST)
    return None


def _notes_on_status(message: Message, placed: Placed) -> str:
    """Once for each status."""
    theirs = (message.kept or {}).get("status", "")
    is_new = not placed.is_older and placed.order.status == Order.Status.NEW
    if not is_new or not statuses.is_first(message.shop, theirs):
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

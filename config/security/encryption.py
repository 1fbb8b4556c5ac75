"""Secrets at rest: encrypted with Fernet, under a key that is derived from SECRET_KEY.

An encrypted value is `🔒`, eight hex digits that tell under which key, `:`, and what Fernet made of it. A plain value
is read as it is. Those of an older release are encrypted an hour after an update, by a task, when its processes are
gone: until then both releases can sign with them. What this release stores meanwhile begins with a sign that is no
ASCII on purpose: the older one cannot sign with it, tries again in a few seconds, and then a worker of this one may be
quicker.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction

MARK = "🔒"


class WrongKeyError(ValueError):
    """Encrypted under another key than was given, or damaged."""


def encrypt(text: str, key: str | None = None) -> str:
    """Encrypt under `key`, else SECRET_KEY. "" stays "", and what is encrypted already stays as it is."""
    if not text or text.startswith(MARK):
        return text
    key = settings.SECRET_KEY if key is None else key
    return f"{_begin(key)}{_fernet(key).encrypt(text.encode()).decode('ascii')}"


def decrypt(stored: str, key: str | None = None) -> str:
    """The text of what `encrypt` made; a plain value stays as it is. Raises `WrongKeyError`."""
    if not stored.startswith(MARK):
        return stored
    return _decrypt(stored, settings.SECRET_KEY if key is None else key)


def readable(stored: str) -> str:
    """As `decrypt`, but what cannot be decrypted stays encrypted, so that it can be saved again and is not lost."""
    try:
        return decrypt(stored)
    except WrongKeyError:
        return stored


@lru_cache(maxsize=8192)  # the queue reads the secrets of every batch
def _decrypt(stored: str, key: str) -> str:
    begin = _begin(key)
    if not stored.startswith(begin):
        raise WrongKeyError
    try:
        return _fernet(key).decrypt(stored.removeprefix(begin)).decode()
    except (InvalidToken, ValueError) as error:  # a damaged one need not be ASCII
        raise WrongKeyError from error


@lru_cache(maxsize=4)
def _fernet(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_derived(key, b"affiliate postbacks: secrets at rest")))


@lru_cache(maxsize=4)
def _begin(key: str) -> str:
    """How every value that is encrypted under this key begins."""
    return f"{MARK}{_derived(key, b'affiliate postbacks: name of the key').hex()[:8]}:"


def _derived(key: str, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.encode("utf-8", "surrogateescape"))


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Text that is encrypted in its column. It can be neither searched nor compared there.

    A value that SECRET_KEY does not open is read as it is stored, which is no ASCII, and saved so.
    """

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return encrypt(text) if isinstance(text, str) else text

    def from_db_value(self, value: str | None, expression: object, connection: object) -> str | None:
        return None if value is None else readable(value)


# --- all that are stored ---------------------------------------------------------
def _columns() -> Iterator[tuple[type[models.Model], str]]:
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:  # noqa: SLF001 - Django's documented name
            if isinstance(field, EncryptedTextField):
                yield model, field.column


def count_unreadable() -> int:
    """How many secrets are encrypted under another key than SECRET_KEY. It decrypts none, so it costs little."""
    return _count(f"{MARK}%", _begin(settings.SECRET_KEY) + "%")


def count_plain() -> int:
    """How many secrets an older release left as they are."""
    return _count("_%", f"{MARK}%")


def _count(like: str, unlike: str) -> int:
    quoted = connection.ops.quote_name
    counts = [
        f"(SELECT count(*) FROM {quoted(model._meta.db_table)}"  # noqa: S608, SLF001 - our own names
        f" WHERE {quoted(column)} LIKE %s AND {quoted(column)} NOT LIKE %s)"
        for model, column in _columns()
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {' + '.join(counts)}", [like, unlike] * len(counts))
        return int(cursor.fetchone()[0])


def encrypt_plain() -> int:
    """Encrypt what an older release left plain, in one transaction; returns how many values."""
    return _rewrite(encrypt)


def reencrypt(old: str) -> int:
    """Encrypt under SECRET_KEY what was encrypted under `old`, in one transaction; returns how many values.

    Raises `WrongKeyError`, and changes nothing, if there is a value that neither of the two keys opens.
    """

    def anew(stored: str) -> str:
        if not stored.startswith(MARK):
            return stored
        try:
            decrypt(stored)
        except WrongKeyError:
            return encrypt(decrypt(stored, old))
        return stored

    return _rewrite(anew)


def _rewrite(change: Callable[[str], str]) -> int:
    """Replace each stored value by what `change` makes of it; returns how many became another one."""
    count = 0
    with transaction.atomic():
        for model, column in _columns():
            table, name, pk = (
                connection.ops.quote_name(part)
                for part in (model._meta.db_table, column, model._meta.pk.column)  # noqa: SLF001
            )
            lock = "FOR UPDATE" if connection.features.has_select_for_update else ""
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {pk}, {name} FROM {table} WHERE {name} <> '' ORDER BY {pk} {lock}")  # noqa: S608
                rows = [(changed, key) for key, stored in cursor.fetchall() if (changed := change(stored)) != stored]
                if rows:
                    cursor.executemany(f"UPDATE {table} SET {name} = %s WHERE {pk} = %s", rows)  # noqa: S608
            count += len(rows)
    return count


def digest(text: str) -> str:
    """SHA-256 in hex, to recognise a random text that is kept nowhere. What cannot be guessed needs no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

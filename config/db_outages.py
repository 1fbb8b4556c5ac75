"""Which errors mean that the database cannot do its work for now: it is away, busy, full or read-only.

Whoever asked can ask again later. What the database says about a wrong question is not among them.
"""

import sqlite3

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_noop as _

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 30
AWAY = _("The database does not answer. Try again in a minute.")
BUSY = _("The database is busy. Try again in a minute.")
FULL = _("The disk of the database is full. Try again in a minute.")
READ_ONLY = _("The database is read-only. Try again in a minute.")

_OF_SQLITE = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: AWAY,
    sqlite3.SQLITE_CANTOPEN: AWAY,
    sqlite3.SQLITE_NOMEM: AWAY,
}
_OF_POSTGRESQL = {
    "25006": READ_ONLY,  # read_only_sql_transaction, after a failover
    "53100": FULL,
    "55P03": BUSY,  # lock_not_available
    "40P01": BUSY,  # deadlock_detected
    "40001": BUSY,  # serialization_failure
    "57014": BUSY,  # query_canceled, by a timeout
}


def outage(error: BaseException | None) -> str:
    """What is wrong with the database, in an English sentence; "" if this is another error."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return ""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):  # its classes say little: a wrong question is an OperationalError too
        return _OF_SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, "")
    if sentence := _OF_POSTGRESQL.get(getattr(cause, "sqlstate", None) or ""):
        return sentence
    return AWAY if isinstance(error, OperationalError | InterfaceError) else ""


def is_deadlock(error: BaseException) -> bool:
    """Whether the database ended this transaction because another one waited for it too: the next may succeed."""
    return getattr(error.__cause__, "sqlstate", "") == "40P01"


def note(request: HttpRequest, error: BaseException | None, response: HttpResponse) -> HttpResponse:
    """Write one line about an outage into the log, where Django would write a traceback; the response that says so."""
    log.warning("database_unavailable", error=type(error).__name__, reason=outage(error), method=request.method)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    vars(response)["_has_been_logged"] = True
    return response

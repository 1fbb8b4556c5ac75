"""How every line of the log looks, whoever wrote it: this project with structlog, or a library with `logging`.

One line an event: when, level, logger, `event=` with a constant name, and fields. An error is told by its type and by
where it was raised, never by its text, which may repeat a value. What still looks like the query of an address, a
password in one, an e-mail address, or one of the installation's own secrets is cut out of every field.
"""

import contextlib
import json
import logging
import logging.config
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.stdlib import ProcessorFormatter

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATS = ("text", "json")
OURS = ("affiliates", "callbacks", "config", "orders", "security")

PLAIN = re.compile(r"[A-Za-z0-9_.@:/+\-]+", re.ASCII)
LONGEST, LONGEST_TEXT = 200, 1000  # characters of one field; of a library's sentence or of where an error was raised
FRAMES = 8  # of a traceback, the last ones
ROOT = f"{Path(__file__).resolve().parents[2]}/"

Fields = MutableMapping[str, Any]

# One list, because a logger keeps that of its first line: being configured again must not leave it behind.
PROCESSORS: list[Any] = [structlog.stdlib.filter_by_level, merge_contextvars, ProcessorFormatter.wrap_for_formatter]


def configuration(level: str, form: str, secrets: Iterable[str]) -> dict[str, Any]:
    """Django's setting LOGGING."""
    debug = level == "DEBUG"
    # Libraries tell at DEBUG what they send and get, and Celery at INFO of each task, several a second.
    libraries, celery = ("INFO" if debug else level), (level if debug or level not in LEVELS[:2] else "WARNING")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{__name__}.formatter", "form": form, "secrets": list(secrets)}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": libraries},
        "loggers": {
            **{name: {"level": level} for name in OURS},
            "security": {"level": "DEBUG" if debug else "INFO"},
            # Django gives it a handler of its own, whose lines look otherwise and would be written twice.
            "django": {"level": libraries, "handlers": []},
            "celery": {"level": celery},
            # It warns of a broker that is away, after we have, and of a wake-up that comes while a worker ends.
            "kombu": {"level": "DEBUG" if debug else "ERROR"},
            # What it says of log-ins is said by `security`, in lines that no typed name can break.
            "axes": {"level": "ERROR"},
            # It says each time that a request waits for a thread, which it does for some milliseconds.
            "waitress.queue": {"level": "ERROR"},
        },
    }


def configure(setting: dict[str, Any]) -> None:
    """Django calls this with LOGGING, in every process (LOGGING_CONFIG)."""
    logging.config.dictConfig(setting)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def keep_errors_in_log() -> None:
    """From now on what ends this process or a thread of it is a line too. For processes that nobody sits before."""

    def excepthook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        structlog.get_logger(__name__).critical("process_failed", exc_info=(kind, error, where))

    def threading_excepthook(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else ""
        found = (args.exc_type, args.exc_value, args.exc_traceback)
        structlog.get_logger(__name__).error("thread_failed", thread=name, exc_info=found)

    sys.excepthook, threading.excepthook = excepthook, threading_excepthook


def request_id() -> str:
    """Of the request that this thread answers, or that caused what it does; "" if there is none."""
    return str(get_contextvars().get("request_id", ""))


def formatter(form: str, secrets: list[str]) -> logging.Formatter:
    return ProcessorFormatter(
        processors=[_of_library, _told_error, _Scrubber(secrets), _as_json if form == "json" else _as_text],
        foreign_pre_chain=[merge_contextvars],
    )


def secrets_in(*urls: str) -> list[str]:
    """The passwords of these URLs, as they stand there and decoded."""
    found: list[str] = []
    for url in urls:
        with contextlib.suppress(ValueError):
            if password := urlsplit(url).password:
                found += [password, unquote(password)]
    return found


# --- the parts of a line -------------------------------------------------------
def _of_library(_: Any, __: str, fields: Fields) -> Fields:
    """What a library says: a sentence, under one event for each logger. It must not repeat the text of its error."""
    if fields["_from_structlog"]:
        return fields
    sentence = fields.pop("event")
    if (found := fields.get("exc_info")) and isinstance(found, tuple) and found[1] is not None:
        for text in (repr(found[1]), str(found[1])):
            sentence = sentence.replace(text, type(found[1]).__name__) if text else sentence
    fields.pop("stack_info", None)
    return {"event": fields["_record"].name, "message": sentence.splitlines()[0] if sentence else "", **fields}


def _told_error(_: Any, __: str, fields: Fields) -> Fields:
    """An exception as its type, and as where it was raised, the outermost place first."""
    found = fields.pop("exc_info", None)
    found = sys.exc_info() if found is True else found
    error = found[1] if isinstance(found, tuple) else found
    if not isinstance(error, BaseException):
        return fields
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = " > ".join(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    because = {"cause": type(cause).__name__} if cause else {}
    return {**fields, "error": type(error).__name__, **because, "where": where}


def _short(filename: str) -> str:
    return filename.removeprefix(ROOT).rpartition("site-packages/")[2]


class _Scrubber:
    """Cuts out of text what no line may hold, and makes each field short."""

    QUERY = re.compile(r"(/[^\s?\"']{0,2000})\?[^\s\"']+")
    PASSWORD = re.compile(r"://[^\s/@]{1,500}@")
    EMAIL = re.compile(r"[^\s@\"'<>=:/,;]{1,64}@[^\s@\"'<>=:/,;]{1,200}\.[^\s@\"'<>=:/,;]{1,60}")

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = sorted({secret for secret in secrets if len(secret) > 5}, key=len, reverse=True)

    def __call__(self, _: Any, __: str, fields: Fields) -> Fields:
        return {
            name: self._clean(name, str(value)) if _is_text(name, value) else value for name, value in fields.items()
        }

    def _clean(self, name: str, text: str) -> str:
        longest = LONGEST_TEXT if name in {"message", "where"} else LONGEST
        text = text[: 4 * longest]
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = self.EMAIL.sub("***", self.QUERY.sub(r"\1", self.PASSWORD.sub("://", text)))
        return text if len(text) <= longest else text[:longest] + "…"


def _is_text(name: str, value: object) -> bool:
    return not (name.startswith("_") or value is None or isinstance(value, bool | int | float))


def _head(fields: Mapping[str, Any]) -> tuple[logging.LogRecord, str, dict[str, Any]]:
    record: logging.LogRecord = fields["_record"]
    own = {name: value for name, value in fields.items() if not name.startswith("_")}
    request = {"request_id": found} if (found := own.pop("request_id", "")) else {}
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return record, at, {"event": own.pop("event"), **own, **request}


def _as_text(_: Any, __: str, fields: Fields) -> str:
    record, at, own = _head(fields)
    told = " ".join(f"{name}={_quoted(value)}" for name, value in own.items())
    return f"{at} {record.levelname} {record.name} {told}"


def _as_json(_: Any, __: str, fields: Fields) -> str:
    record, at, own = _head(fields)
    return json.dumps({"time": at, "level": record.levelname.lower(), "logger": record.name, **own})


def _quoted(value: object) -> str:
    """As JSON in ASCII where it holds anything but the signs of names and addresses, so that no text can make a
    second line or another field.
    """
    text = "" if value is None else str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text)

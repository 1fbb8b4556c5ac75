"""How a line of the log looks, and what never stands in one."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from config.monitoring import logs

ROOT = Path(__file__).resolve().parents[3]
SECRET = "k7Yp-0hidden"
CLICK = "click31337"


class Lines(logging.Handler):
    """What a process with this LOG_FORMAT would write."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.setFormatter(logs.formatter(form, [SECRET, "x"]))
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


@pytest.fixture(params=logs.FORMATS)
def lines(request):
    handler = Lines(request.param)
    logging.getLogger().addHandler(handler)
    yield handler.found
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def as_json():
    handler = Lines("json")
    logging.getLogger().addHandler(handler)
    yield lambda: json.loads(handler.found[-1])
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def as_text():
    handler = Lines("text")
    logging.getLogger().addHandler(handler)
    yield lambda: handler.found[-1].split(" ", 1)[1]
    logging.getLogger().removeHandler(handler)


log = structlog.get_logger("callbacks.trial")


def test_logger_is_heard_after_logs_were_configured_again(settings):
    log.warning("before")
    logs.configure(settings.LOGGING)
    with structlog.testing.capture_logs() as heard:
        log.warning("after")
    assert [line["event"] for line in heard] == ["after"]


def test_event_is_a_name_and_fields(as_text, as_json):
    log.warning("leases_recovered", count=3, host="a.example", note="two words")
    assert as_text() == 'WARNING callbacks.trial event=leases_recovered count=3 host=a.example note="two words"'
    found = as_json()
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "warning", "logger": "callbacks.trial", "event": "leases_recovered", "count": 3,
        "host": "a.example", "note": "two words",
    }  # fmt: skip


def test_line_of_a_library_has_the_same_shape(as_text, as_json):
    logging.getLogger("django.request").warning("Not Found: %s", "/a b")
    assert as_text() == 'WARNING django.request event=django.request message="Not Found: /a b"'
    assert as_json()["message"] == "Not Found: /a b"


def test_request_id_stands_in_every_line(as_json):
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.warning("a")
        assert as_json()["request_id"] == "r-1"
        logging.getLogger("celery").warning("b")
        assert as_json()["request_id"] == "r-1"
    log.warning("c")
    assert "request_id" not in as_json()


def fail() -> None:
    try:
        {}[f"joe@shop.example {CLICK}"]
    except KeyError as error:
        raise ValueError(f"https://t.example/?c={CLICK} {SECRET}") from error


def test_error_is_told_by_its_type_and_place_and_not_by_its_text(lines, as_json):
    try:
        fail()
    except ValueError as error:
        log.exception("job_failed", job=3)
        logging.getLogger("celery.app.trace").exception("Task raised %r\n%s", error, error)  # noqa: TRY401 - as Celery does
    assert len(lines) == 2
    assert not [line for line in lines if CLICK in line or SECRET in line or "\n" in line or "joe" in line]
    found = as_json()
    assert (found["error"], found["cause"], found["message"]) == ("ValueError", "KeyError", "Task raised ValueError")
    assert "tests/config/monitoring/test_logs.py" in found["where"]
    assert "fail" in found["where"]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (f"GET https://t.example/pb?cid={CLICK} ended", "GET https://t.example/pb ended"),
        (f"/portal/?next={CLICK}", "/portal/"),
        (f"postgres://user:{CLICK}@db.example/x", "postgres://db.example/x"),
        (f"redis://:{CLICK}@127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        (f"to <{CLICK}@shop.example>: 550", "to <***>: 550"),
        (f"the key is {SECRET}.", "the key is ***."),
        ("what? nothing", "what? nothing"),
        ("x" * 5000, "x" * 200 + "…"),
    ],
)
def test_what_no_line_may_hold_is_cut_out(as_json, text: str, cut: str):
    log.warning("trial", given=text)
    assert as_json()["given"] == cut


@pytest.mark.parametrize("hostile", ["a\nb", "a\r\nevent=x", "\x00", "\x1b[2J", "\u2028", "\ud800", 'a" b="c', ""])
def test_no_value_can_make_a_second_line_or_field(lines, as_json, hostile: str):
    log.warning("trial", given=hostile, last="one")
    record = logging.makeLogRecord({"name": "lib", "levelname": "WARNING", "msg": "said %s", "args": (hostile,)})
    for handler in logging.getLogger().handlers:  # not pytest's, which keeps lines raw for its report
        if isinstance(handler, Lines):
            handler.emit(record)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert as_json()["event"] == "lib"


def settings_of(tmp_path: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    own |= {"DATA_DIR": str(tmp_path), "SECRET_KEY": "x"} | env
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=own, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL."),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be text or json."),
    ],
)
@pytest.mark.parametrize("command", [["manage.py", "check"], ["-m", "celery", "-A", "config", "beat"]])
def test_wrong_level_or_format_refuses_the_start(tmp_path, command: list[str], env: dict[str, str], said: str):
    done = settings_of(tmp_path, *command, **env)
    assert done.returncode != 0
    assert done.stderr.strip().endswith(said)
    assert next(iter(env.values())) not in done.stderr


def level_of(name: str, **changes: Any) -> int:
    found = logs.configuration(**{"level": "INFO", "form": "text", "secrets": []} | changes)
    loggers = found["loggers"]
    return int(logging.getLevelName(loggers.get(name, found["root"])["level"]))


def test_celery_is_quiet_but_at_debug():
    assert level_of("celery") == logging.WARNING
    assert level_of("celery", level="DEBUG") == logging.DEBUG
    assert level_of("celery", level="ERROR") == logging.ERROR
    assert level_of("kombu") == logging.ERROR


def test_log_ins_are_told_at_every_level_and_what_libraries_send_at_none():
    assert level_of("security", level="ERROR") == logging.INFO
    assert level_of("urllib3", level="DEBUG") == logging.INFO
    assert level_of("callbacks", level="DEBUG") == logging.DEBUG

"""Calls that come in the same moment are done together, because most of what one costs is its transaction.

Who finds nobody at work does its own call at once, and one of those that came meanwhile does all of them. Only if
several were done together the time before, the next one waits a moment for others.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

import structlog

from config.db_outages import BUSY, outage

Item = TypeVar("Item")
Result = TypeVar("Result")

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Result]):
    item: Item
    is_next: bool = False
    result: Result | None = None
    error: Exception | None = None
    woken: Event = field(default_factory=Event)


class GroupCommit(Generic[Item, Result]):
    """Called with an item by many threads. `run` gets several items at once, and has a result for each, in order.

    The result of a call is None if `run` had None for it, or failed: then the thread does it by itself. An outage of
    the database is raised in all of them, because it would be one for each; not that it is busy, for which some may
    wait longer than others. `pause_s` is for how long one waits for others to come.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Sequence[Result | None]], pause_s: float = 0.0) -> None:
        self._run, self._pause_s = run, pause_s
        self._lock = Lock()
        self._waiting: list[_Call[Item, Result]] = []
        self._is_at_work = self._had_company = False

    def __call__(self, item: Item) -> Result | None:
        call: _Call[Item, Result] = _Call(item)
        with self._lock:
            self._waiting.append(call)
            call.is_next, self._is_at_work = not self._is_at_work, True
        if not call.is_next:
            call.woken.wait()
        if call.is_next:
            self._do_waiting()
        if call.error:
            raise call.error
        return call.result

    def _do_waiting(self) -> None:
        if self._had_company:
            time.sleep(self._pause_s)
        with self._lock:
            calls, self._waiting = self._waiting, []
        self._had_company = len(calls) > 1
        try:
            results = self._run([call.item for call in calls])
            for call, result in zip(calls, results, strict=True):
                call.result = result
        except Exception as error:
            sentence = outage(error)
            if not sentence:
                log.exception("not_done_together", count=len(calls))
            elif sentence != BUSY:
                for call in calls:
                    call.error = error
        finally:
            with self._lock:
                following = next(iter(self._waiting), None)
                self._is_at_work = following is not None
            if following:
                following.is_next = True
                following.woken.set()
            for call in calls:
                call.woken.set()

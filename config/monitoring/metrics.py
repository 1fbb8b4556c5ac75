"""What is counted, by all processes together: each adds what it has counted to the database every few seconds.

A counter here is prometheus-client's. Its own way to add up processes is files of one machine; workers are on several.
Label values are bounded: a status or a reason, never a name, a host or a number that comes from outside. What is not
counted but looked at is in `config.monitoring.scrape`.
"""

import re
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from django.db import connection
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from config.models import CountedSample

REGISTRY = CollectorRegistry()


class Histogram(Collector):
    """Prometheus' histogram, to which a worker adds hundreds of values at once: prometheus-client's own takes a lock or
    two for each, which costs more than the rest of what is counted of a delivery.
    """

    def __init__(self, name: str, documentation: str, bounds_s: Sequence[float]) -> None:
        self.name, self.documentation, self.bounds = name, documentation, tuple(bounds_s)
        self._counts, self._sum = [0] * (len(self.bounds) + 1), 0.0
        self._lock = threading.Lock()
        REGISTRY.register(self)

    def observe(self, values_s: Iterable[float]) -> None:
        with self._lock:
            for value in values_s:
                self._counts[bisect_left(self.bounds, value)] += 1
                self._sum += value

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            counts, total = list(self._counts), self._sum
        below, buckets = 0, []
        for bound, count in zip((*self.bounds, float("inf")), counts, strict=True):
            below += count
            buckets.append((floatToGoString(bound), float(below)))  # type: ignore[no-untyped-call]
        yield HistogramMetricFamily(self.name, self.documentation, buckets, total)


def _counter(name: str, documentation: str, label: str = "", values: Iterable[str] = ()) -> Counter:
    """Its `values` are there from the beginning, at 0, because the first of a kind is a change too."""
    counter = Counter(name, documentation, [label] if label else [], registry=REGISTRY)
    for value in values:
        counter.labels(value)
    return counter


ATTEMPTS = _counter("postbacks_attempts", "Requests to trackers, by outcome.", "outcome", ["delivered", "status"])
FAILED = _counter("postbacks_deliveries_failed", "Deliveries that failed; no further attempt is made.")
ANSWERS = Histogram(
    "postbacks_answer_seconds",
    "From the beginning of a request to the end of its answer.",
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FIRST_ATTEMPTS = Histogram(
    "postbacks_first_attempt_seconds",
    "From the event to its first request.",
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
RECORDED = _counter("postbacks_recorded", "Deliveries recorded, by event.", "event", ["order.created", "order.updated"])
SKIPPED = _counter("postbacks_skipped", "Deliveries that were not sent, by reason.", "reason", ["paused", "superseded"])
LEASES_RETURNED = _counter("postbacks_leases_returned", "Deliveries returned to the queue because their worker ended.")
API_CALLS = _counter(
    "postbacks_api_calls", "Requests to /api/, by status.", "status", ["200", "201", "401", "422", "500"]
)
MAILS = _counter("postbacks_emails", "Attempts to send an e-mail, by result.", "result", ["sent", "failed"])

_flushed: dict[str, float] = {}
_lock = threading.Lock()


# --- adding up -------------------------------------------------------------------
_ADD = """
INSERT INTO config_countedsample (series, value) VALUES {rows}
ON CONFLICT (series) DO UPDATE SET value = config_countedsample.value + excluded.value
"""


def flush() -> None:
    """Add what this process has counted since the last time. What cannot be written is added the next time."""
    with _lock:
        counted = {_series_of(sample): sample.value for metric in REGISTRY.collect() for sample in _samples(metric)}
        added = [(series, value - _flushed.get(series, 0.0)) for series, value in sorted(counted.items())]
        added = [(series, value) for series, value in added if value]  # in one order, so that none waits for another
        if added:
            rows = ", ".join(["(%s, %s)"] * len(added))
            with connection.cursor() as cursor:
                cursor.execute(_ADD.format(rows=rows), [part for pair in added for part in pair])
        _flushed.update(counted)


def of_all_processes() -> Iterator[Metric]:
    """Every metric with the values that all processes have added together."""
    summed = dict(CountedSample.objects.values_list("series", "value"))
    for metric in REGISTRY.collect():
        known = {_series_of(sample): sample for sample in _samples(metric)}
        for series in sorted(summed.keys() - known.keys()):
            if found := _begun_elsewhere(series, metric):
                known[series] = found
        metric.samples = [sample._replace(value=summed.get(series, 0.0)) for series, sample in known.items()]
        yield metric


def _samples(metric: Metric) -> list[Sample]:
    """Without when each series began, which differs by process."""
    return [sample for sample in metric.samples if not sample.name.endswith("_created")]


def _series_of(sample: Sample) -> str:
    """As Prometheus writes it: `postbacks_attempts_total{outcome="delivered"}`."""
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def _begun_elsewhere(series: str, metric: Metric) -> Sample | None:
    """A series of this counter that another process has begun."""
    name, _, labels = series.partition("{")
    if metric.type != "counter" or name != f"{metric.name}_total":
        return None
    return Sample(name, dict(re.findall(r'\b(\w{1,40})="([^"]{0,160})"', labels)), 0.0)

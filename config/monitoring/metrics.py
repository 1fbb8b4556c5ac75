"""What is counted, by all processes together: each adds what it has counted to the database every few seconds.

A counter here is prometheus-client's. Its own way to add up processes is files of one machine; workers are on several.
Label values are bounded: a status or a reason, never a name, a host or a number that comes from outside.
"""

import threading
from collections.abc import Iterator

from django.db.models import F
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.samples import Sample

from config.models import CountedSample

REGISTRY = CollectorRegistry()

ATTEMPTS = Counter("postbacks_attempts", "Requests to trackers, by outcome.", ["outcome"], registry=REGISTRY)

_flushed: dict[str, float] = {}
_lock = threading.Lock()


def flush() -> None:
    """Add what this process has counted since the last time. What cannot be written is added the next time."""
    with _lock:
        for series, value in sorted(_counted()):
            if added := value - _flushed.get(series, 0.0):
                if not CountedSample.objects.filter(pk=series).update(value=F("value") + added):
                    CountedSample.objects.get_or_create(pk=series)
                    CountedSample.objects.filter(pk=series).update(value=F("value") + added)
                _flushed[series] = value


def _counted() -> Iterator[tuple[str, float]]:
    for metric in REGISTRY.collect():
        for sample in _without_created(metric):
            yield series_of(sample), sample.value


def _without_created(metric: Metric) -> list[Sample]:
    """Without when each series began, which differs by process."""
    return [sample for sample in metric.samples if not sample.name.endswith("_created")]


def series_of(sample: Sample) -> str:
    """As Prometheus writes it: `postbacks_attempts_total{outcome="delivered"}`."""
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def of_all_processes() -> Iterator[Metric]:
    """Every metric with the values that all processes have added together."""
    values = dict(CountedSample.objects.values_list("series", "value"))
    for metric in REGISTRY.collect():
        known = {series_of(sample): sample for sample in _without_created(metric)}
        metric.samples = [sample._replace(value=values.get(series, 0.0)) for series, sample in known.items()]
        yield metric

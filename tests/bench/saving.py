"""What recording adds to `order.save()`: with a broker that answers, with one that does not, and with none."""

import signal
import time
from collections.abc import Iterator

from tests.bench.figures import Figure, median
from tests.bench.installation import Installation
from tests.bench.peers import TASK
from tests.bench.resources import Resources

ADDED_BESIDE_TASK = 0.5  # at most this part of what the task by hand adds
OUTAGE_WORST_MS = 250.0
OUTAGE_RATE = 50  # orders a second
PATIENCE_S = 10.0  # for a peer that waits for ever


def measure(resources: Resources) -> Iterator[Figure]:
    task = _of_task(resources)
    for database in ("postgresql", "sqlite"):
        peers = task if database == "postgresql" else {}
        with resources.installation(database) as ours:
            taken = ours.ask("save_in_turn", amount=resources.sizes.saves)
            without = median(taken["without"])
            added = median(taken["with"]) - without
            note = f"{without:.2f} ms without a callback"
            what = f"{database}: added, p50"
            yield Figure("save", what, added, "ms", "less", None, peers, note)
            for name, theirs in peers.items():
                limit = ADDED_BESIDE_TASK
                yield Figure("save", f"{what} beside {name}", added / theirs, "times", "less", limit)
            yield from _outages(ours, resources, database)


def _outages(ours: Installation, resources: Resources, database: str) -> list[Figure]:
    """The save with a callback while the broker is frozen, and then while it is gone."""
    figures = []
    ours.broker.child.signal(signal.SIGSTOP)
    for name in ("frozen", "gone"):
        if name == "gone":
            ours.broker.child.signal(signal.SIGCONT)
            ours.broker.stop()
        taken = ours.ask("save_for", seconds=resources.sizes.outage_s, rate=OUTAGE_RATE)
        peers: dict[str, float | None] = {}
        if (name, database) == ("frozen", "postgresql") and resources.has_peers:
            peers = {TASK: _task_with_frozen_broker(resources)}
        p50 = Figure("save", f"{database}, broker {name}: p50", median(taken), "ms", "less")
        target = OUTAGE_WORST_MS
        worst = Figure("save", f"{database}, broker {name}: worst", max(taken), "ms", "less", target, peers)
        figures += [p50, worst]
    return figures


def _of_task(resources: Resources) -> dict[str, float]:
    if not resources.has_peers:
        return {}
    with resources.peer(TASK) as peer:
        taken = peer.ask("save_in_turn", amount=resources.sizes.saves)
    return {TASK: median(taken["with"]) - median(taken["without"])}


def _task_with_frozen_broker(resources: Resources) -> float | None:
    """Milliseconds of one save, or None if it had not come back when our patience ended."""
    with resources.peer(TASK) as peer:
        peer.save(1)  # so that it has a connection
        peer.broker.child.signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            peer.ask("save", stalled_s=PATIENCE_S, amount=1)
            return (time.monotonic() - began) * 1000
        except TimeoutError:
            return None
        finally:
            peer.broker.child.signal(signal.SIGCONT)

"""What recording adds to `order.save()`: with a broker that answers, with one that does not, and with none."""

import signal
import time
from collections.abc import Iterator

from tests.bench.figures import Figure, at_most, median
from tests.bench.ground import Ground
from tests.bench.installation import Installation
from tests.bench.peers import TASK

ADDED_MS = 1.0
OUTAGE_P50_MS, OUTAGE_WORST_MS = 5.0, 250.0
OUTAGE_RATE = 50  # orders a second
PATIENCE_S = 10.0  # for a peer that waits for ever


def measure(ground: Ground) -> Iterator[Figure]:
    for database in ("postgresql", "sqlite"):
        peers = _of_task(ground) if database == "postgresql" else {}
        with ground.installation(database) as ours:
            taken = ours.ask("save_in_turn", amount=ground.sizes.saves)
            without = median(taken["without"])
            added = median(taken["with"]) - without
            note = f"{without:.2f} ms without a callback"
            what = f"{database}: added, p50"
            yield Figure("save", what, added, "ms", "less", at_most(ADDED_MS), peers, note)
            yield from _outages(ours, ground, database)


def _outages(ours: Installation, ground: Ground, database: str) -> list[Figure]:
    """The save with a callback while the broker is frozen, and then while it is gone."""
    figures = []
    ours.broker.child.signal(signal.SIGSTOP)
    for name in ("frozen", "gone"):
        if name == "gone":
            ours.broker.child.signal(signal.SIGCONT)
            ours.broker.stop()
        taken = ours.ask("save_for", seconds=ground.sizes.outage_s, rate=OUTAGE_RATE)
        peers: dict[str, float | None] = {}
        if (name, database) == ("frozen", "postgresql") and ground.peers is not None:
            peers = {TASK: _task_with_frozen_broker(ground)}
        p50 = Figure("save", f"{database}, broker {name}: p50", median(taken), "ms", "less", at_most(OUTAGE_P50_MS))
        target = at_most(OUTAGE_WORST_MS)
        worst = Figure("save", f"{database}, broker {name}: worst", max(taken), "ms", "less", target, peers)
        figures += [p50, worst]
    return figures


def _of_task(ground: Ground) -> dict[str, float | None]:
    if ground.peers is None:
        return {}
    peer = ground.peers.peer(TASK, ground.sink.url("/peer"))
    taken = peer.ask("save_in_turn", amount=ground.sizes.saves)
    peer.told += ground.sizes.saves
    return {TASK: median(taken["with"]) - median(taken["without"])}


def _task_with_frozen_broker(ground: Ground) -> float | None:
    """Milliseconds of one save, or None if it had not come back when our patience ended."""
    assert ground.peers is not None
    peer = ground.peers.peer(TASK, ground.sink.url("/peer"))
    broker = ground.peers.broker.child
    broker.signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        peer.ask("save", time_s=PATIENCE_S, amount=1)
        return (time.monotonic() - began) * 1000
    except TimeoutError:
        return None
    finally:
        broker.signal(signal.SIGCONT)

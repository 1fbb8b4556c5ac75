"""Orders that come in many at once: how many a second are saved, with a delivery for each and without."""

from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.ground import Ground
from tests.bench.peers import PACKAGE, TASK

PATIENCE_S = 120.0
PEER_SHARE = 10  # the peers, who must save one by one, get this part of it


def measure(ground: Ground) -> Iterator[Figure]:
    amount = ground.sizes.intake
    peers = _of_peers(ground, max(1, amount // PEER_SHARE))
    for database in ("postgresql", "sqlite"):
        with ground.installation(database) as ours:
            plain = amount / ours.ask("record", amount=amount, with_callback=False)
            told = amount / ours.ask("record", amount=amount)
        note = f"{plain:,.0f}/s without a callback"
        yield Figure("intake", f"{database}: {amount:,} orders", told, "orders/s", peers=peers, note=note)


def _of_peers(ground: Ground, amount: int) -> dict[str, float | None]:
    if ground.peers is None:
        return {}
    rates: dict[str, float | None] = {}
    for name in (PACKAGE, TASK):
        peer = ground.peers.peer(name, ground.sink.url("/peer"))
        rates[name] = amount / peer.save(amount)
        with peer.worker(2):
            peer.wait(PATIENCE_S)
    return rates

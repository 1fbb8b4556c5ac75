"""Orders that come in many at once: how many a second are saved, with a delivery for each and without."""

from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.peers import PACKAGE, TASK
from tests.bench.resources import Resources

PEER_SHARE = 10  # the peers, who must save one by one, get this part of it


def measure(resources: Resources) -> Iterator[Figure]:
    amount = resources.sizes.intake
    peers = _of_peers(resources, max(1, amount // PEER_SHARE))
    for database in ("postgresql", "sqlite"):
        with resources.installation(database) as ours:
            plain = amount / ours.ask("record", amount=amount, with_callback=False)
            told = amount / ours.ask("record", amount=amount)
        note = f"{plain:,.0f}/s without a callback"
        yield Figure("intake", f"{database}: {amount:,} orders", told, "orders/s", peers=peers, note=note)


def _of_peers(resources: Resources, amount: int) -> dict[str, float | None]:
    if not resources.has_peers:
        return {}
    rates: dict[str, float | None] = {}
    for name in (PACKAGE, TASK):
        with resources.peer(name) as peer:
            rates[name] = amount / peer.save(amount)
    return rates

"""How long the admin's overview and lists take when there are a million deliveries."""

from collections.abc import Iterator

from tests.bench.figures import Figure, at_most, median
from tests.bench.ground import Ground
from tests.bench.history import grown

LIST_MS = 300.0


def measure(ground: Ground) -> Iterator[Figure]:
    for database in ("postgresql", "sqlite"):
        ours, _ = grown(ground, database)
        answers = ours.ask("look")
        for what, answer in answers.items():
            if answer["status"] != 200:
                note = f"the page answered {answer['status']}, so there is nothing to measure"
                yield Figure("pages", f"{database}: {what}", 0.0, "ms", "less", note=note)
                continue
            target = at_most(LIST_MS)
            note = (
                f"first time {answer['taken'][0]:.0f} ms, {answer['queries']} queries, {answer['rows']:,} rows in all"
            )
            taken = median(answer["taken"])
            yield Figure("pages", f"{database}: {what}", taken, "ms", "less", target, note=note)

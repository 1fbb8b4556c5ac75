"""How long the admin's overview and lists take when there are a million deliveries, against a thousand."""

from collections.abc import Iterator

from tests.bench.figures import Figure, median
from tests.bench.resources import Resources

TIMES = 3  # as long as with few


def measure(resources: Resources) -> Iterator[Figure]:
    sizes = resources.sizes
    for database in ("postgresql", "sqlite"):
        with resources.installation(database) as ours:
            with ours.worker(1, warm=0):
                ours.send(sizes.few)
                few = ours.ask("look")
                ours.send(sizes.waiting)
            ours.ask("grow", amount=sizes.old)
            many = ours.ask("look")
        for what, look in many.items():
            before, after = median(few[what]["taken"]), median(look["taken"])
            note = f"{before:.0f} ms with {few[what]['rows']:,}, {after:.0f} ms with {look['rows']:,} deliveries"
            note += f", the first time {look['taken'][0]:.0f} ms; {look['queries']} queries"
            target = TIMES if look["is_list"] else None
            yield Figure("pages", f"{database}: {what}", after / before, "times", "less", target, note=note)

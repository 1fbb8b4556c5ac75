"""Names of the callbacks of one affiliate and event: `Callback`, `Callback 2`, or what a person calls them. Pure."""

from collections.abc import Iterable
from itertools import count

from callbacks.egress.targets import Problem
from callbacks.egress.wording import Sentence as _

DEFAULT = "Callback"
LONGEST = 40
AT_MOST = 5  # callbacks of one affiliate for one event
NO_PLACE_LEFT = Problem(
    "too_many_callbacks",
    _("There are already {count} callbacks for this event, the maximum. Change or delete one of them.", count=AT_MOST),
)


def free(name: str, others: Iterable[str]) -> str:
    """`name` in one line; if nobody chose one, the first of `Callback`, `Callback 2`, ... not among `others`."""
    chosen = " ".join(name.split()) or DEFAULT
    if chosen != DEFAULT:
        return chosen
    taken = list(others)
    numbered = (f"{DEFAULT} {number}" for number in count(2))
    return DEFAULT if not is_taken(DEFAULT, taken) else next(n for n in numbered if not is_taken(n, taken))


def is_taken(name: str, others: Iterable[str]) -> bool:
    """Whether one of `others` is the same but for upper and lower case."""
    return name.casefold() in {other.casefold() for other in others}


def problems(name: str, others: Iterable[str]) -> tuple[Problem, ...]:
    if not is_taken(name, others):
        return ()
    return (Problem("name_taken", _("Another callback for this event has the name “{name}”.", name=name)),)

"""When to act at a given pace, and how long it took. Used for ours and for the peers alike."""

import random
import time
from collections.abc import Callable, Iterator


def moments(rate: float, seconds: float, jitter: float = 0.5) -> Iterator[float]:
    """When to act, `rate` times a second for `seconds`: sleeps until then, and never hurries to make up for a delay.

    Each moment is moved by up to `jitter` of the distance, so that nothing falls into step with a timer elsewhere.
    """
    generator = random.Random(1)
    began = time.monotonic()
    for count in range(round(rate * seconds)):
        due = began + (count + jitter * generator.random()) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        yield due


def duration_ms(act: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000

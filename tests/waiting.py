"""Waiting for a condition, with a deadline; no test sleeps."""

import time
from collections.abc import Callable


def wait_until(is_reached: Callable[[], object], limit_s: float, say: Callable[[], str] = str) -> None:
    """Look until `is_reached` is true; after `limit_s` seconds fail with what `say` says."""
    deadline = time.monotonic() + limit_s
    while not is_reached():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {say()}"
        time.sleep(0.02)

"""Many programs that ask a web process at the same time, and how long the slowest of them waited for its answer."""

import http.client
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

MANY = 40  # more than a web process has threads


def ask(port: int, path: str, body: str, headers: Mapping[str, str]) -> tuple[int, float]:
    """The status, and the seconds until it came."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
    with connection.getresponse() as answer:
        answer.read()
    connection.close()
    return answer.status, time.monotonic() - began


def ask_often(port: int, path: str, body: str, headers: Mapping[str, str]) -> tuple[Counter[int], float]:
    """The same, asked by many at once: how often each status came, and the seconds of the slowest."""
    with ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda _: ask(port, path, body, headers), range(MANY)))
    return Counter(status for status, _ in answers), max(seconds for _, seconds in answers)

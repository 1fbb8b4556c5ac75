"""Calls URLs and measures the peak growth of this process's memory meanwhile.

`python -m tests.callbacks.egress.growth` reads lines of JSON from its standard input, each a list of URLs to be called
at once. It answers each with a line: kinds and statuses, seconds, KiB. It is a process of its own, because the memory
of the receiver must not be counted.
"""

import gc
import json
import sys
import time
from pathlib import Path

from callbacks.egress.addresses import Policy
from callbacks.egress.transport import Transport
from tests.callbacks.egress.sending import AMPLE_LIMITS, LOOPBACK, get, outcomes_of

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory(kind: str) -> int:
    """`VmRSS`, or `VmHWM`, its peak; in KiB."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(f"{kind}:"))


def main() -> None:
    policy = Policy(LOOPBACK, frozenset(range(1, 65536)))
    with Transport(policy, limits=AMPLE_LIMITS) as transport:
        for line in sys.stdin:
            urls = json.loads(line)
            gc.collect()
            CLEAR.write_text("5")  # resets the peak
            before, began = memory("VmRSS"), time.monotonic()
            outcomes = outcomes_of(transport, *(get(url, key) for key, url in enumerate(urls)))
            seconds = time.monotonic() - began
            kinds = [(outcomes[key].error_kind, outcomes[key].status_code) for key in range(len(urls))]
            sys.stdout.write(json.dumps([kinds, seconds, memory("VmHWM") - before]) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Calls URLs and says how far the memory of this process rose meanwhile, at the worst moment.

`python -m tests.callbacks.egress.growth` reads lines of JSON from its standard input, each a list of URLs to be called at
once, and answers each with one: kinds and statuses, seconds, KiB. A process of its own, because the receiver's memory
must not be counted.
"""

import gc
import json
import sys
import time
from pathlib import Path

from callbacks.egress.transport import Policy, Transport
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
            CLEAR.write_text("5")  # the peak begins anew
            before, began = memory("VmRSS"), time.monotonic()
            outcomes = outcomes_of(transport, *(get(url, key) for key, url in enumerate(urls)))
            seconds = time.monotonic() - began
            kinds = [(outcomes[key].error_kind, outcomes[key].status_code) for key in range(len(urls))]
            said = [kinds, seconds, memory("VmHWM") - before]
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

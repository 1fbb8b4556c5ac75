"""Makes the ids of events: UUIDs of version 7 (RFC 9562, 5.7), which begin with the time.

Each change of a delivery's row writes its id into an index again. Random ids would be strewn over all of an index that
a million deliveries have filled; these stand together at its end.
"""

import os
import time
import uuid

_VERSION, _VARIANT = 7, 0b10


def new() -> uuid.UUID:
    """Milliseconds since 1970 in 48 bits, then 74 random ones."""
    random = int.from_bytes(os.urandom(10))
    high = (time.time_ns() // 1_000_000) << 16 | _VERSION << 12 | random & 0xFFF
    return uuid.UUID(int=high << 64 | _VARIANT << 62 | random >> 12 & (1 << 62) - 1)

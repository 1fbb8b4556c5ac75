"""How many requests a token may make in a minute.

They are counted at the broker, because several web processes on several hosts must count together: a count in a
process knows its own requests alone, and one in the database would be a row that all requests of a token write in turn.
A process that is asked often asks there for up to a hundredth of the minute's requests at a time, and hands these out.
A broker that is away counts nothing and limits nobody, as orders are taken without it too; after a failure it is not
asked for some seconds.
"""

import time
from functools import cache
from threading import Lock

import redis
from django.conf import settings

_PREFIX = "postbacks:requests"
_TIMEOUT_S = 0.05  # saving an order may wait for the broker's other time-out as well
_QUIET_S = 5.0
_KEPT_S = 120
_PARTS, _ASKED_FOR_ONE = 100, 10  # at most a part of the limit, and of what the process was asked for in this minute

_lock = Lock()
# How often this process was asked, and how many requests it may still let pass, by token and minute.
_asked_and_left: dict[tuple[str, int], tuple[int, int]] = {}
_quiet_until = 0.0


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=None
    )


def seconds_to_wait(token: str) -> int:
    """Count a request of the token with this digest. 0 if it may pass, else the seconds until the next minute."""
    if not (limit := settings.API_RATE_LIMIT):
        return 0
    minute, second = divmod(int(time.time()), 60)
    key = token, minute
    with _lock:
        asked, left = _asked_and_left.get(key, (0, 0))
        _asked_and_left[key] = asked + 1, max(0, left - 1)
    if left:
        return 0
    part = max(1, min(limit // _PARTS, asked // _ASKED_FOR_ONE))
    left = min(part, limit + part - _count(f"{_PREFIX}:{token}:{minute}", part))
    if left <= 0:
        return 60 - second
    with _lock:
        for old in [each for each in _asked_and_left if each[1] != minute]:
            del _asked_and_left[old]
        asked, more = _asked_and_left.get(key, (1, 0))
        _asked_and_left[key] = asked, more + left - 1
    return 0


def _count(key: str, part: int) -> int:
    """How many were counted, with this part; as many as the part if the broker does not say."""
    global _quiet_until  # noqa: PLW0603 - one broker for the whole process
    if time.monotonic() < _quiet_until:
        return part
    # Held until the end: of several that were made at once one stays, and each other closes what it has opened.
    valkey = _valkey()
    try:
        with valkey.pipeline(transaction=False) as pipeline:
            pipeline.incrby(key, part)
            pipeline.expire(key, _KEPT_S)
            return int(pipeline.execute()[0])
    except (redis.RedisError, OSError):
        _quiet_until = time.monotonic() + _QUIET_S
        return part

"""An attempt as a command to try it again by hand."""

import shlex

from callbacks.models import Attempt

LEFT_TO_CURL = frozenset({"content-length", "host", "connection"})


def command(attempt: Attempt) -> str:
    """The `curl` command that sends the request of this attempt, quoted for a POSIX shell; "" if none was sent."""
    if not attempt.url:
        return ""
    parts = [["curl", "--include", "--globoff"]]
    if attempt.method != "GET":
        parts.append(["--request", attempt.method])
    parts += [["--header", f"{name}: {value}"] for name, value in attempt.request_headers if _is_ours(name)]
    if attempt.request_body:
        parts.append(["--data-raw", attempt.request_body])
    parts.append([attempt.url])
    return " \\\n  ".join(shlex.join(part) for part in parts)


def _is_ours(name: str) -> bool:
    return name.lower() not in LEFT_TO_CURL

"""Replaces the host in a template and leaves every other byte as it is. Pure.

A host is a name or an address and, where it is not the usual one of the scheme, its port: `tracker.example`,
`tracker.example:8443`, `[2001:db8::1]`. Two that lead to the same place are one, however they are written.
Whether the new one may be called is checked by `callbacks.editor.check`, with the whole URL.
"""

import ipaddress
import re
from functools import lru_cache

from callbacks.editor import url_parts
from callbacks.egress import targets
from callbacks.egress.targets import Problem
from callbacks.egress.wording import Sentence as _

SCHEME = re.compile(r"https?:/{0,2}", re.IGNORECASE)
NO_HOST = re.compile(r"[/?#\\{}\s\x00-\x1f\x7f]")
ALONE = _("Enter only the host, such as tracker.example or tracker.example:8443.")

Place = tuple[str, int]  # host as it is sent, and port


def bare(text: str) -> str:
    """What was typed without a scheme before it and a slash after it: people copy hosts out of URLs."""
    return SCHEME.sub("", text.strip(), count=1).removesuffix("/")


def problem_of(host: str) -> Problem | None:
    """What is wrong with `host` as a host, whatever the policy; None if it can be read."""
    if not host:
        return Problem("required", ALONE)
    if "@" in host:
        return Problem("credentials", _("Remove everything up to the @. Enter only the host, such as tracker.example."))
    if NO_HOST.search(host):
        return Problem("not_a_host", ALONE)
    try:
        targets.read(f"https://{host}/")
    except targets.TargetError as error:
        return error.problem
    return None


def host_in(template: str) -> str:
    """Host and port of a template as they are written, without user info; "" if it has none."""
    start, end = span(template)
    return template[start:end]


def is_at(template: str, host: str) -> bool:
    """Whether a request by this template would go to `host`."""
    scheme = template.partition(":")[0].lower()
    place = place_of(scheme, host_in(template))
    return place is not None and place == place_of(scheme, host)


def with_host(template: str, host: str) -> str:
    """The template with `host` in the place of its own. A user name before the host stays.

    The same text in the path, in the query or in a variable's filter is not the host and stays too.
    """
    start, end = span(template)
    return template[:start] + host + template[end:]


def span(template: str) -> tuple[int, int]:
    """Where host and port stand."""
    start, end = url_parts.authority_span(template)
    return start + template[start:end].rfind("@") + 1, end


@lru_cache(maxsize=4096)
def place_of(scheme: str, host: str) -> Place | None:
    """Where a request to `host` goes, the same for all ways to write it; None if it cannot be read."""
    if not host or NO_HOST.search(host):
        return None
    try:
        target = targets.read(f"{scheme}://{host}/")
    except targets.TargetError:
        return None
    name = target.host.lower().removesuffix(".")
    if name.startswith("["):
        try:
            name = ipaddress.IPv6Address(name[1:-1]).compressed
        except ValueError:
            return None
    return name, target.port

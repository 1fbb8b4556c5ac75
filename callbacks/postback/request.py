"""Builds the request of one attempt from a delivery's frozen values and its setting: URL, body, headers, signature.

It is sent by `callbacks.egress.transport`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from callbacks.egress.outcome import Request
from callbacks.postback import signing
from callbacks.postback.render import render
from callbacks.postback.variables import EVENT_AT, LINK_QUERY, event_times

DATA = "data"  # the variable that holds the JSON of a webhook without an order
NO_TEXT = frozenset({"order.items", "customer.is_new"})  # in JSON a number and a truth value, or null
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def user_agent(version: str) -> str:
    """The value of the header `User-Agent`."""
    return f"AffiliatePostbacks/{version}"


def build(
    *,
    key: int,
    event_id: str,
    happened_at: datetime,
    method: str,
    template: str,
    body_format: str,
    secret: str,
    variables: Mapping[str, str],
    timestamp: int,
    user_agent: str,
    previous_secret: str = "",
) -> Request:
    """The request to send. `timestamp` is the attempt's, in Unix seconds; `key` comes back with the outcome.

    `previous_secret` is the secret before `secret`, as long as it signs too; else "".
    Raises `RenderError` if the template cannot be rendered with these values.
    """
    if EVENT_AT not in variables:  # recorded by a release that did not know it
        variables = {**variables, **event_times(happened_at)}
    url = render(template, variables)
    headers = [("User-Agent", user_agent), ("Accept", "*/*")]
    body: bytes | None = None
    if method == "POST":
        is_json = body_format == "json"
        # A query has the format of a form already.
        body = _payload(variables, happened_at) if is_json else url.partition("?")[2].encode("ascii")
        headers.append(("Content-Type", JSON if is_json else FORM))
    target = "/" + url.split("/", 3)[3]  # path and query, as they go on the wire
    signed = target.encode("ascii") if body is None else body
    headers += signing.headers(secret, event_id, timestamp, signed, previous_secret=previous_secret)
    return Request(key=key, method=method, url=url, headers=tuple(headers), body=body)


def _payload(variables: Mapping[str, str], happened_at: datetime) -> bytes:
    """The whole event as JSON, as Standard Webhooks shapes it. Amounts are strings, so that no parser rounds them."""
    event: dict[str, Any] = {
        "type": variables.get("event", ""),
        "timestamp": happened_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": _data(variables),
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _data(variables: Mapping[str, str]) -> dict[str, Any]:
    if DATA in variables:
        data: dict[str, Any] = json.loads(variables[DATA])
        return data
    return {
        "order": _members(variables, "order."),
        "customer": _members(variables, "customer."),
        "link": _members(variables, "link.") | {"query": _query(variables)},
        "affiliate": _members(variables, "affiliate."),
    }


def _members(variables: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """`order.amount.change` is the member `amount_change` of `order`."""
    return {
        name.removeprefix(prefix).replace(".", "_"): _unknown_or_read(text) if name in NO_TEXT else text
        for name, text in variables.items()
        if name.startswith(prefix) and not name.startswith(LINK_QUERY)
    }


def _unknown_or_read(text: str) -> Any:
    return json.loads(text) if text else None


def _query(variables: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(LINK_QUERY): text for name, text in variables.items() if name.startswith(LINK_QUERY)}

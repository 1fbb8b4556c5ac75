"""Asks the API as a program does: with a token, in JSON."""

import json
from typing import Any

from django.test import Client

from orders.api import tokens
from orders.models import ApiToken

ALL = [scope.value for scope in ApiToken.Scope if scope.endswith("write")]


def client(*scopes: str) -> Client:
    """With a token that may do everything, or has these scopes only."""
    return Client(headers={"authorization": f"Bearer {tokens.create('program', scopes=scopes or ALL)}"})


def send(api: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return api.generic(method, f"/api{path}", text, content_type="application/json", headers=headers)


def problems(response: Any) -> list[tuple[str, str]]:
    assert all(problem["message"] for problem in response.json()["errors"])
    return [(problem["field"], problem["code"]) for problem in response.json()["errors"]]


def refused(response: Any) -> tuple[int, list[tuple[str, str]]]:
    return response.status_code, problems(response)

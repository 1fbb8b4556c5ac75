"""What is attacked: a site at a URL, and who asks it. Every answer says how long it took."""

import contextlib
import http.client
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

CHANGE = re.compile(r"/admin/affiliates/affiliate/(\d+)/change/")
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@dataclass
class Visitor:
    """Somebody with cookies of their own, who comes from `source`, an address of this machine."""

    port: int
    is_behind_proxy: bool = False
    source: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] = {}, limit_s: float = 20
    ) -> Answer:
        """Status 0 if there was no answer in time, or the connection ended before."""
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        if self.is_behind_proxy:
            sent |= {"X-Forwarded-Proto": "https", "Referer": f"https://127.0.0.1:{self.port}/"}
        began = time.monotonic()
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit_s, source_address=(self.source, 0))
        with contextlib.closing(line):
            try:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have been answered already
                    line.request(method, path, body or None, sent | dict(headers))
                answer = line.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                return Answer(0, http.client.HTTPMessage(), b"", time.monotonic() - began)
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(answer.status, answer.headers, content, time.monotonic() - began)

    def get(self, path: str, query: Mapping[str, str] = {}, **more: Any) -> Answer:
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path, **more)

    def post(self, path: str, typed: Mapping[str, str], **more: Any) -> Answer:
        """A form, with the token against forgery."""
        token = next((value for name, value in self.cookies.items() if name.endswith("csrftoken")), "")
        body = urlencode({"csrfmiddlewaretoken": token, **typed})
        return self.ask("POST", path, body, {"Content-Type": FORM} | dict(more.pop("headers", {})), **more)

    def sign_in(self, username: str, password: str, headers: Mapping[str, str] = {}) -> int:
        """302 means that it worked."""
        self.get("/admin/login/")
        return self.post("/admin/login/", {"username": username, "password": password}, headers=headers).status


@dataclass
class Site:
    """`data_dir`, `manage` (runs a management command) and `token` are there only if the site is our own."""

    port: int
    username: str
    password: str
    is_demo: bool = False
    is_behind_proxy: bool = False
    data_dir: Path | None = None
    manage: Callable[..., str] | None = None
    token: str = ""

    def __post_init__(self) -> None:
        self.staff = self.visitor()
        self.signed_in = self.staff.sign_in(self.username, self.password) == 302
        found = CHANGE.search(self.staff.get("/admin/affiliates/affiliate/").text)
        self.affiliate = int(found[1]) if found else 0

    def visitor(self, source: str = "127.0.0.1") -> Visitor:
        return Visitor(self.port, self.is_behind_proxy, source)

    def api(self, body: bytes | str, path: str = "/api/orders", method: str = "POST") -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return self.visitor().ask(method, path, body, headers)

    def callback(self, rest: str) -> str:
        return f"/admin/affiliates/affiliate/{self.affiliate}/settings/callbacks/{rest}"

    def is_quick(self, limit_s: float = 1.0) -> bool:
        """Whether it still answers others at once."""
        answer = self.visitor().get("/healthz", limit_s=limit_s + 1)
        return answer.status == 200 and answer.seconds < limit_s

    def raw(self, data: bytes, limit_s: float = 10) -> bytes:
        """The first bytes that it answers to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=limit_s) as line, contextlib.suppress(OSError):
            line.sendall(data)
            return line.recv(65536)
        return b""


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(lambda call: call(), calls))

"""The web process as clients meet it that are slow, large or hostile: `manage.py web`, for real, but that a request may
arrive for 10 seconds instead of 30.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HOST = "Host: 127.0.0.1\r\n"
REQUEST_S = 10
MANAGE = f"from config.stack import web; web.REQUEST_S = {REQUEST_S}; import manage; manage.main()"


class Web:
    """A `manage.py web` of its own."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        (directory / "data").mkdir()
        ours = ("DATABASE_URL", "REDIS_URL", "DJANGO_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env |= {"DATA_DIR": str(directory / "data"), "PORT": str(self.port), "TMPDIR": str(self.temporary)}
        command = [sys.executable, "-c", MANAGE, "web", "--migrate"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.status_of(f"GET /healthz HTTP/1.1\r\n{HOST}\r\n") == 200
        return False

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(self, request: str, body: bytes = b"") -> bytes:
        """The head and the beginning of the answer."""
        with self.connect() as client:
            client.sendall(request.encode())
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(body)
            return client.recv(65536)

    def all_of(self, request: str) -> tuple[bytes, bytes]:
        """The head and the body of an answer after which the connection is closed."""
        with self.connect() as client:
            client.sendall(request.encode())
            head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
        return head, body

    def status_of(self, request: str, body: bytes = b"") -> int:
        answer = self.ask(request, body)
        return int(answer.split()[1]) if answer else 0


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    started = Web(tmp_path_factory.mktemp("web"))
    try:
        wait_until(lambda: started.answers() or started.process.poll() is not None, 60)
        yield started
    finally:
        started.process.terminate()
        _, said = started.process.communicate(timeout=20)
        assert started.process.returncode == 0, said


def post(path: str, content_type: str, length: int) -> str:
    return f"POST {path} HTTP/1.1\r\n{HOST}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"


PART = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\nContent-Type: a/b\r\n\r\n'
MULTIPART = "multipart/form-data; boundary=x"
FORM = "application/x-www-form-urlencoded"


def test_hundred_dribbling_connections_delay_nobody(web):
    with contextlib.ExitStack() as open_ones:
        slow = [open_ones.enter_context(web.connect()) for _ in range(100)]
        for number, client in enumerate(slow):  # some in the head, some in the body
            head = f"POST /portal/login/ HTTP/1.1\r\n{HOST}Content-Type: {FORM}\r\nContent-Length: 1000\r\n"
            client.sendall(head.encode() + (b"\r\nusername=" if number % 2 else b"X-Slow: "))
        for _ in range(10):
            for client in slow:
                client.sendall(b"a")
            began = time.monotonic()
            assert web.answers()
            assert time.monotonic() - began < 1


def test_connection_that_never_completes_a_request_is_closed(web):
    with web.connect() as client:
        client.sendall(f"GET /healthz HTTP/1.1\r\n{HOST}X-Slow: ".encode())
        began, is_open = time.monotonic(), True
        client.settimeout(1)
        while is_open and time.monotonic() - began < 60:
            with contextlib.suppress(TimeoutError):
                try:
                    client.sendall(b"a")
                    is_open = client.recv(1) != b""
                except ConnectionError:
                    is_open = False
        assert not is_open
        assert time.monotonic() - began > REQUEST_S - 1


@pytest.mark.parametrize("path", ["/portal/login/", "/admin/login/", "/admin/orders/order/add/", "/", "/echo/x"])
def test_large_upload_is_refused_and_never_on_disk(web, path):
    size = 8_000_000
    with web.connect() as client:
        client.sendall(post(path, MULTIPART, size).encode() + PART)
        sent = len(PART)
        with contextlib.suppress(ConnectionError):
            while sent < size:
                sent += client.send(b"\0" * min(65536, size - sent))
                assert files_of(web) == []
        assert client.recv(12).startswith((b"HTTP/1.1 413", b"HTTP/1.0 413"))


def files_of(web: Web) -> list[str]:
    """What it has open in its directory for temporary files, also without a name."""
    places = Path(f"/proc/{web.process.pid}/fd").glob("*")
    found = []
    for place in places:
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(place.readlink()))
    return [name for name in found if name.startswith(str(web.temporary))] + [*map(str, web.temporary.iterdir())]


def test_small_upload_is_refused_too(web):
    body = PART + b"tiny\r\n--x--\r\n"
    for path in ("/portal/login/", "/admin/login/"):
        assert web.status_of(post(path, MULTIPART, len(body)), body) == 403  # read by nobody without a token


@pytest.mark.parametrize(
    ("path", "content_type", "size", "status"),
    [
        ("/portal/login/", FORM, 60_000, 403),  # read; it brings no token against forgery
        ("/portal/login/", FORM, 70_000, 413),
        ("/admin/login/", FORM, 70_000, 413),
        ("/admin/orders/order/add/", FORM, 2_000_000, 403),
        ("/admin/orders/order/add/", FORM, 3_000_000, 413),
        ("/admin/orders/order/add/", MULTIPART, 300_000, 413),
        ("/portal/login/", FORM, 20_000_000, 413),
    ],
)
def test_bodies_have_a_limit_for_each_kind_of_page(web, path, content_type, size, status):
    assert web.status_of(post(path, content_type, size), b"a=" + b"b" * (size - 2)) == status


def test_large_body_without_a_length_is_refused(web):
    head = f"POST /portal/login/ HTTP/1.1\r\n{HOST}Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    assert web.status_of(head, chunk * 10 + b"0\r\n\r\n") == 413


def test_client_that_asks_before_it_sends_is_told_at_once(web):
    head = post("/portal/login/", FORM, 200_000_000).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")
    assert web.status_of(head) == 413


@pytest.mark.parametrize(("size", "is_too_large"), [(10 * 2**20, False), (10 * 2**20 + 1, True)])
def test_message_of_a_shop_may_have_ten_mebibytes(web, size, is_too_large):
    path = "/intake/shopify/00000000-0000-4000-8000-000000000000"
    answer = web.ask(post(path, "application/json", size), b" " * size)
    assert int(answer.split()[1]) in ({413} if is_too_large else {401, 404})  # there is no such shop
    assert b"application/json" in answer
    asking = post(path, "application/json", size).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")
    assert web.status_of(asking) == (413 if is_too_large else 100)


@pytest.mark.parametrize("size", [3_000_000, 20_000_000])
def test_api_says_in_its_own_words_that_a_body_is_too_large(web, size):
    answer = web.ask(post("/api/orders", "application/json", size), b" " * size)
    assert answer.split()[1] in {b"401", b"413"}  # it asks for the token first
    assert b"application/json" in answer


def test_head_that_is_too_large_is_refused(web):
    assert web.status_of(f"GET /healthz?{'a' * 100_000} HTTP/1.1\r\n{HOST}\r\n") == 431
    assert web.status_of(f"GET /healthz?{'a' * 16_000} HTTP/1.1\r\n{HOST}\r\n") == 200


@pytest.mark.parametrize("host", ["", "Host: 10.1.2.3:8080\r\n", "Host: elsewhere.example\r\n", "Host: %%!\r\n"])
def test_probes_answer_whatever_the_host_is(web, host):
    version = "1.1" if host else "1.0"
    assert web.status_of(f"GET /healthz HTTP/{version}\r\n{host}\r\n") == 200
    assert web.status_of(f"GET /readyz HTTP/{version}\r\n{host}\r\n") == 200
    assert web.status_of(f"GET /status HTTP/{version}\r\n{host}\r\n") == 200
    if host:
        assert web.status_of(f"GET /portal/login/ HTTP/1.1\r\n{host}\r\n") == 400


@pytest.mark.parametrize("path", ["/healthz", "/portal/login/", "/nothing", "/admin/", "/static/theme/layout.css"])
def test_answer_to_head_has_no_body(web, path):
    """What came after the head would be taken for the next answer of the connection."""
    head, body = web.all_of(f"HEAD {path} HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert body == b""


@pytest.mark.parametrize(
    "request_",
    [
        f"POST /api/orders HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        f"POST /api/orders HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip\r\n\r\n",
        f"POST /api/orders HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n",
        f"GET /api/orders/\xe9 HTTP/1.1\r\n{HOST}\r\n",
        f"GET /api/orders/1 HTTP/1.1\r\n{HOST}A : b\r\n\r\n",
        f"GET /api/orders/1?{'a' * 32_720} HTTP/1.1\r\n{HOST}\r\n",
    ],
)
def test_request_that_is_no_http_is_refused_in_the_shape_of_the_api(web, request_):
    head, body = web.all_of(request_)
    assert int(head.split()[1]) in {400, 431, 501}
    assert set(json.loads(body)["errors"][0]) == {"field", "code", "message"}


def test_answer_names_no_software(web):
    assert b"server:" not in web.ask(f"GET /healthz HTTP/1.1\r\n{HOST}\r\n").lower()


def test_site_is_loaded_before_the_first_request(tmp_path):
    script = """
import socket, sys
from config.stack import web
web.Server.run_until = lambda *_: print("config.urls" in sys.modules)
web.serve(socket.create_server(("127.0.0.1", 0)))
"""
    env = os.environ | {"DATA_DIR": str(tmp_path), "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"], done.stderr

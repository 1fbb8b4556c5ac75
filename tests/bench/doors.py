"""How quickly orders come in through the real web processes: messages of a shop, and calls of the API.

`messages`: a Shopify order with 18 kB, signed, as many in a second as a busy shop sends; then as many as are taken,
beside a bare Django view in the same kind of server, which checks the signature and inserts one row.
`api`: orders a second until the postback of the last one has arrived, beside a task written by hand with a view
written by hand in front, in the same kind of server: no checks, no attribution, no history, and no batches.
"""

import contextlib
import copy
import itertools
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg

from config.stack import web_processes
from config.stack.child import Child
from tests.bench import bare
from tests.bench.figures import Figure, percentile
from tests.bench.peers import TASK, TOKEN
from tests.bench.posting import Request, post
from tests.bench.processes import ROOT
from tests.bench.resources import ENDPOINTS, Resources

WEB_PROCESSES = 2
BURST = 600  # messages in a second
QUIET_S = 4.0  # before it: beat has started, and what came first is applied
ORDER = ROOT / "tests/cases/shops/shopify/order-partially-refunded.json"
_numbers = itertools.count(time.time_ns() // 1000)


def messages(resources: Resources) -> Iterator[Figure]:
    count = resources.sizes.messages
    with resources.installation("postgresql") as ours, ours.worker(2, beat=True):
        path, secret = ours.ask("connect_shop")
        with _served(web_processes.command, ours.env, ours.directory) as site:
            post([_message(site + path, secret) for _ in range(100)])
            time.sleep(QUIET_S)
            burst = post([_message(site + path, secret) for _ in range(BURST)], rate=BURST)
            most = post([_message(site + path, secret) for _ in range(count)])
    yield Figure("messages", f"{BURST} in a second: p95", percentile(burst.ms, 95), "ms", "less", 100)
    yield Figure("messages", f"{BURST} in a second: worst", max(burst.ms), "ms", "less", 1000)
    name = f"bare{next(_numbers)}"
    with psycopg.connect(resources.cluster.create_database(name)) as database:
        database.execute(bare.TABLE)
    env = os.environ | {"BARE_DATABASE": name, "BARE_DATABASE_HOST": str(resources.cluster.directory)}
    command = _plain("tests.bench.bare")
    with tempfile.TemporaryDirectory() as directory, _served(command, env, Path(directory)) as site:
        post([_message(f"{site}/receive", bare.SECRET) for _ in range(100)])
        simplest = post([_message(f"{site}/receive", bare.SECRET) for _ in range(count)])
    note = f"bare view {simplest.rate:,.0f}/s"
    yield Figure("messages", "as many as are taken", most.rate, "messages/s", note=note)
    yield Figure("messages", "of the bare view's rate", most.rate / simplest.rate, "times")


def api(resources: Resources) -> Iterator[Figure]:
    singles, many = resources.sizes.singles, resources.sizes.batches * 1000
    theirs = _of_task(resources)
    urls = [resources.arrivals.url(f"/{n}") for n in range(ENDPOINTS)]
    with resources.installation("postgresql", urls) as ours, ours.worker(2, beat=True):
        headers = [f"Authorization: Bearer {ours.ask('token')}"]
        with _served(web_processes.command, ours.env, ours.directory) as site:
            post([(f"{site}/api/orders", json.dumps(_order()).encode(), headers) for _ in range(50)])
            for what, count, target in (("singles", singles, 8), ("batches of 1,000", many, 40)):
                orders = [_order() for _ in range(count)]
                if what == "singles":
                    requests = [(f"{site}/api/orders", json.dumps(order).encode(), headers) for order in orders]
                else:
                    parts = [{"orders": orders[at : at + 1000]} for at in range(0, count, 1000)]
                    requests = [(f"{site}/api/orders/batch", json.dumps(part).encode(), headers) for part in parts]
                resources.arrivals.take()
                posted = post(requests, at_once=4 if what != "singles" else 32)
                arrived = resources.arrivals.take_all({order["number"] for order in orders})
                rate = count / (max(arrived.values()) - posted.began)
                note = f"{count / (posted.ended - posted.began):,.0f}/s were taken in"
                yield Figure("api", f"{what}: until all have arrived", rate, "orders/s", peers=theirs, note=note)
                if theirs:
                    yield Figure("api", f"{what} beside the task", rate / (theirs[TASK] or 1), "times", target=target)


def _of_task(resources: Resources) -> dict[str, float | None]:
    if not resources.has_peers:
        return {}
    amount = resources.sizes.waiting_peers
    headers = [f"Authorization: Bearer {TOKEN}"]
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(resources.peer(TASK, resources.arrivals.url("/peer")))
        stack.enter_context(peer.worker(2))
        site = stack.enter_context(_served(_plain("tests.bench.peershop.settings"), peer.env, peer.directory))
        orders = [_order("partner") for _ in range(50 + amount)]
        requests = [(f"{site}/orders", json.dumps(order).encode(), headers) for order in orders]
        post(requests[:50])
        peer.told += 50
        peer.wait()
        posted = post(requests[50:])
        peer.told += amount
        return {TASK: amount / (peer.wait() - posted.began)}


# --- what is sent --------------------------------------------------------------
_DOCUMENTED: dict[str, Any] = json.loads(ORDER.read_text())


def _message(url: str, secret: str) -> Request:
    number = next(_numbers)
    landing = f"https://shop.example/products/42?ref=partner{number % ENDPOINTS}&src=newsletter&sub_id=fb1"
    order = copy.copy(_DOCUMENTED) | {"id": number, "name": f"M{number}", "landing_site": landing}
    body = json.dumps(order).encode()
    headers = [f"X-Shopify-Hmac-Sha256: {bare.signature(body, secret)}", f"X-Shopify-Webhook-Id: {number}"]
    return url, body, [*headers, "X-Shopify-Topic: orders/create", "X-Shopify-Shop-Domain: bench.myshopify.com"]


def _order(code: str = "") -> dict[str, str]:
    number = next(_numbers)
    code = code or f"partner{number % ENDPOINTS}"
    link = f"https://shop.example/products/42?ref={code}&src=newsletter&sub_id=fb1"
    return {"number": f"A{number}", "amount": "58.00", "currency": "USD", "link": link}


# --- who is sent to ------------------------------------------------------------
@contextlib.contextmanager
def _served(command: Any, env: Mapping[str, str], directory: Path) -> Iterator[str]:
    """The address of web processes that serve there."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.set_inheritable(True)
        site = f"http://127.0.0.1:{listener.getsockname()[1]}"
        pass_fds = [listener.fileno()]
        log = directory / "web.log"
        web = Child("web", command(listener, WEB_PROCESSES), env, log=log, pass_fds=pass_fds)
        try:
            yield site
        except Exception as error:
            raise RuntimeError(f"{error} The log ends: {log.read_text()[-3000:]}") from error
        finally:
            web.stop(10)


def _plain(settings: str) -> Callable[[socket.socket, int], list[str]]:
    """The command of as many processes as ours has, with these settings."""

    def command(listener: socket.socket, count: int) -> list[str]:
        one = f"{sys.executable} -m tests.bench.plain_server {listener.fileno()} {settings}"
        return ["sh", "-c", f"trap 'kill 0' TERM; {' & '.join([one] * count)} & wait"]

    return command

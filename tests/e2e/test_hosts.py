"""Two hosts with one database and one broker: each is a network namespace, with a host name and a worker of its own.

Database, broker and receiver are reached in a third namespace, at 10.213.0.1. Of database and broker only the door is
there, a relay whose other side is in the namespace of the tests. Needs root and iproute2.
"""

import contextlib
import ctypes
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TypeVar
from uuid import uuid4

import environ
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import ConnectionHandler, connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.chaos.broker import Broker
from tests.chaos.processes import ROOT, Program
from tests.chaos.surroundings import Surroundings
from tests.postgresql import Cluster, create_database
from tests.receiver import Receiver
from tests.waiting import wait_until

SERVICES = "10.213.0.1"
DUE = 5000
KEPT_ALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 2,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 10_000,
}
CLONE_NEWNET = 0x40000000  # linux/sched.h
LOG_IN = """
import re, sys, requests
first, second, password = sys.argv[1:]
client = requests.Session()
page = f"http://{first}/admin/login/"
token = re.search('csrfmiddlewaretoken" value="(.+?)"', client.get(page, timeout=10).text)[1]
typed = {"username": "joe", "password": password, "csrfmiddlewaretoken": token}
assert client.post(page, typed, allow_redirects=False, timeout=10).status_code == 302
session = client.cookies["sessionid"]
answer = requests.get(f"http://{second}/admin/", cookies={"sessionid": session}, allow_redirects=False, timeout=10)
print(answer.status_code)
"""
Made = TypeVar("Made")


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Network namespaces cannot be made here (root and iproute2 are needed): {done.stderr}"


class Network:
    """A namespace for the services, and two for hosts, each joined to it by a cable."""

    def __init__(self) -> None:
        mark = uuid4().hex[:6]
        self.services = f"postbacks-{mark}"
        self.hosts = [f"postbacks-{mark}-{number}" for number in (1, 2)]
        self.made: list[str] = []

    def __enter__(self) -> Self:
        try:
            for name in (self.services, *self.hosts):
                ip("netns", "add", name)
                self.made.append(name)
                ip("-n", name, "link", "set", "lo", "up")
            ip("-n", self.services, "address", "add", f"{SERVICES}/32", "dev", "lo")
            for number, host in enumerate(self.hosts, 1):
                cable, near, far = f"host{number}", f"10.213.{number}.1", f"10.213.{number}.2"
                ip("-n", self.services, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host)
                for namespace, device, address in ((self.services, cable, near), (host, "eth0", far)):
                    ip("-n", namespace, "address", "add", f"{address}/24", "dev", device)
                    ip("-n", namespace, "link", "set", device, "up")
                ip("-n", host, "route", "add", SERVICES, "via", near)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.made:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def cut(self, number: int) -> None:
        """Pull the cable of a host: from then on every packet is lost, without a word."""
        ip("-n", self.services, "link", "set", f"host{number}", "down")

    def in_services(self, make: Callable[[], Made]) -> Made:
        """What `make` makes in a thread that is in the services' namespace: its sockets are there."""
        made: list[Made] = []

        def enter() -> None:
            with open(f"/run/netns/{self.services}") as namespace:  # noqa: PTH123 - a handle, not a file
                assert ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET) == 0
            made.append(make())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]


class Relay:
    """Joins each connection to a listener with a new one of `connect`."""

    def __init__(self, listener: socket.socket, connect: Callable[[], socket.socket]) -> None:
        self.listener, self.connect = listener, connect
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                near, _ = self.listener.accept()
                for option, value in KEPT_ALIVE.items():  # as PostgreSQL does itself: a host that is gone is noticed
                    near.setsockopt(*option, value)
                far = self.connect()
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # which ends the other thread of the pair
        source.close()


class Hosts(Surroundings):
    """The product's processes on two hosts."""

    network: Network

    def at(self, number: int, name: str, *command: str) -> Program:
        """Start a process on that host, whose name is `host1` or `host2`."""
        inside = ["ip", "netns", "exec", self.network.hosts[number - 1], "unshare", "--uts", "sh", "-c"]
        script = f'hostname host{number} && exec "$0" "$@"'
        env = self.env | {"DATA_DIR": str(self.directory / f"host{number}")}
        log = self.directory / f"{name}{number}.log"
        program = Program(name, [*inside, script, sys.executable, *command], env, log=log)
        self.programs.append(program)
        return program


@contextlib.contextmanager
def connected(url: str) -> Iterator[None]:
    """This process asks that database, whatever kind the others of this run are of; it gets all tables."""
    before = connections["default"]
    configured = {name: value for name, value in settings.DATABASES["default"].items() if name != "OPTIONS"}
    configured |= environ.Env.db_url_config(url)
    connections["default"] = ConnectionHandler({"default": configured})["default"]
    try:
        call_command("migrate", interactive=False, verbosity=0)
        yield
    finally:
        connections["default"].close()
        connections["default"] = before


@pytest.fixture
def hosts(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Hosts]:
    with contextlib.ExitStack() as ending:
        network = ending.enter_context(Network())
        cluster = Cluster()
        ending.callback(cluster.stop)
        broker = Broker(tmp_path)
        ending.callback(broker.stop)
        receiver = ending.enter_context(network.in_services(lambda: Receiver(host=SERVICES)))
        ending.enter_context(django_db_blocker.unblock())
        url = create_database(cluster.url, "hosts")
        ending.enter_context(connected(url))

        def to_database() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(cluster.directory / ".s.PGSQL.5432"))
            return connection

        broker_port = int(re.findall(r":(\d+)/", broker.url)[0])
        database = Relay(network.in_services(lambda: socket.create_server((SERVICES, 0))), to_database)
        wakeups = Relay(
            network.in_services(lambda: socket.create_server((SERVICES, 0))),
            lambda: socket.create_connection(("127.0.0.1", broker_port)),
        )
        for relay in (database, wakeups):
            ending.callback(relay.listener.close)
        name = url.partition("@/")[2].partition("?")[0]
        made = Hosts(tmp_path, url, broker, receiver)
        ending.callback(made.close)
        made.network = network
        made.env |= {
            "DATABASE_URL": f"postgres://postgres@{SERVICES}:{database.port}/{name}",
            "REDIS_URL": broker.url.replace(f"127.0.0.1:{broker_port}", f"{SERVICES}:{wakeups.port}"),
            "CALLBACKS_ALLOWED_NETWORKS": f"{SERVICES}/32",
            "ALLOWED_HOSTS": "*",
            "PORT": "8000",
        }
        del made.env["DJANGO_ALLOW_ASYNC_UNSAFE"]  # which the tests need, and production refuses
        for number in (1, 2):
            (tmp_path / f"host{number}").mkdir()
        yield made


WORKER = ("-W", "ignore", "-m", "celery", "--quiet", "--workdir", str(ROOT), "-A", "config", "worker")
BEAT = ("-m", "celery", "--quiet", "--workdir", str(ROOT), "-A", "config", "beat", "--pidfile=")


def states() -> dict[str, int]:
    from django.db.models import Count  # Django is set up only now

    from callbacks.models import Delivery

    return dict(Delivery.objects.values_list("status").annotate(Count("pk")))


def test_host_that_goes_in_the_middle_loses_nothing_and_the_other_takes_over(hosts: Hosts) -> None:
    hosts.place(DUE, changed_each=0)
    first = hosts.at(1, "worker", *WORKER)
    wait_until(lambda: len(hosts.receiver.requests) > DUE // 10, 60, lambda: f"{states()} {hosts.log()}")
    second = hosts.at(2, "worker", *WORKER)
    hosts.at(2, "beat", *BEAT)
    first.kill()
    hosts.network.cut(1)
    in_flight = hosts.claimed()
    assert states().get("succeeded", 0) < DUE, "It was not in the middle: there was nothing left for the other host."
    # What the first host held is the other's once its leases have ended, a minute later: that minute is spared here.
    wait_until(lambda: states().keys() <= {"succeeded", "sending"}, 60, hosts.log)
    hosts.expire_leases(in_flight)
    wait_until(lambda: states() == {"succeeded": DUE}, 60, lambda: f"{states()} {hosts.log()}")
    received = Counter(request.header("webhook-id") for request in hosts.receiver.requests)
    assert len(received) == DUE
    assert {event for event, times in received.items() if times > 1} <= in_flight
    assert second.process.poll() is None


def test_log_in_at_one_host_is_one_at_the_other(hosts: Hosts) -> None:
    from django.contrib.auth.models import User  # Django is set up only now

    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"]):
        User.objects.create_superuser("joe", "", "correct horse battery")
    script = hosts.directory / "log_in.py"
    script.write_text(LOG_IN)

    def status(second: str) -> str:
        arguments = ["10.213.1.2:8000", second, "correct horse battery"]
        inside = ["ip", "netns", "exec", hosts.network.services, sys.executable, str(script)]
        done = subprocess.run([*inside, *arguments], capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip() or done.stderr[-300:]

    def start(number: int) -> Program:
        web = hosts.at(number, "web", str(ROOT / "manage.py"), "web", "--host=0.0.0.0")
        look = f"import urllib.request as r; r.urlopen('http://10.213.{number}.2:8000/healthz', timeout=5)"
        probe = ["ip", "netns", "exec", hosts.network.services, sys.executable, "-c", look]
        wait_until(lambda: subprocess.run(probe, capture_output=True, check=False).returncode == 0, 60, hosts.log)
        return web

    start(1)
    second = start(2)
    assert status("10.213.2.2:8000") == "200"
    second.stop(10)
    hosts.env["SECRET_KEY"] = "another one at the second host " * 2  # as if each host had made its own
    start(2)
    assert status("10.213.2.2:8000") == "302"

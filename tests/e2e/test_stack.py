"""`manage.py dev` as a new user meets it: it starts, says so, survives, and leaves nothing behind."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from config.stack import supervisor
from tests.e2e.installation import ROOT, Installation, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is left behind is looked up in /proc")


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def shell(installation: Installation, code: str) -> str:
    return installation.manage("shell", "--no-imports", "-v0", "-c", code).strip()


COUNT = "from orders.models import Order; print(Order.objects.count())"
PROCESSES = "from config.models import Process; print(list(Process.objects.values_list('kind', flat=True)))"
UNSENT = (
    "from callbacks.models import Delivery; print(Delivery.objects.filter(attempt_count=0).exclude(status='skipped'))"
)


def test_stack_on_a_new_database_makes_demo_data_and_prints_the_login_once(installation):
    installation.start()
    assert installation.login
    assert installation.lines[-1] == f"ready http://127.0.0.1:{installation.port}/"
    orders = shell(installation, COUNT)
    assert int(orders) > 100
    wait_until(lambda: shell(installation, UNSENT) == "<QuerySet []>", 20, lambda: shell(installation, UNSENT))
    assert installation.has_received("/echo/keitaro/postback?subid=fb-1042&status=lead&payout=8.70")
    assert installation.login.username == "admin"
    demo = "\n".join(installation.lines)
    assert "This is the demo." in demo
    assert f"127.0.0.1 at port {installation.port}, and no other port" in demo
    assert "make run ARGS=--no-demo" in demo
    assert installation.stop() == 0

    took = installation.start()
    assert installation.login.password not in "\n".join(installation.lines)
    assert installation.lines[-1] == f"ready http://127.0.0.1:{installation.port}/"
    assert not any("Sign in" in line for line in installation.lines)
    assert shell(installation, COUNT) == orders
    assert took < 30  # under 5 s where nothing else runs; here other tests do
    assert installation.stop() == 0


def test_stack_without_demo_makes_a_login_and_nothing_else_and_leaves_no_process(stack, installation):
    installation.data_dir.mkdir()
    (installation.data_dir / "beat-schedule").write_bytes(b"\0garbage" * 100)  # as a crash may leave it
    installation.start("--no-demo")
    assert installation.login
    assert shell(installation, COUNT) == "0"  # though another one, with a demo, runs beside it
    assert get(f"{installation.base_url}/readyz") == get(f"{stack.base_url}/readyz")
    assert is_fine(installation)
    assert get(f"{installation.base_url}/echo/")[0] == 404
    assert "This is the demo." not in "\n".join(installation.lines)
    web = installation.process_of("config.stack.web")
    environment = Path(f"/proc/{web}/environ").read_bytes().split(b"\0")
    assert b"DEMO=" in environment
    assert len(installation.processes()) >= 7  # dev, valkey, beat, web, worker and its pool of two
    assert installation.stop(signal.SIGINT) == 0
    assert shell(installation, PROCESSES) == "[]"  # each said that it ends
    assert not (installation.data_dir / "broker_url").exists()
    assert get(f"{stack.base_url}/readyz")[0] == 200


def test_stack_asked_to_end_while_it_starts_leaves_no_process(installation):
    installation.launch("--no-demo")
    wait_until(lambda: any("celery" in command for command in installation.processes().values()), 30)
    assert installation.stop(signal.SIGINT) == 0
    assert not installation.is_ready


def test_stack_killed_leaves_no_process_and_starts_again(installation):
    installation.start("--no-demo")
    installation.stop(signal.SIGKILL)
    installation.start("--no-demo")
    assert installation.stop(signal.SIGTERM) == 0
    assert not (installation.data_dir / "broker_url").exists()


def test_stack_asked_twice_does_not_wait_for_a_child_that_hangs(installation):
    installation.start("--no-demo")
    os.kill(installation.process_of("--pool=prefork"), signal.SIGSTOP)
    began = time.monotonic()
    installation.process.send_signal(signal.SIGINT)
    wait_until(lambda: not any("config.stack.web" in command for command in installation.processes().values()), 10)
    wait_until(lambda: time.monotonic() - began > supervisor.SAME_SIGNAL_S, 10)
    assert installation.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < supervisor.STOP_TIMEOUTS_S["worker"]


CHILDREN = {"web": "config.stack.web", "beat": " beat ", "valkey": "valkey-server", "worker": "--pool=prefork"}


def test_stack_starts_a_child_again_that_has_ended(installation):
    installation.start("--no-demo")
    url = (installation.data_dir / "broker_url").read_text()
    killed = {name: installation.process_of(command) for name, command in CHILDREN.items()}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(is_new(installation, killed[name], command) for name, command in CHILDREN.items()), 30)
    wait_until(lambda: is_fine(installation), 60, lambda: status_of(installation))
    assert (installation.data_dir / "broker_url").read_text() == url
    for name in CHILDREN:
        assert f"The {name} process was ended by SIGKILL. Restarting it in 1 s." in installation.lines
    assert installation.errors == []
    assert installation.stop() == 0


def is_new(installation: Installation, pid: int, command: str) -> bool:
    found = [other for other, text in installation.processes().items() if command in text]
    return bool(found) and pid not in found


def status_of(installation: Installation) -> str:
    with contextlib.suppress(OSError):
        return get(f"{installation.base_url}/status")[1]
    return "{}"


def is_fine(installation: Installation) -> bool:
    return json.loads(status_of(installation)).get("state") == "ok"


def test_child_that_keeps_ending_is_started_again_more_and_more_slowly(installation):
    installation.start("--no-demo")
    for pause_s in (1, 2):
        line = f"The beat process was ended by SIGKILL. Restarting it in {pause_s} s."
        wait_until(lambda: any(" beat " in text for text in installation.processes().values()), 30)
        os.kill(installation.process_of(" beat "), signal.SIGKILL)
        wait_until(lambda said=line: said in installation.lines, 10)
    assert installation.stop() == 0


def test_worker_that_is_killed_takes_its_pool_with_it(installation):
    installation.start("--no-demo")
    installation.process.send_signal(signal.SIGSTOP)  # so that nobody else ends them
    os.kill(installation.process_of("--pool=prefork"), signal.SIGKILL)
    wait_until(lambda: not [one for one in installation.processes().values() if "--pool=prefork" in one], 10)
    installation.process.send_signal(signal.SIGCONT)
    assert installation.stop() == 0


def test_stack_order_saved_while_the_worker_is_away_is_delivered_later(installation):
    installation.start()
    assert installation.stop() == 0
    shell(
        installation,
        "from orders.models import *; from affiliates.models import *; "
        "Order(number='#late', affiliate=Affiliate.objects.get(code='joe'), amount=1).save()",
    )
    installation.start()
    wait_until(lambda: installation.has_received("tid=%23late"), 20)
    assert installation.stop() == 0


# --- what stands in the way is one sentence ------------------------------------
def refused(installation: Installation) -> str:
    installation.launch()
    assert installation.wait() == 1
    wait_until(lambda: installation.errors, 20)
    assert all(line.endswith(" ...") for line in installation.lines), installation.lines
    (sentence,) = installation.errors
    return sentence


def test_stack_with_a_taken_port_says_so(installation):
    with socket.create_server(("127.0.0.1", installation.port)):
        assert f"Port {installation.port} of 127.0.0.1 cannot be used (Address already in use)" in refused(installation)
    assert not installation.processes()


def test_stack_with_an_unreachable_database_says_so_without_the_password(installation):
    installation.env["DATABASE_URL"] = f"postgres://shop:s3cr3t@127.0.0.1:{free_port()}/shop"
    sentence = refused(installation)
    assert sentence.startswith("The database cannot be reached: ")
    assert "refused" in sentence
    assert "s3cr3t" not in sentence


def test_stack_with_a_database_file_that_is_none_says_so(installation, tmp_path):
    (tmp_path / "text.sqlite3").write_text("this is no database, " * 100)
    installation.env["DATABASE_URL"] = f"sqlite:///{tmp_path}/text.sqlite3"
    assert refused(installation) == "The database cannot be reached: file is not a database"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "DATABASE_URL",
            "mysql://shop:s3cr3t@localhost/shop",
            "DATABASE_URL must begin with postgres:// or sqlite://.",
        ),
        ("REDIS_URL", "redis://:s3cr3t@127.0.0.1:1/0", "The broker at REDIS_URL cannot be reached: "),
        ("REDIS_URL", "nonsense", "REDIS_URL is not the URL of a Valkey or Redis server."),
        ("PORT", "0", "PORT is 0."),
        ("PORT", "eighty", "PORT "),
        ("CALLBACKS_ALLOWED_NETWORKS", "10.0.0.0/99", "CALLBACKS_ALLOWED_NETWORKS "),
        ("CALLBACKS_ALLOWED_PORTS", "http", "CALLBACKS_ALLOWED_PORTS "),
    ],
)
def test_stack_with_a_wrong_environment_says_so(installation, name, value, sentence):
    installation.env[name] = value
    said = refused(installation)
    assert sentence in said
    assert "s3cr3t" not in said
    assert not installation.processes()


@pytest.mark.parametrize("secret_key", ["", "given" * 10])
def test_stack_with_a_data_dir_that_is_none_says_so(installation, tmp_path, secret_key):
    (tmp_path / "file").write_text("")
    installation.env |= {"DATA_DIR": str(tmp_path / "file" / "below"), "SECRET_KEY": secret_key}
    assert refused(installation).startswith("DATA_DIR cannot be used")


def test_stack_with_a_broker_that_does_not_start_says_so(installation):
    installation.data_dir.mkdir()
    (installation.data_dir / "valkey.log").mkdir()
    assert refused(installation).endswith("Is a directory: '" + str(installation.data_dir / "valkey.log") + "'")


def test_stack_with_a_database_of_somebody_else_says_so(installation, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "other.sqlite3")) as database:
        database.execute("CREATE TABLE affiliates_affiliate (id integer)")
    installation.env["DATABASE_URL"] = f"sqlite:///{tmp_path}/other.sqlite3"
    sentence = refused(installation)
    assert sentence.startswith("The database could not be updated: ")
    assert "already exists" in sentence


def test_stack_with_the_data_of_a_running_one_says_so(stack, installation):
    installation.env["DATA_DIR"] = stack.env["DATA_DIR"]
    assert "Already running with the data in" in refused(installation)


def test_demo_on_a_database_with_data_makes_none(stack):
    before = shell(stack, COUNT)
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "demo"], env=stack.env, capture_output=True, text=True, check=True
    )
    assert "No demo data was added: " in done.stderr
    assert shell(stack, COUNT) == before


def test_order_saved_by_another_process_wakes_the_worker_at_once(stack):
    saved_at = float(
        shell(
            stack,
            "import time; from orders.models import *; from affiliates.models import *; "
            "from callbacks.models import *; "
            # one of its own: the other tests of this stack change the demo's callbacks
            "waker = Affiliate.objects.create(name='Waker', email='w@e.example', code='waker'); "
            "CallbackSetting.objects.create(affiliate=waker, event='order.created', "
            f"url='{stack.base_url}/echo/woken?order={{{{order.number}}}}&end=1'); "
            "Order(number='#woken', affiliate=waker, amount=1).save(); print(time.time())",
        )
    )
    wait_until(lambda: stack.has_received("order=%23woken&"), 30)
    arrived_at = float(
        shell(
            stack,
            "from callbacks.models import Attempt; "
            "print(Attempt.objects.get(delivery__order__number='#woken').created_at.timestamp())",
        )
    )
    assert arrived_at - saved_at < 1

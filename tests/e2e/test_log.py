"""What web, worker and beat write while people, trackers and machines bring them all that no line may hold."""

import json
import subprocess
import sys
from threading import Timer

import pytest

from tests.attacks.site import Visitor
from tests.e2e.installation import ROOT, Installation
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

MARK = "m4rk3d"  # stands in everything that is told to nobody
SET_UP = f"""
from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
joe = Affiliate.objects.create(name="{MARK} Joe", email="{MARK}@joe.example", code="joe")
for n, url in enumerate(URLS):
    CallbackSetting.objects.create(affiliate=joe, name=f"{MARK}{{n}}", event="order.created", url=url)
"""
ORDER = {"number": "1", "amount": "1.00", "currency": "USD", "link": f"https://shop.example/?ref=joe&sub_id={MARK}"}


@pytest.mark.both
def test_no_line_holds_a_query_a_secret_or_a_person(installation: Installation):
    with Receiver() as tracker:
        tracker.answer("/refuses", Answer(500, body=MARK.encode()))
        installation.env |= {
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "json",
            "SECRET_KEY": f"{MARK}-secret-key",
            "METRICS_TOKEN": f"{MARK}-token",
            "EMAIL_URL": f"smtp://{MARK}:{MARK}@127.0.0.1:1",
            "CALLBACKS_ALLOWED_NETWORKS": "127.0.0.1/32",
            "CALLBACKS_ALLOWED_PORTS": str(tracker.port),
        }
        installation.start("--no-demo")
        urls = [tracker.url(f"/{path}?cid={{{{link.sub_id}}}}&key={MARK}") for path in ("ok", "refuses")]
        urls.append(f"http://10.0.0.1/?key={MARK}")
        installation.manage("shell", "-c", f"URLS = {urls!r}\n{SET_UP}")
        token = installation.manage("create_token", "shop").split()[-1]
        visitor = Visitor(installation.port)
        visitor.get(f"/nothing?q={MARK}")
        visitor.get(f"/admin/?next={MARK}")
        visitor.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7", "Authorization": f"Bearer {MARK}"})
        visitor.sign_in(f"{MARK}@joe.example", f"{MARK}-password")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        placed = visitor.ask("POST", f"/api/orders?key={MARK}", json.dumps(ORDER), headers)
        assert placed.status == 201
        visitor.ask("POST", "/api/orders", json.dumps({MARK: MARK}), headers)
        visitor.ask("POST", "/api/orders", json.dumps(ORDER), headers | {"Authorization": f"Bearer apb_{MARK}"})

        def told(event: str) -> list[dict[str, object]]:
            lines = [json.loads(line) for line in installation.lines if line.startswith("{")]
            return [line for line in lines if line["event"] == event]

        for event in ("delivery_failed", "attempt_failed"):
            wait_until(lambda event=event: told(event), 30, lambda: "\n".join(installation.lines))
            assert told(event)[0]["request_id"] == placed.headers["X-Request-ID"]
            assert told(event)[0]["process"] == "worker"
        for event in ("log_in_refused", "token_refused", "metrics_refused"):
            assert told(event)[0]["process"] == "web"
        assert told("process_started")
        assert installation.stop() == 0
    own = (
        "Log in at ",
        "It is shown only once",
        "ready ",
        "Updating the ",
        "Starting ",
    )  # what the command says
    lines = [line for line in installation.lines + installation.errors if not line.startswith(own)]
    assert {json.loads(line).get("process") for line in lines if line.startswith("{")} == {"web", "worker", "beat"}
    assert not [line for line in lines if MARK in line or token in line]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("process", ["worker", "beat"])
def test_process_without_broker_and_database_tells_no_password(installation: Installation, process: str, form: str):
    """As docs/operations.md types it. Each line is one of ours, also what Celery says."""
    broken = {
        "DATABASE_URL": f"postgres://someone:{MARK}@127.0.0.1:1/x",
        "REDIS_URL": f"redis://someone:{MARK}@127.0.0.1:1/0",
        "SECRET_KEY": f"{MARK}-secret-key",
        "LOG_FORMAT": form,
        "LOG_LEVEL": "INFO",
    }
    installation.data_dir.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "config", process],
        env=installation.env | broken,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout
        deadline = Timer(30, running.kill)
        deadline.start()
        lines = []
        for line in running.stdout:
            lines.append(line.rstrip("\n"))
            if "broker_failed" in line or "database_awaited" in line:
                break
        running.kill()
        deadline.cancel()
    is_ours = (lambda line: line.startswith("{")) if form == "json" else (lambda line: " event=" in line)
    assert "broker_failed" in lines[-1] or "database_awaited" in lines[-1]
    assert [line for line in lines if not is_ours(line)] == []
    assert not [line for line in lines if MARK in line]

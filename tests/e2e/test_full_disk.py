"""The disk of an installation with SQLite is full for a while: what cannot be saved is refused, and all goes on."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.installation import Installation, free_port
from tests.receiver import Receiver
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it mounts a small file system")
FULL_S = float(os.environ.get("FULL_DISK_S", "6"))  # 60 was seen


@pytest.fixture
def on_small_disk(tmp_path: Path, session_receiver: Receiver) -> Iterator[Installation]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "postbacks-test", disk], check=True)
    ports = {"CALLBACKS_ALLOWED_PORTS": str(session_receiver.port), "CALLBACKS_ALLOWED_NETWORKS": "127.0.0.1/32"}
    installation = Installation(disk, free_port(), "", ports)
    try:
        yield installation
    finally:
        installation.clean_up()
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> Path:
    """Take what is left, to the last byte."""
    path = disk / "filling"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def test_full_disk_ends_nothing_and_loses_nothing(on_small_disk: Installation, session_receiver: Receiver) -> None:
    installation = on_small_disk
    installation.start("--no-demo")
    url = session_receiver.url("/full") + "?order={{order.number}}"
    token = installation.manage("create_token", "shop").split()[-1]
    installation.manage(
        "shell", "--no-imports", "-v0", "-c",
        "from affiliates.models import *; from callbacks.models import *; "
        "joe = Affiliate.objects.create(name='Joe', email='j@e.example', code='joe'); "
        f"CallbackSetting.objects.create(affiliate=joe, event='order.created', url={url!r})",
    )  # fmt: skip
    numbers = iter(range(10**6))

    def place() -> requests.Response:
        return requests.post(
            f"{installation.base_url}/api/orders",
            json={"number": str(next(numbers)), "amount": "1", "affiliate": "joe", "link": "https://x.example/?a=1"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )

    answers = [place() for _ in range(3)]
    before = installation.processes().keys()
    filling = fill(installation.data_dir.parent)
    ready, is_refused = f"{installation.base_url}/readyz", False
    wait_until(lambda: requests.get(ready, timeout=10).status_code == 503, 30)
    began = time.monotonic()
    while time.monotonic() - began < FULL_S:
        answers.append(answer := place())
        is_refused = is_refused or answer.status_code == 503
        assert answer.status_code in {201, 503}, answer.text
        if answer.status_code == 503:
            assert answer.headers["Retry-After"] == "30"
            assert "disk of the database is full" in answer.json()["errors"][0]["message"]
    assert is_refused
    filling.unlink()
    wait_until(lambda: requests.get(ready, timeout=10).status_code == 200, 30)
    answers.append(place())
    assert answers[-1].status_code == 201
    accepted = {answer.json()["number"] for answer in answers if answer.status_code == 201}

    def received() -> list[str]:
        targets = [request.target for request in session_receiver.requests if request.target.startswith("/full?")]
        return [target.partition("order=")[2] for target in targets]

    wait_until(lambda: accepted <= set(received()), 30, lambda: str(accepted - set(received())))
    assert installation.processes().keys() == before, installation.lines
    status = json.loads(requests.get(f"{installation.base_url}/status", timeout=10).text)
    assert status["database"] == "ok"
    assert set(received()) == accepted
    assert installation.stop() == 0

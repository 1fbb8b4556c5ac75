"""The lines of docs/api.md work as they are typed: a shell runs them, with curl, against a server."""

import re
import subprocess
from pathlib import Path

import pytest

from callbacks.models import Delivery
from orders.api import tokens
from orders.models import Order
from tests.factories import CallbackSettingFactory, OrderFactory
from tests.orders.api.asking import ALL

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "api.md"
STATUS = "\n%{http_code}\n"


@pytest.mark.django_db(transaction=True)
def test_documented_lines_work_as_typed(live_server, tmp_path: Path) -> None:
    token = tokens.create("shop", scopes=ALL)
    OrderFactory(affiliate=CallbackSettingFactory().affiliate)
    first, *blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert "create_token shop --scope orders:write" in first
    first = re.sub(r"TOKEN=\$\(.*?\)\n", f"TOKEN={token}\n", first, flags=re.DOTALL)
    first = first.replace("http://127.0.0.1:8000", live_server.url)
    assert live_server.url in first
    lines = first.replace("curl -sS", "curl -sS -w '%{stderr}%{http_code} %{method}\\n'") + "".join(blocks)
    done = subprocess.run(
        ["bash", "-eu", "-c", lines], check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    answers = done.stderr.split("\n")[:-1]
    assert len(answers) == len(re.findall(r"\bapi ", "".join(blocks)))
    assert [answer for answer in answers if not answer.startswith("2")] == [], done.stdout
    assert Order.objects.get(number="#100482").status == "approved"
    assert not Order.objects.filter(number="#100484").exists()
    assert Delivery.objects.filter(next_trigger="manual").count() == 1

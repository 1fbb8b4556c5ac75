"""The code that the page of a shop and docs/shops.md show signs messages that are accepted."""

import re
import runpy
import subprocess
from pathlib import Path
from urllib.error import HTTPError

import pytest

from orders.models import Order
from tests.factories import AffiliateFactory
from tests.shop_messages import make_shop

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "templates" / "admin" / "orders" / "shop" / "sign.py"
DOCUMENT = (ROOT / "docs" / "shops.md").read_text("utf-8")

pytestmark = pytest.mark.django_db(transaction=True)


def test_sample_in_python_is_accepted_with_the_right_secret_only(live_server) -> None:
    shop = make_shop("signed")
    send = runpy.run_path(str(SAMPLE))["send"]
    send(live_server.url + shop.path, shop.secret, {"number": "#1", "amount": "5.00"})
    assert Order.objects.get().number == "#1"
    with pytest.raises(HTTPError, match="401"):
        send(live_server.url + shop.path, "whsec_AAAA", {"number": "#2", "amount": "5.00"})


def test_documented_lines_work_as_typed(live_server) -> None:
    AffiliateFactory(code="joe")
    shop = make_shop("signed")
    lines = re.search(r"^```sh\n(URL=.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert lines
    typed = re.sub("^URL=.*$", f"URL={live_server.url}{shop.path}", lines[1], flags=re.MULTILINE)
    typed = re.sub("^SECRET=.*$", f"SECRET={shop.secret}", typed, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-eu", "-c", typed.replace("curl -i ", "curl -sS -f ")], check=False, capture_output=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    order = Order.objects.get(number="#100482")
    assert order.affiliate is not None
    assert order.affiliate.code == "joe"


def test_documented_code_in_python_is_that_of_the_page() -> None:
    assert f"\n{SAMPLE.read_text('utf-8').strip()}\n```\n" in DOCUMENT

"""The main job on the real stack: an order handed over by the shop reaches the tracker, and the log says so."""

import time
from typing import Any

import pytest
import requests

from tests.e2e.installation import Installation
from tests.receiver import Answer, Receiver
from tests.waiting import wait_until

pytestmark = pytest.mark.both

SET_UP = """
from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
affiliate = Affiliate.objects.create(name="E2E {code}", email="{code}@e.example", code="{code}", commission_rate="0.15")
for event in ("order.created", "order.updated"):
    CallbackSetting.objects.create(affiliate=affiliate, event=event, method="GET", url="{url}")
"""
TEMPLATE = "?order={{order.number}}&amount={{order.amount}}&subid={{link.sub_id}}&status={{order.status}}"


@pytest.fixture(scope="module")
def token(stack: Installation) -> str:
    return stack.manage("create_token", f"e2e-{time.time()}").strip()


def hand_over(stack: Installation, token: str, **order: Any) -> requests.Response:
    return requests.post(
        f"{stack.base_url}/api/orders", json=order, headers={"Authorization": f"Bearer {token}"}, timeout=10
    )


def log_of(stack: Installation, number: str) -> str:
    code = (
        "from callbacks.models import Attempt\n"
        f"for a in Attempt.objects.filter(delivery__order__number='{number}').order_by('pk'):\n"
        "    print('attempt', a.trigger, a.status_code, a.url)\n"
    )
    return stack.manage("shell", code=code)


def test_order_handed_over_arrives_exactly_within_a_second_and_is_logged(
    stack: Installation, session_receiver: Receiver, token: str
) -> None:
    stack.manage("shell", code=SET_UP.format(code="quick", url=session_receiver.url("/quick") + TEMPLATE))
    link = "https://shop.example/p?ref=quick&sub_id=fb%20summer"
    took = []
    for number in range(900001, 900004):  # three, because a machine busy with other tests may stall one of them
        answer = hand_over(stack, token, number=f"#{number}", amount="58.00", currency="USD", link=link)
        assert answer.status_code == 201, answer.text
        answered_at, target = time.time(), f"/quick?order=%23{number}&amount=58.00&subid=fb%20summer&status=new"
        wait_until(lambda wanted=target: wanted in [r.target for r in session_receiver.requests_at("/quick")], 20)
        took.append(session_receiver.requests_at("/quick")[-1].at - answered_at)
    assert min(took) < 1
    wait_until(lambda: "attempt initial 200" in log_of(stack, "#900001"), 20)
    assert session_receiver.url("/quick?order=%23900001&") in log_of(stack, "#900001")

    assert hand_over(stack, token, number="#900001", status="approved").status_code == 200
    wait_until(lambda: len(session_receiver.requests_at("/quick")) == 4, 20)
    assert session_receiver.requests_at("/quick")[3].target.endswith("&status=approved")


def test_order_refused_by_the_tracker_is_sent_again_after_five_seconds(
    stack: Installation, session_receiver: Receiver, token: str
) -> None:
    session_receiver.answer("/shy", Answer(status=503), Answer(status=200))
    stack.manage("shell", code=SET_UP.format(code="shy", url=session_receiver.url("/shy") + TEMPLATE))
    hand_over(stack, token, number="#900010", amount="1", currency="USD", affiliate="shy")
    wait_until(lambda: len(session_receiver.requests_at("/shy")) == 2, 30)
    first, second = session_receiver.requests_at("/shy")
    assert 5 <= second.at - first.at < 15
    assert first.header("webhook-id") == second.header("webhook-id")
    wait_until(lambda: "attempt retry 200" in log_of(stack, "#900010"), 20)

"""The built-in receiver in a running demo."""

import urllib.error
import urllib.parse
import urllib.request

from playwright.sync_api import expect

from config import echo


def request(url: str, **arguments: object) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **arguments), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_echo_answers_any_request_and_shows_it_first(stack):
    assert request(f"{stack.base_url}/echo/a/b?x=%23%20", method="GET") == (200, "ok\n")
    assert request(f"{stack.base_url}/echo/form", data=b"order=%231&x=\xff", method="POST") == (200, "ok\n")
    form, query = stack.received()[:2]
    assert (query["method"], query["target"], query["status"]) == ("GET", "/echo/a/b?x=%23%20", 200)
    assert (form["method"], form["target"], form["body"]) == (
        "POST",
        "/echo/form",
        "order=%231&x=\N{REPLACEMENT CHARACTER}",
    )


def test_echo_answers_with_the_status_it_is_asked_for(stack):
    assert request(f"{stack.base_url}/echo/x?status=503") == (503, "status 503, as requested\n")
    assert stack.received()[0]["status"] == 503
    for nonsense in ("100", "600", "-1", "abc", "٢٠٠", ""):
        url = f"{stack.base_url}/echo/x?status={urllib.parse.quote(nonsense)}"
        assert request(url) == (200, "ok\n")


def test_echo_keeps_the_last_requests_only(stack):
    for number in range(echo.KEPT + 5):
        request(f"{stack.base_url}/echo/{number}")
    kept = [entry["target"] for entry in stack.received()]
    assert kept == [f"/echo/{number}" for number in range(echo.KEPT + 4, 4, -1)]


def test_echo_keeps_nothing_that_proves_who_sent_it(stack):
    proofs = ("Cookie", "Authorization", "Proxy-Authorization", "X-CSRFToken")
    request(f"{stack.base_url}/echo/x", method="GET", headers={**dict.fromkeys(proofs, "s3cr3t"), "X-Shown": "this"})
    kept = stack.received()[0]
    assert kept["headers"]["X-Shown"] == "this"
    assert "s3cr3t" not in str(stack.received())


def test_echo_shows_what_it_received_to_staff_only(stack):
    request(f"{stack.base_url}/echo/private", method="GET")
    for accepted in ("text/html", "application/json"):
        _, page = request(f"{stack.base_url}/echo/", headers={"Accept": accepted})
        assert "Log in" in page
        assert "/echo/private" not in page


def test_echo_page_shows_markup_as_text(stack, merchant):
    request(f"{stack.base_url}/echo/x?y=<script>alert(1)</script>", method="GET")
    merchant.goto(f"{stack.base_url}/echo/")
    assert "<script>alert" not in merchant.content()


def test_echo_page_in_a_browser_shows_a_request_and_breaks_no_policy(stack, merchant):
    request(f"{stack.base_url}/echo/seen?subid=fb-1042", method="GET")
    merchant.goto(f"{stack.base_url}/echo/")
    row = merchant.get_by_role("row", name="GET /echo/seen?subid=fb-1042")
    expect(row).to_be_visible()
    row.get_by_text("headers").click()
    expect(row.get_by_text("User-Agent")).to_be_visible()

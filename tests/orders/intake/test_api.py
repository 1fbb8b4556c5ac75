import json
import time
from io import StringIO
from typing import Any

import openapi_spec_validator
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from affiliates.models import Affiliate
from callbacks.models import Delivery
from orders.api import tokens
from orders.models import ApiToken, Order
from tests.factories import AffiliateFactory, OrderFactory, callbacks_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Client:
    return Client(headers={"authorization": f"Bearer {tokens.create('shop')}"})


def post(api: Client, **order: Any) -> Any:
    return api.post("/api/orders", json.dumps(order), content_type="application/json")


def problems(response: Any) -> list[tuple[str, str]]:
    return [(problem["field"], problem["code"]) for problem in response.json()["errors"]]


def test_place_order_new_is_made_and_told(api: Client) -> None:
    affiliate = AffiliateFactory(code="joe")
    callbacks_for(affiliate, "https://tracker.example/?o={{order.number}}")
    link = "https://shop.example/?ref=joe&sub_id=fb"
    response = post(api, number="#1", amount="58.00", currency="USD", link=link)
    assert response.status_code == 201
    assert response.json() == {
        "number": "#1", "amount": "58.00", "commission": "8.70", "currency": "USD", "status": "new",
        "affiliate": "joe", "link": link, "warnings": [],
    }  # fmt: skip
    assert Delivery.objects.get().variables["link.sub_id"] == "fb"


def test_place_order_again_is_changed_or_left_alone(api: Client) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    assert post(api, number="#1", amount=58.10, affiliate="joe").status_code == 201
    assert post(api, number="#1", amount="58.1").status_code == 200
    assert Delivery.objects.count() == 1
    assert post(api, number="#1", status="approved").json()["status"] == "approved"
    assert Delivery.objects.count() == 2


def test_place_order_commission_null_goes_back_to_the_rate(api: Client) -> None:
    AffiliateFactory(code="joe")
    assert post(api, number="#1", amount="10", commission="9", affiliate="joe").json()["commission"] == "9.00"
    assert post(api, number="#1", commission=None).json()["commission"] == "1.50"


def test_place_order_partial_refund_keeps_the_rate_of_the_order(api: Client) -> None:
    AffiliateFactory(code="joe", commission_rate="0.10")
    post(api, number="#1", amount="100", affiliate="joe")
    Affiliate.objects.update(commission_rate="0.05")
    assert post(api, number="#1", amount="80").json()["commission"] == "8.00"
    assert post(api, number="#1", commission="1").json()["commission"] == "1.00"
    assert post(api, number="#1", amount="60").json()["commission"] == "1.00"
    assert post(api, number="#1", commission=None).json()["commission"] == "6.00"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"amount": "1"}, [("number", "missing")]),
        ({"number": "#1"}, [("amount", "null")]),
        ({"number": "#1", "amount": "NaN"}, [("amount", "invalid")]),
        ({"number": "#1", "amount": None}, [("amount", "null")]),
        ({"number": "#1", "amount": ""}, [("amount", "null")]),
        ({"number": "#1", "amount": True}, [("amount", "invalid")]),
        ({"number": "#1", "amount": [1]}, [("amount", "invalid")]),
        ({"number": "#1", "amount": "1", "commission": "1e2"}, [("commission", "invalid")]),
        ({"number": 1, "amount": "1"}, [("number", "string_type")]),
        ({"number": "#1", "amount": "1" * 30}, [("amount", "max_digits")]),
        ({"number": "#1", "amount": "1", "currency": "XYZ"}, [("currency", "unknown_currency")]),
        ({"number": "#1", "amount": "1", "status": "paid"}, [("status", "literal_error")]),
        ({"number": "#1", "amount": "1", "link": 5}, [("link", "string_type")]),
        ({"number": "a\nb", "amount": "1"}, [("number", "control_character")]),
        ({"number": "\ud800", "amount": "1"}, [("number", "control_character")]),
        ({"number": "#\0", "amount": "1"}, [("number", "control_character")]),
        ({"number": ".", "amount": "1"}, [("number", "dots_only")]),
        ({"number": " .. ", "amount": "1"}, [("number", "dots_only")]),
        ({"number": " batch", "amount": "1"}, [("number", "reserved")]),
        ({"number": " \u00a0\u200b\u3000", "amount": "1"}, [("number", "blank")]),
        ({"number": "x" * 101, "amount": "1"}, [("number", "max_length")]),
        ({"number": "#1", "amount": "1", "currency": "\ud800"}, [("currency", "unknown_currency")]),
        ({"number": "", "amount": "1"}, [("number", "blank")]),
    ],
)
def test_place_order_bad_field_is_refused_with_code_and_sentence(
    api: Client, order: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    response = post(api, **order)
    assert (response.status_code, problems(response)) == (422, expected)
    assert all(problem["message"] for problem in response.json()["errors"])
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "amount",
    ["1_000", "\u0661\u0662", "\uff11\uff12", "1e3", "1E3", "+5", " 5", "5 ", "NaN", "Infinity", "-Infinity", "0x1f",
     "1,000", "1,5",
     "--5", "5-", "-", ".", "5.", ".5", "\u22125", "1e999999999", "1" * 2_400_000, "0." + "1" * 2_000_000, "5\n",
     "5\0"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["amount", "commission"])
def test_place_order_number_that_is_no_plain_decimal_is_refused_at_once(api: Client, field: str, amount: str) -> None:
    began_at = time.thread_time()
    response = post(api, **({"number": "#1", "amount": "1"} | {field: amount}))
    assert (response.status_code, problems(response)) == (422, [(field, "invalid")])
    assert time.thread_time() - began_at < 1


@pytest.mark.parametrize(
    "number", ["1e3", "1E+3", "1e999999999", "1e-999999999", "9" * 2_400_000, "1." + "1" * 2_000_000]
)
def test_place_order_json_number_is_read_by_the_same_rule(api: Client, number: str) -> None:
    began_at = time.thread_time()
    response = api.post("/api/orders", f'{{"number": "#1", "amount": {number}}}', content_type="application/json")
    assert (response.status_code, problems(response)) == (422, [("amount", "invalid")])
    assert time.thread_time() - began_at < 1


@pytest.mark.parametrize("field", ["number", "currency", "link", "affiliate", "status"])
@pytest.mark.parametrize("text", ["x" * 2_400_000, "\u00a0" * 1_200_000, "\u200b" * 400_000])
def test_place_order_text_of_megabytes_is_answered_at_once_and_not_repeated(api: Client, field: str, text: str) -> None:
    began_at = time.thread_time()
    body = json.dumps({"number": "#1", "amount": "1"} | {field: text}, ensure_ascii=False)
    response = api.post("/api/orders", body, content_type="application/json")
    assert response.status_code in {201, 422, 413}
    assert len(response.content) < 5000
    assert time.thread_time() - began_at < 1


def test_place_order_json_number_keeps_every_digit(api: Client) -> None:
    body = '{"number": "#1", "amount": 100000000000000.07, "currency": "USD"}'
    assert api.post("/api/orders", body, content_type="application/json").json()["amount"] == "100000000000000.07"


def test_place_order_empty_optional_fields_are_left_out(api: Client) -> None:
    response = post(api, number="#1", amount="1", commission="", currency="", status="", affiliate="", link="")
    assert response.status_code == 201
    assert post(api, number="#1", amount="", currency="", status="").json()["amount"] == "1.00"


# --- bodies that cannot be read ------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b'{"number": "#1", "amount": NaN}', b'{"number": "#1", "amount": Infinity}', b"\xff\xfe{\0}\0",
     b'{"number": "\xff", "amount": 1}', b'{"number": "#1", "number": "#2", "amount": 1}', b"[" * 100_000,
     b'{"a":' * 50_000, '{"number": "#1", "amount": 1}'.encode("utf-16"), b'{"number": "#1", "amount": 01}',
     b'{"number": "#1", "amount": -}', b'{"number": "a\nb"}'],
)  # fmt: skip
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=latin-1", "application/x+json", ""]
)
def test_place_order_body_that_is_no_json_is_a_400_in_the_one_shape(
    api: Client, body: bytes, content_type: str
) -> None:
    response = api.generic("POST", "/api/orders", body, content_type=content_type)
    assert (response.status_code, problems(response)) == (400, [("", "bad_json")])


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_place_order_body_of_another_type_is_a_415(api: Client, content_type: str) -> None:
    response = api.generic("POST", "/api/orders", b"number=1&amount=2", content_type=content_type)
    assert (response.status_code, problems(response)) == (415, [("", "unsupported_media_type")])
    body = json.dumps({"number": "#1", "amount": "1"}).encode()  # said to be something else, as curl does
    assert api.generic("POST", "/api/orders", body, content_type=content_type).status_code == 201


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"5", b"null"])
def test_place_order_body_that_is_no_object_is_a_422(api: Client, body: bytes) -> None:
    response = api.generic("POST", "/api/orders", body, content_type="application/json")
    assert response.status_code == 422
    assert problems(response)


@pytest.mark.parametrize("debug", [True, False])
def test_place_order_too_large_is_a_413(api: Client, settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    body = json.dumps({"number": "#1", "amount": "1", "link": "x" * 4_300_000})
    response = api.post("/api/orders", body, content_type="application/json")
    assert (response.status_code, problems(response)) == (413, [("", "too_large")])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("commision", "“commission”?"),
        ("Amount", "“amount”?"),
        ("orderNumber", "“number”?"),
        ("curency", "“currency”?"),
        ("foo", "Known: number, shop, amount, "),
    ],
)
def test_place_order_unknown_field_is_refused_with_the_nearest_name(api: Client, name: str, meant: str) -> None:
    response = post(api, number="#1", amount="1", **{name: "2"})
    assert (response.status_code, problems(response)) == (422, [(name, "unknown_field")])
    assert meant in response.json()["errors"][0]["message"]
    assert not Order.objects.exists()


# --- every address under /api/ -------------------------------------------------
@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api", 404, "not_found"),
        ("GET", "/api/", 404, "not_found"),
        ("POST", "/api/", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("POST", "/api/nothing", 404, "not_found"),
        ("PUT", "/api/nothing/", 404, "not_found"),
        ("POST", "/api/orders/", 404, "not_found"),
        ("GET", "/api/orders/", 404, "not_found"),
        ("GET", "/api/orders%0A", 404, "not_found"),
        ("GET", "/api/%0A", 404, "not_found"),
        ("GET", "/api/orders/%0A", 404, "not_found"),
        ("GET", "/api/orders/a%0Ab", 404, "not_found"),
        ("GET", "/api/orders/%2300", 404, "not_found"),
        ("GET", "/api/orders/%00", 400, "bad_request"),
        ("GET", "/api/orders/%FF", 404, "not_found"),
        ("GET", "/api/orders/" + "x" * 3000, 404, "not_found"),
        ("GET", "/api/docs/", 404, "not_found"),
        ("PUT", "/api/orders", 405, "method_not_allowed"),
        ("DELETE", "/api/orders", 405, "method_not_allowed"),
        ("OPTIONS", "/api/orders", 405, "method_not_allowed"),
        ("TRACE", "/api/orders/1", 405, "method_not_allowed"),
        ("POST", "/api/orders/1", 405, "method_not_allowed"),
        ("POST", "/api/docs", 405, "method_not_allowed"),
        ("DELETE", "/api/openapi.json", 405, "method_not_allowed"),
    ],
)
def test_api_says_what_is_wrong_in_one_shape(
    settings: Any, debug: bool, method: str, path: str, status: int, code: str
) -> None:
    settings.DEBUG = debug
    api = Client(headers={"authorization": f"Bearer {tokens.create('shop')}"}, enforce_csrf_checks=True)
    response = api.generic(method, path)
    assert (response.status_code, [problem["code"] for problem in response.json()["errors"]]) == (status, [code])
    assert set(response.json()) == {"errors"}
    assert (status == 405) == ("Allow" in response.headers)


@pytest.mark.parametrize("debug", [True, False])
def test_api_error_of_ours_is_a_500_in_one_shape(settings: Any, debug: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEBUG = debug
    client = Client(headers={"authorization": f"Bearer {tokens.create('shop')}"}, raise_request_exception=False)
    monkeypatch.setattr("orders.intake.place.place", lambda *_, **__: 1 / 0)
    response = post(client, number="#1", amount="1")
    assert (response.status_code, problems(response)) == (500, [("", "server_error")])
    assert "ZeroDivision" not in response.content.decode()


@pytest.mark.parametrize("debug", [True, False])
def test_api_asked_by_a_host_that_is_not_allowed_is_a_400_in_one_shape(settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    response = Client(headers={"host": "elsewhere.example"}).get("/api/orders/1")
    assert (response.status_code, problems(response)) == (400, [("", "bad_request")])


def test_other_pages_keep_their_errors() -> None:
    assert "text/html" in Client().get("/apiary").headers["Content-Type"]


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}])
def test_place_order_without_token_is_refused(header: dict[str, str]) -> None:
    response = post(Client(headers=header), number="#1", amount="1")
    assert (response.status_code, problems(response)) == (401, [("", "unauthorized")])
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert not Order.objects.exists()


def test_read_order_by_number_with_slash_and_hash(api: Client) -> None:
    OrderFactory(number="WC-2025/17")
    assert api.get("/api/orders/WC-2025/17").json()["number"] == "WC-2025/17"
    assert problems(api.get("/api/orders/%23404")) == [("number", "not_found")]


@pytest.mark.parametrize("number", ["%231%20", "%20%231", "%231%C2%A0", "%E2%80%8B%231", "%231%E3%80%80"])
def test_read_order_blanks_at_the_ends_do_not_count(api: Client, number: str) -> None:
    OrderFactory(number="#1")
    assert api.get(f"/api/orders/{number}").json()["number"] == "#1"


def test_docs_are_there_without_a_token() -> None:
    assert Client().get("/api/docs").status_code == 200
    assert "/api/orders" in Client().get("/api/openapi.json").json()["paths"]


def test_openapi_document_is_valid_and_complete() -> None:
    document = Client().get("/api/openapi.json").json()
    openapi_spec_validator.validate(document)
    assert document["servers"]
    components, used = document["components"]["schemas"], json.dumps(document)
    assert all(f'"#/components/schemas/{name}"' in used for name in components)
    post, get = document["paths"]["/api/orders"]["post"], document["paths"]["/api/orders/{number}"]["get"]
    assert {"200", "201", "400", "401", "413", "415", "422", "500"} <= post["responses"].keys()
    assert {"200", "400", "401", "404", "500"} <= get["responses"].keys()
    for operation in (post, get):
        for status, response in operation["responses"].items():
            shape = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert shape == ("OrderOut" if status < "300" else "Problems")


# --- what is left out ----------------------------------------------------------
def warnings(response: Any) -> list[tuple[str, str]]:
    assert all(warning["message"] for warning in response.json()["warnings"])
    return [(warning["field"], warning["code"]) for warning in response.json()["warnings"]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"link": "https://shop .example/?ref=joe&x=" + "a" * 2000}, ("link", "link_too_long")),
        ({"link": "https://shop.example/a b?ref=joe"}, ("link", "link_has_space")),
        ({"link": "https://shop.example/?ref=joe&x=a\u3000b"}, ("link", "link_has_space")),
        ({"link": "https://shop.example/?ref=joe&x=a\nb"}, ("link", "link_has_space")),
        ({"link": "/p?ref=joe"}, ("link", "link_is_path")),
        ({"link": "?ref=joe"}, ("link", "link_is_path")),
        ({"link": "https://shop.example/"}, ("link", "no_referral")),
        ({"link": "https://shop.example/?ref="}, ("link", "no_referral")),
        ({"link": "https://shop.example/?ref=nobody"}, ("link", "unknown_referral")),
        ({"link": "nonsense"}, ("link", "bad_link")),
        ({"link": "javascript:alert(1)"}, ("link", "bad_link")),
        ({"link": "https://shop.example/?ref=joe\0"}, ("link", "bad_link")),
        ({"link": "https://shop.example/?ref=joe&x=\ud800"}, ("link", "bad_link")),
        ({"link": "http://[::1/?ref=joe"}, ("link", "bad_link")),
        ({"affiliate": "nobody"}, ("affiliate", "unknown_affiliate")),
        ({"affiliate": "a\0"}, ("affiliate", "unknown_affiliate")),
        ({"affiliate": "\ud800"}, ("affiliate", "unknown_affiliate")),
        ({"affiliate": "x" * 100_000}, ("affiliate", "unknown_affiliate")),
    ],
)
def test_place_order_what_can_be_left_out_refuses_nothing(
    api: Client, given: dict[str, str], expected: tuple[str, str]
) -> None:
    AffiliateFactory(code="joe")
    response = post(api, number="#1", amount="1", **given)
    assert (response.status_code, warnings(response)) == (201, [expected])
    assert response.json()["affiliate"] is response.json()["link"] is None
    assert Order.objects.get().no_affiliate_reason == expected[1]
    assert warnings(api.get("/api/orders/%231")) == [expected]
    response = post(api, number="#1", status="approved")
    assert (response.status_code, warnings(response)) == (200, [expected])


def test_place_order_affiliate_typed_as_a_number_is_a_code(api: Client) -> None:
    joe = AffiliateFactory(code="joe")
    assert post(api, number="#1", amount="1", affiliate=str(joe.pk)).json()["affiliate"] is None
    AffiliateFactory(code=str(joe.pk))
    assert post(api, number="#1", affiliate=str(joe.pk)).json()["affiliate"] == str(joe.pk)


def test_place_order_given_its_affiliate_later_is_told_as_created_with_its_link(api: Client) -> None:
    callbacks_for(AffiliateFactory(code="joe"), "https://tracker.example/")
    post(api, number="#1", amount="10", link="https://shop.example/a b?ref=joe&sub_id=fb")
    assert not Delivery.objects.exists()
    response = post(api, number="#1", affiliate="joe")
    assert (response.status_code, warnings(response), response.json()["commission"]) == (200, [], "1.50")
    delivery = Delivery.objects.get()
    assert (delivery.event, delivery.variables["link.sub_id"]) == ("order.created", "fb")
    assert delivery.variables["link.path"] == "/a b"
    order = Order.objects.get()
    assert (order.no_affiliate_reason, order.referral_given) == ("", "")


def test_create_token_prints_it_once_and_keeps_a_digest() -> None:
    out = StringIO()
    call_command("create_token", "shop", stdout=out)
    token = out.getvalue().strip()
    assert tokens.find(token) == ApiToken.objects.get(name="shop")
    assert token not in ApiToken.objects.get().digest


def test_create_token_name_taken_is_refused_unless_replaced() -> None:
    old = tokens.create("shop")
    with pytest.raises(CommandError, match="--replace"):
        call_command("create_token", "shop")
    out = StringIO()
    call_command("create_token", "shop", "--replace", stdout=out)
    assert tokens.find(old) is None
    assert tokens.find(out.getvalue().strip()) is not None

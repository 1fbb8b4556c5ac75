"""Answers that say 200 and mean no; and the many that mean yes, of which nothing may be said."""

import json
import time

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from affiliates.models import Affiliate
from callbacks.delivery import dispatcher
from callbacks.egress.soft_failures import find
from callbacks.models import Delivery
from tests.callbacks.panel import settings_of, text_of
from tests.factories import CallbackSettingFactory, OrderFactory
from tests.receiver import Answer, Receiver


@pytest.mark.parametrize(
    ("answer", "quoted"),
    [
        ("success=false;err_msg=Transaction ID not found", "success=false;err_msg=Transaction ID not found"),
        ("success = false", "success = false"),
        ("Error: click not found", "Error: click not found"),
        ("ERR", "ERR"),
        ("FAILED\nline two", "FAILED"),
        ('"error"', '"error"'),
        ("line one\nUnknown click id abc\nline three", "Unknown click id abc"),
        ("Click with such id was not found", "Click with such id was not found"),
        ("no such visit", "no such visit"),
        ("cid is missing", "cid is missing"),
        ('{"success": false}', "success: false"),
        ('{"success":0,"message":"no click"}', "success: 0, message: no click"),
        ('{"status":"error","msg":"bad cid"}', "status: error, msg: bad cid"),
        ('{"Status":"FAILED"}', "Status: FAILED"),
        ('{"status":404}', "status: 404"),
        ('{"ok":false,"error":{"code":7}}', 'ok: false, error: {"code": 7}'),
        ('{"error":"click_not_found"}', "error: click_not_found"),
        ('{"errors":["a"]}', 'errors: ["a"]'),
        ('{"success":false,"truncated":"aaa', '{"success":false,"truncated":"aaa'),
        ('{"response":{"httpStatus":200,"status":-1,"errorMessage":"x"}}', "status: -1, errorMessage: x"),
        ('{"message":"click not found"}', "message: click not found"),
        ('{"errorCode":12,"errorMessage":"Invalid click"}', "errorCode: 12, errorMessage: Invalid click"),
        ('{"status":"ignored","reason":"click expired"}', "status: ignored, reason: click expired"),
        ('{"status":"declined"}', "status: declined"),
        ('{"ok":true,"success":false}', "success: false"),
        ('{"status":"ok","error":"bad cid"}', "error: bad cid"),
        ("ok=false", "ok=false"),
        ("<status>error</status>", "<status>error</status>"),
        ("<?xml version='1.0'?><r><success>false</success></r>", "<?xml"),
        ("Missing parameter: cid", "Missing parameter: cid"),
        ("Missing required parameter", "Missing required parameter"),
        ("Access denied", "Access denied"),
        ("Bad request", "Bad request"),
        ("404 Not Found", "404 Not Found"),
        ("not found", "not found"),
        ("NOK", "NOK"),
        ("No click id given", "No click id given"),
        ("Error: no click", "Error: no click"),
        ("OK\nError: click not found", "Error: click not found"),
        ("<html><body>Invalid click</body></html>", "Invalid click"),
        ("x" * 900 + "\nerror: " + "y" * 400, "error: " + "y" * 80),
    ],
)
def test_find_of_a_refusal_quotes_it(answer: str, quoted: str) -> None:
    assert find(answer).startswith(f"The answer reads like a refusal: “{quoted}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<!DOCTYPE html><html><head><title> Sign\n in </title>", "a web page (“Sign in”). Trackers usually"),
        ("  <html><body>Hello, please sign in here", "a web page. Trackers usually"),
        ("<!-- x -->\n<HTML>Hello, please sign in here", "a web page. Trackers usually"),
        ("<html><title></title>Hello, please sign in here", "a web page. Trackers usually"),
        (f"<html><title>{'t' * 500}</title>", "t…”"),
    ],
)
def test_find_of_a_web_page_says_so(answer: str, said: str) -> None:
    assert said in find(answer)


@pytest.mark.parametrize(
    "answer",
    [
        *("", " \n", "OK", "ok", "1", "0", "true", "null", "Success", "success=true;", "GIF89a\x01", "[]", "{}"),
        *(
            '{"success":true}',
            '{"success":1,"error":null}',
            '{"status":"ok","errors":[]}',
            '{"success":true,"status":"rejected"}',
        ),
        *('{"error":""}', '{"error":false}', '{"error":0}', '{"errors":{}}', '{"error":"none"}', '{"status":200}'),
        *('{"code":0}', '{"id":404,"click":"x"}', '{"response":{"status":1}}', '{"state":"new"}'),
        *("<xml>ok</xml>", "<p>OK</p>", "Conversion accepted", "no errors", "Received click id 77", "status=rejected"),
        *("click_id=error77", "Postback received for click fail-1", "Nothing wrong", "token ok", "error=0"),
        *("Error: none", "invalid=0", "invalid=0 valid=1", "Failed: 0, taken: 1", '{"error":null,"data":"cut'),
        *("OK. No click id required", "No click id required", "no conversion id given, using click"),
        *("No conversion cap set. OK", '{"ok":true,"error":"already"}', '{"message":"Click accepted"}'),
        *('{"success":1,"error":"already"}', '{"status":"success","order":{"status":"declined"}}'),
        *('{"success":true,"order":{"status":"declined"}}', '{"errorCode":0,"errorMessage":"Success"}'),
        *("<html><body>OK</body></html>", "<!doctype html><html><body><img src='p.gif'></body></html>"),
        "<status>ok</status>",
    ],
)
def test_find_of_an_ordinary_answer_is_none(answer: str) -> None:
    assert find(answer) == ""


@pytest.mark.parametrize(
    "answer",
    [  # of CAKE, Affise, LinkTrust and TUNE, from their own documentation, and their kin
        *("Duplicate Lead", "Inactive Affiliate", "Validation Failed", '{"status":"rejected"}'),
        *("<msg>Failure</msg>", "<result><code>1</code><msg>Failure</msg></result>"),
        *("Inactive Sub Affiliate", "Inactive Offer", "Inactive Campaign", "Inactive Creative"),
        *("Offer Expired", "Creative Expired", "Offer Over Click Cap", "Offer Over Lead Cap"),
        *("Campaign Over Click Cap", "Campaign Over Lead Cap", "Geotarget Mismatch", "Blocked IP Address"),
        *("Affiliate Not Authorized for Campaign", "Lead Missing Data", "Unmatched Filter"),
        *("No Pay IP Address", "No Pay Affiliate", "Blocked by Targus", "Invalid Post Key"),
        *("No Qualified Buyers Found", "Campaign Expired", "Blacklisted Affiliate"),
        *("Blacklisted Sub Affiliate", "No Pay Targus", "Access denied"),
        *("Missing mandatory parameters offer_id and pid", "Offer disabled", "Conversion exists"),
        *("Conversion status is not pending", "Current IP-address is denied", "Broken clickid"),
        *("Broken impression ID", "Click_id: invalid format", "<Accepted>false</Accepted>"),
        *("<response><status>Rejected</status><responseCode>1200</responseCode></response>",),
        *('{"Accepted":"false","Reason":"Rejected by all buyers."}',),
        *('{"status":"Rejected","responseCode":1200}', '{"status":"duplicate"}', '{"result":"rejected"}'),
        *('[{"status":"rejected"}]', '{"duplicate":true}', "Duplicate conversion", "Duplicate postback"),
        *("Duplicate", "Rejected", "success=false; err_msg=Invalid Trans. ID #1027c;"),
        *('{"status":2,"message":"Conversion exists"}', "Click already converted", "Already exists"),
        *('{"state":"inactive"}', '{"status":"validation failed"}', "0,Duplicate Lead"),
        *("<message>Failure</message>", "<status>duplicate</status>", '"Duplicate Lead"', "DUPLICATE LEAD"),
        *("Invalid XML Format", "IP not allowed", "IP address not whitelisted", "Affiliate is suspended"),
        *('{"data":{"status":"rejected"}}', "Authentication failed", "Cap reached", "Request failed"),
        *('{"status":"declined"}',),
    ],
)
def test_find_of_an_answer_that_trackers_refuse_with_says_so(answer: str) -> None:
    assert "reads like a refusal" in find(answer)


@pytest.mark.parametrize(
    "answer",
    [
        *("OK", "status=rejected", '{"success":true,"status":"rejected"}', "no duplicates"),
        *("Duplicates: 0", "duplicate=0", "0 duplicates", "Rejected: 0, taken: 5", "<msg>SUCCESS</msg>"),
        *("<result><code>0</code><msg>SUCCESS</msg></result>", "Lead accepted"),
        *("<Accepted>true</Accepted>", '{"duplicate":false,"status":"ok"}'),
        *('{"status":"success","order":{"status":"rejected"}}', "Conversion recorded"),
        *("conversion tracked: 1", "Click converted", "Lead received", "offer 7: active"),
        *("No errors found", '{"rejected":0,"accepted":1}', "Thanks", "Order status rejected received"),
        *("Received: subid=1&status=rejected", "affiliate 12 approved", "lead", '{"status":"new"}'),
        *("Validation passed", '{"message":"Lead accepted"}', "OK duplicate ignored"),
        *('{"status":"approved"}', "cap not reached", "Conversion received"),
    ],
)
def test_find_of_an_answer_that_only_resembles_a_refusal_is_none(answer: str) -> None:
    assert find(answer) == ""


@given(
    st.text()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.dictionaries(st.text(), x))
)
def test_find_never_raises(answer: object) -> None:
    assert isinstance(find(answer if isinstance(answer, str) else json.dumps({"success": False, "error": answer})), str)


def test_find_of_deep_json_is_answered() -> None:
    assert isinstance(find("[" * 4000), str)
    assert isinstance(find('{"a":' * 800 + "1"), str)


@pytest.mark.parametrize(
    "part", ["<title>", "<title> ", "<", " ", "no ", "click ", "click no ", "-->", "error: ", "=", "a.", "<!--"]
)
def test_find_of_a_hostile_answer_is_quick(part: str) -> None:
    begun = time.process_time()
    for start in ("", "<html>", "<html><title>"):
        find(start + part * (8000 // len(part)))
    assert time.process_time() - begun < 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broker", "loopback")
def test_refused_success_is_pointed_out_wherever_its_answer_is_spoken_of(
    admin_client: Client, joe: Affiliate, receiver: Receiver
) -> None:
    receiver.answer("/", Answer(body=b"success=false;err_msg=no click"), Answer(body=b"OK"))
    CallbackSettingFactory(affiliate=joe, url=receiver.url("/?s={{link.sub_id}}"))
    order = OrderFactory(affiliate=joe, number="#REFUSED")
    dispatcher.run()
    delivery = Delivery.objects.get()
    assert delivery.status == "succeeded"
    said, mark = "“success=false;err_msg=no click”", "This answer looks like a refusal"
    assert said in text_of(admin_client, delivery.get_absolute_url())
    assert said in text_of(admin_client, settings_of(joe))
    assert said in text_of(admin_client, order.get_absolute_url())
    log = "/admin/callbacks/delivery/"
    assert mark in text_of(admin_client, log)
    live = admin_client.get(f"{log}live/?ids={delivery.pk}").json()["deliveries"]
    assert mark in live[str(delivery.pk)]["parts"]["last_code"]

    OrderFactory(affiliate=joe, number="#TAKEN")
    dispatcher.run()
    assert said not in text_of(admin_client, settings_of(joe))  # the last one was taken
    assert text_of(admin_client, log).count(mark + "</span>") == 1

"""Other systems' placeholders: which are seen, which are not, and what is offered instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbacks.editor import macros
from callbacks.editor.macros import find
from callbacks.postback import variables


def pairs(template: str) -> list[tuple[str, str]]:
    return [(macro.text, macro.suggestion) for macro in find(template)]


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        *((text, "{{link.sub_id}}") for text in ("{clickid}", "{click_id}", "{aff_sub}", "{aff_click_id}", "{sub1}")),
        *((text, "{{link.sub_id}}") for text in ("{subid}", "{external_id}", "#s2#", "%click_id%", "${click_subid}")),
        *((text, "{{link.sub_id}}") for text in ("[CLICKID]", "<click-id>", "##CLICKID##", "CLICK_ID", "{ClickID}")),
        *((text, "{{link.sub_id}}") for text in ("%%CLICKID%%", "[%clickid%]", "!!!clickref!!!", "__CLICKID__")),
        *((text, "{{link.sub_id}}") for text in ("%7Bclickid%7D", "%5bCLICKID%5d", "%7B%7Bclickid%7D%7D")),
        *((text, "{{link.sub_id}}") for text in ("%{clickid}", "@{clickid}", "{!clickid!}")),
        *((text, "{{order.commission}}") for text in ("{payout}", "{revenue}", "{sum}", "{affiliate_earnings}")),
        *((text, "{{order.commission}}") for text in ("${commission_amount}", "#price#", "PAYOUT")),
        *((text, "{{order.amount}}") for text in ("{amount}", "{sale_amount}", "[AMOUNT]", "SALE_AMOUNT")),
        *((text, "{{order.number}}") for text in ("{transaction_id}", "{trans_id}", "{txid}", "{tid}", "{order_id}")),
        *((text, "{{order.number}}") for text in ("#tid#", "TRANSACTION_ID", "[ORDER ID]")),
        *((text, "{{order.status}}") for text in ("{status}", "{goal}", "{event_type}")),
        ("{currency}", "{{order.currency}}"),
        ("{sub3}", "{{link.query.sub3}}"),
        ("{order.number}", "{{order.number}}"),
        ("[ORDER.NUMBER]", "{{order.number}}"),
        ('{link.sub_id|default:"x"}', '{{link.sub_id|default:"x"}}'),
        ("{link.query.Gclid}", "{{link.query.Gclid}}"),
        *((text, "") for text in ("{}", "{...}", "{x y}", "<x>", "<<x>>", "###", "%affid%", "[friendlyname1]")),
        *((text, "") for text in ("REPLACE", "REPLACE_ME", "REPLACE_CLICK", "OPTIONAL", "YOUR_API_KEY", "[[x]]")),
        *((text, "") for text in ("XXX", "MACRO", "ENTER-CLICK-ID", "CLICKID_HERE")),
    ],
)
@pytest.mark.parametrize(
    "around", ["https://t.example/p?x={}&y=1", "https://t.example/p?x={}", "https://t.example/{}/b"]
)
def test_find_placeholder_is_seen_and_translated(around: str, text: str, suggestion: str) -> None:
    template = around.replace("{}", text)
    (macro,) = find(template)
    assert (macro.text, macro.suggestion) == (text, suggestion)
    assert template[macro.start : macro.end] == text
    assert bool(macro.meaning) == bool(suggestion)


@pytest.mark.parametrize(
    "template",
    [
        "https://t.example/p?a={{order.number}}&b={{ link.sub_id|default:'{x} [X] #x#' }}",
        "https://t.example/p?data[amount]={{order.amount}}&x[]=1&[CLICKID]=2&{{order.number}}[a]=3",
        "https://[::1]/p?x=[1,2]",
        "https://t.example/%AB%CD%?a=%20b%20&c=%C3%A9t%C3%A9&d=100%&e=5%&f=%AB%",
        "https://REPLACE.example/OPTIONALS?OPTIONAL=1&REPLACE&a=replace&b=xREPLACE&c=REPLACE.",
        "https://t.example/?a=%7B%22x%22%3A1%7D&b=%5B1%5D&data%5Bamount%5D=1&mode=replace&x=Optional",
        "https://t.example/wow!!!?a=a__B__c&b=__init__&c=!!!&d=%%&e=xXXX&f=ADD_TO_CART",
        "https://t.example/p#top",
        "https://t.example/p?a=1<2&b=2>1&c=x#/route",
        "https://t.example/a[0]/b;c[d]=e",
        "https://t.example/p?a=#{{order.number}}#&b=%{{order.number}}%&c=[{{order.number}}]&d=<{{order.number}}>",
        "https://t.example/{{order.number",
        "",
    ],
)
def test_find_ordinary_text_is_not_a_placeholder(template: str) -> None:
    assert find(template) == ()


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (
            "https://cf.example/cf/cv?click_id=REPLACE&payout=OPTIONAL&txid=OPTIONAL",
            [("REPLACE", "{{link.sub_id}}"), ("OPTIONAL", "{{order.commission}}"), ("OPTIONAL", "{{order.number}}")],
        ),
        (
            "https://pstb.example/postback?cid={}&payout={}&status={}&currency={}",
            [
                ("{}", "{{link.sub_id}}"),
                ("{}", "{{order.commission}}"),
                ("{}", "{{order.status}}"),
                ("{}", "{{order.currency}}"),
            ],
        ),
        (
            "https://k.example/abc/postback?subid=REPLACE&status={status}&payout={payout}",
            [
                ("REPLACE", "{{link.sub_id}}"),
                ("{status}", '{{order.status|map:"new=lead,approved=sale,rejected=rejected"}}'),
                ("{payout}", "{{order.commission}}"),
            ],
        ),
        (
            "https://k.example/abc/postback?subid={subid}&status={status}&lead_status=new&sale_status=approved",
            [("{subid}", "{{link.sub_id}}"), ("{status}", "{{order.status}}")],
        ),
        (
            "https://clkmg.example/api/s/post/?uid=[USERID]&s1=###&ref=#tid#&amt=##AMT##",
            [
                ("[USERID]", ""),
                ("###", "{{link.sub_id}}"),
                ("#tid#", "{{order.number}}"),
                ("##AMT##", "{{order.commission}}"),
            ],
        ),
        (
            "https://go2cloud.example/aff_lsr?offer_id=1&transaction_id=TRANSACTION_ID&amount=AMOUNT",
            [("TRANSACTION_ID", "{{link.sub_id}}"), ("AMOUNT", "{{order.commission}}")],
        ),
        ("https://ev.example/?nid=7&transaction_id={transaction_id}", [("{transaction_id}", "{{link.sub_id}}")]),
        ("https://{CakeDomain.com}/p.ashx?o=1&r={r}", [("{CakeDomain.com}", ""), ("{r}", "{{link.sub_id}}")]),
        (
            "https://trc.example/actions-handler/log/3/s2s-action?click-id=CLICK_ID&name=EVENT_NAME&revenue=REVENUE",
            [("CLICK_ID", "{{link.sub_id}}"), ("EVENT_NAME", "{{order.status}}"), ("REVENUE", "{{order.commission}}")],
        ),
        (
            "https://ad.example/ddm/activity/src=1;cat=x;u1=[friendlyname1];ord=[order_id]?",
            [("[friendlyname1]", "{{link.sub_id}}"), ("[order_id]", "{{order.number}}")],
        ),
        (
            "https://t.example/?cid=replace&payout=Optional&txid=OPTIONAL_TXID",
            [
                ("replace", "{{link.sub_id}}"),
                ("Optional", "{{order.commission}}"),
                ("OPTIONAL_TXID", "{{order.number}}"),
            ],
        ),
        ("{sub1}", [("{sub1}", "")]),
        (
            "https://t.example/?cid={[X]}&payout=<a[b]>",
            [("{[X]}", "{{link.sub_id}}"), ("<a[b]>", "{{order.commission}}")],
        ),
    ],
)
def test_find_template_of_a_tracker_is_translated_by_its_parameters(
    template: str, expected: list[tuple[str, str]]
) -> None:
    assert pairs(template) == expected


@pytest.mark.parametrize("host", ["{domain}", "[YOUR-DOMAIN]"])
def test_find_placeholder_in_the_host_means_the_host(host: str) -> None:
    assert [macro.meaning for macro in find(f"https://{host}/p")] == [macros.HOST]


@given(st.text(alphabet="{}[]<>#%$?&=/:;aZ1. ", max_size=40))
def test_find_any_text_gives_spans_in_order_that_do_not_overlap(text: str) -> None:
    end = 0
    for macro in find(text):
        assert end <= macro.start < macro.end <= len(text)
        assert macro.text == text[macro.start : macro.end]
        end = macro.end


@given(st.text(max_size=20))
def test_nearest_any_name_gives_a_known_one(name: str) -> None:
    nearest = macros.nearest(name)
    assert variables.is_known(nearest)
    assert not set(nearest) & set(" \"'{}")

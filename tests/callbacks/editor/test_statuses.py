"""A tracker's words for our statuses, with Keitaro as the example: its own, and those of the lists in its URL."""

import pytest

from callbacks.editor import corrections, statuses
from callbacks.models import CallbackSetting
from callbacks.setup import diagnosis

KEITARO = "https://k.example/12a34b5/postback?subid={{link.sub_id}}"
DEFAULT = 'map:"new=lead,approved=sale,rejected=rejected"'


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", DEFAULT),
        ("&status={status}", DEFAULT),
        ("&lead_status=2%2C5&sale_status=1&rejected_status=reject,trash", 'map:"new=2,approved=1,rejected=reject"'),
        ("&lead_status=2,5", 'map:"new=2,approved=sale,rejected=rejected"'),
        ("&lead_status=new,hold&sale_status=approved", ""),  # it knows our words
        ("&lead_status=hold,new", 'map:"new=hold,approved=sale,rejected=rejected"'),
        (
            "&lead_status={leads}&sale_status=&rejected_status=a%22b,%7Bx%7D,c=d,no",
            'map:"new=lead,approved=sale,rejected=no"',
        ),
        ("&lead_status=OPTIONAL&sale_status=REPLACE&rejected_status={x}", DEFAULT),
        ("&lead_status={{order.status}},2", 'map:"new=2,approved=sale,rejected=rejected"'),
        ("&lead_status=in+review", DEFAULT),  # what cannot be written in a map is not suggested
    ],
)
def test_map_filter_of_a_url_has_the_words_of_its_lists(rest: str, expected: str) -> None:
    assert statuses.map_filter(KEITARO + rest) == expected


@pytest.mark.parametrize(
    "url", ["https://t.example/postback?cid=x", "https://t.example/x?subid=1", "", "{{order.status}}"]
)
def test_statuses_of_other_trackers_need_nothing(url: str) -> None:
    assert (statuses.map_filter(url), statuses.known_words(url), statuses.missing(url)) == ("", {}, "")
    assert statuses.misunderstood(url) is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("{{order.status}}", ("new", "approved")),
        ("{{ order.status }}", ("new", "approved")),
        ('{{order.status|map:"new=lead"}}', ("approved",)),
        ('{{order.status|map:"new=lead,approved=paid"}}', ("paid",)),
        ('{{order.status|map:"new=sale,approved=sale"}}', ("sale",)),
        ("{{order.status|" + DEFAULT + "}}", ()),
        ("sale", ()),
        ("{{order.number}}", ()),
        ("x{{order.status}}", ()),
        ("{{order.status|upper}}", ()),
    ],
)
def test_misunderstood_names_the_words_the_tracker_does_not_know(status: str, words: tuple[str, ...]) -> None:
    found = statuses.misunderstood(f"{KEITARO}&status={status}&payout=1")
    assert (found.words if found else ()) == words
    if found:
        assert found.suggestion == "{{order.status|" + DEFAULT + "}}"


def test_diagnosis_of_misunderstood_status_warns_and_offers_the_map() -> None:
    url = f"{KEITARO}&status={{{{order.status}}}}&lead_status=2&sale_status=1"
    found = diagnosis.of(CallbackSetting(event="order.created", url=url))
    assert (found.problems, [warning.code for warning in found.warnings]) == ((), ["status_words"])
    assert "Keitaro accepts the statuses 2, 1 and rejected, but not new and approved." in found.warnings[0].message
    corrected = url.replace("{{order.status}}", '{{order.status|map:"new=2,approved=1,rejected=rejected"}}')
    assert [offer.used for offer in found.offers] == [corrected]
    assert corrections.corrected(url) == corrected
    assert diagnosis.of(CallbackSetting(event="order.created", url=corrected)).warnings == ()


def test_corrected_url_has_the_map_and_no_empty_lists() -> None:
    url = f"{KEITARO}&status={{status}}&lead_status=OPTIONAL&sale_status=REPLACE"
    assert corrections.corrected(url) == f"{KEITARO}&status={{{{order.status|{DEFAULT}}}}}"


@pytest.mark.parametrize("url", [KEITARO, f"{KEITARO}&status=", f"{KEITARO}&status=&payout=1"])
def test_diagnosis_of_missing_status_warns(url: str) -> None:
    found = diagnosis.of(CallbackSetting(event="order.created", url=url))
    assert [(warning.code, warning.suggestions) for warning in found.warnings] == [
        ("status_missing", ("status={{order.status|" + DEFAULT + "}}",))
    ]

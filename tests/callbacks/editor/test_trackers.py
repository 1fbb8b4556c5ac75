"""Whose postback URL is this: by host, by path and parameters, and every answer where there are several."""

import pytest

from callbacks.editor.trackers import TRACKERS, Tracker, is_certain, recognise
from callbacks.editor.url_parts import parameters_of
from callbacks.egress.wording import Sentence

EXAMPLES = [
    # by its host, whatever the rest
    ("https://joe.voluumtrk.com/postback?cid=REPLACE&payout=OPTIONAL&txid=OPTIONAL", ["Voluum"]),
    ("https://VOLUUMTRK.com:443/", ["Voluum"]),
    ("https://x.bemobtrcks.com/postback?cid=REPLACE", ["BeMob"]),
    ("https://pstb.peerclick.com/postback?cid={clickid}", ["PeerClick"]),
    ("https://joe.rdtk.io/postback?clickid={{link.sub_id}}&sum={replace}", ["RedTrack"]),
    ("https://shop.g2afse.com/postback?clickid={{link.sub_id}}", ["Affise"]),
    ("https://clkmg.com/api/s/post/?uid=1&s1=###", ["ClickMagick"]),
    ("https://joe.go2cloud.org/aff_lsr?offer_id=1&transaction_id=TRANSACTION_ID", ["TUNE"]),
    ("https://joe.ttrk.io/postback?clickid={{link.sub_id}}&sum={replace}", ["RedTrack"]),
    ("https://joe.cakemarketing.com/p.ashx?o=1&e=2&r={{link.sub_id}}", ["CAKE"]),
    # by path and parameters, on a host of its user's
    ("https://t.example/postback?cid={}&payout={}&et={}", ["Voluum"]),
    ("https://t.example/postback?cid={{link.sub_id}}&payout=1&status={{order.status}}", ["BeMob", "PeerClick"]),
    ("https://t.example/postback?cid={{link.sub_id}}&payout=1", ["Voluum", "BeMob", "PeerClick"]),
    ("http://k.example/e89bcbe/postback?subid={sub1}&status=sale&lead_status=2%2C5", ["Keitaro"]),
    ("http://k.example/0a52ed5/postback?sub_id={sub1}&status=1&lead_status=2&sale_status=1", ["Keitaro"]),
    ("https://track.me/postback?order={{order.number}}&subid={{link.sub_id}}", ["Keitaro"]),
    ("https://t.example/click?cnv_id={{link.sub_id}}&payout=1", ["Binom"]),
    ("https://t.example/sdk/conversion?nid=12&transaction_id={tid}&adv1=x", ["Everflow"]),
    ("https://t.example?nid=12&transaction_id={tid}", ["Everflow"]),
    ("https://t.example/aff_goal?a=lsr&goal_id=3&transaction_id=TRANSACTION_ID", ["TUNE"]),
    ("https://t.example/postback?clickid={{link.sub_id}}&sum=1&type=sale", ["RedTrack"]),
    ("https://t.example/postback?clickid={{link.sub_id}}&sum=1", ["RedTrack", "Affise"]),
    ("https://t.example/postback?clickid={click}&goal=1", ["Binom", "Affise"]),
    ("https://t.example/click.php?cnv_id=OPTIONAL&payout=OPTIONAL", ["Binom"]),
    ("https://t.example/pb/?hit={{clickid}}&rev=REPLACE", ["FunnelFlux"]),
    ("https://a_b.t.example/cf/cv?click_id=REPLACE&payout=OPTIONAL", ["ClickFlare"]),
    ("https://t.example/?nid=12&transaction_id={tid}", ["Everflow"]),
    ("https://{CakeDomain.com}/p.ashx?o=1&e=2&r={{link.sub_id}}", ["CAKE"]),
    ("https://trc.taboola.com/actions-handler/log/3/s2s-action?click-id=CLICK_ID", ["Taboola"]),
    ("https://ad.doubleclick.net/ddm/activity/src=1;cat=x;u1={{link.sub_id}};ord=1", ["Google Floodlight"]),
    ("https://www.awin1.com/sread.php?tt=ss&merchant=1&cks={{awc}}", ["Awin"]),
    ("https://joe.o18.click/p?m=1&tid={tid}", ["Offer18"]),
    ("https://t.example/p?m=1&tid={tid}&payout=1", ["Offer18"]),
    ("https://t.example/p?tid={tid}", []),
    # with further parameters that are not known
    ("https://t.example/postback?subid={{link.sub_id}}&own=1", ["Keitaro"]),
    # unknown
    ("https://t.example/postback?order={{order.number}}", []),
    ("https://notvoluumtrk.com/x?cid=1", []),
    ("https://voluumtrk.com.t.example/x?cid=1", []),
    ("https://t.example/?u=https://joe.voluumtrk.com/postback?cid=1", []),
    ("", []),
    ("{{order.number}}", []),
]


@pytest.mark.parametrize(("template", "expected"), EXAMPLES)
def test_recognise_url_gives_its_trackers(template: str, expected: list[str]) -> None:
    assert [tracker.name for tracker in recognise(template)] == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("https://joe.voluumtrk.com/postback?cid=1", True),
        ("https://pstb.peerclick.com/x", True),
        ("https://joe.ttrk.io/postback?clickid={{link.sub_id}}", True),
        ("https://trc.taboola.com/actions-handler/log/3/s2s-action?click-id=1", True),
        ("https://joe.rdtk.io:443/postback?clickid=1", True),
        ("https://track.me/postback?order={{order.number}}&subid={{link.sub_id}}", False),
        ("https://t.example/aff_lsr?transaction_id=1", False),
        ("https://t.example/p.ashx?r=1", False),
        ("https://voluumtrk.com.t.example/postback?cid=1", False),
        ("https://t.example/?u=https://joe.voluumtrk.com/", False),
        ("https://t.example/", False),
        ("", False),
    ],
)
def test_tracker_is_certain_on_its_own_host_only(template: str, *, expected: bool) -> None:
    assert is_certain(template) is expected


def test_what_is_said_of_second_postbacks_can_be_translated_and_ends_as_a_sentence() -> None:
    said = [text for tracker in TRACKERS for text in (tracker.second_postback, tracker.must_switch_on) if text]
    assert len(said) >= 20
    assert all(isinstance(text, Sentence) and text.endswith(".") for text in said)


@pytest.mark.parametrize("tracker", TRACKERS, ids=lambda tracker: tracker.name)
def test_record_of_every_tracker_has_an_example_and_agrees_with_itself(tracker: Tracker) -> None:
    assert any(tracker in recognise(template) for template, _ in EXAMPLES)
    assert tracker.needs <= tracker.knows
    assert not tracker.click_id or tracker.click_id in tracker.knows
    assert tracker.meanings.keys() <= tracker.knows
    lists = {parameter for _, parameter in tracker.statuses.values()}
    assert not tracker.statuses or lists | {tracker.status} <= tracker.knows


def test_parameters_of_template_are_those_of_path_and_query() -> None:
    template = 'https://t.example/a;u1=1?cid={{link.sub_id|default:"a=b"}}&x=&data[a]=1#y=2'
    assert parameters_of(template) == {"u1", "cid", "x", "data[a]"}

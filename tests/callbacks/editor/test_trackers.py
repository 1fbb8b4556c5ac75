"""Whose postback URL is this: by host, by path and parameters, and every answer where there are several."""

import pytest

from callbacks.editor.trackers import TRACKERS, Tracker, recognise
from callbacks.editor.url_parts import parameters_of

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
    # by path and parameters, on a host of its user's
    ("https://t.example/postback?cid={}&payout={}&et={}", ["Voluum"]),
    ("https://t.example/postback?cid={{link.sub_id}}&payout=1&status={{order.status}}", ["BeMob", "PeerClick"]),
    ("https://t.example/postback?cid={{link.sub_id}}&payout=1", ["Voluum", "BeMob", "PeerClick"]),
    ("http://k.example/e89bcbe/postback?subid={sub1}&status=sale&lead_status=2%2C5", ["Keitaro"]),
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

"""The attacks of `make attack`, on a demo as `make run` starts it and on `serve` behind a proxy."""

from tests.attacks.__main__ import attack, production, site_of


def test_demo_withstands_the_attacks(installation):
    installation.start()
    assert attack(site_of(installation)) == []
    assert installation.stop() == 0


def test_production_withstands_the_attacks(tmp_path):
    with production(tmp_path) as site:
        assert attack(site) == []

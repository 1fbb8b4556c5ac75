"""The alert rules and the dashboard in config/deploy: Prometheus takes them, and every metric in them exists."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from prometheus_client.exposition import generate_latest

from config.models import Process
from config.monitoring import scrape
from tests import machine

PLACE = Path(settings.BASE_DIR) / "config" / "deploy"
RULES = PLACE / "prometheus-rules.yml"


def promtool(*arguments: str | Path) -> str:
    found = subprocess.run([machine.promtool(), *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PLACE / "grafana.json").read_text())
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def test_rules_are_right_and_alert_when_they_should():
    assert "rules found" in promtool("check", "rules", RULES)
    promtool("test", "rules", PLACE / "prometheus-rules-test.yml")
    promtool("check", "config", "--syntax-only", PLACE / "prometheus.yml")


def test_each_alert_has_a_test():
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    tested = re.findall(r"alertname: (\w+)\n +exp_alerts", (PLACE / "prometheus-rules-test.yml").read_text())
    assert alerts == set(tested)


def test_expressions_of_the_dashboard_can_be_read(tmp_path):
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_panels_stand_beside_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.django_db
def test_every_metric_that_is_named_exists_and_every_one_is_shown(broker):
    for kind in ("worker", "beat"):
        Process.objects.create(name=kind, kind=kind, seen_at=timezone.now())
    text = generate_latest(scrape._Installation()).decode()
    exist = set(re.findall(r"^(postbacks_\w+)", text, re.MULTILINE))
    shown = set(re.findall(r"postbacks_\w+", " ".join(expressions())))
    alerted = set(re.findall(r"(?<![\w/-])postbacks_\w+", RULES.read_text()))
    assert shown | alerted <= exist
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exist}
    assert families == {name.removesuffix("_bucket") for name in shown}

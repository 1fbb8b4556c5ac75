"""The release before this one: its source as it was, out of the history, run with what is installed here.

With a new release, move COMMIT on, and DATABASE with it.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.chaos.processes import ROOT

COMMIT = "30890760015564a9357f60220f7581dbdb5ba4b1"
# Its last migrations.
DATABASE = [
    ("affiliates", "0002_affiliatealias"),
    ("callbacks", "0015_form_token"),
    ("config", "0001_initial"),
    ("orders", "0005_token_expiry"),
]
FILL = """
import json, sys, django
django.setup()
from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
from django.core.management import call_command
codes, url = json.loads(sys.argv[1]), sys.argv[2]
for code in codes:
    affiliate = Affiliate.objects.create(name=code, email=f"{code}@x.example", code=code, commission_rate="0.15")
    for event in ("order.created", "order.updated"):
        CallbackSetting.objects.create(affiliate=affiliate, event=event, method="GET", url=url.replace("CODE", code))
call_command("create_token", "shop")
"""


GIT = ("git", "-c", "safe.directory=*", "-C", str(ROOT))


def is_known() -> bool:
    """Whether it is in the history here. In a shallow clone it is not, and then this release runs beside itself."""
    return not subprocess.run([*GIT, "cat-file", "-e", COMMIT], capture_output=True, check=False).returncode


def unpack(directory: Path) -> Path:
    """Its source, in a folder there."""
    place = directory / "previous"
    place.mkdir()
    source = subprocess.run([*GIT, "archive", COMMIT if is_known() else "HEAD"], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(place)], input=source.stdout, check=True)
    return place


def run(release: Path, env: Mapping[str, str], *arguments: str, module: str = "") -> str:
    """What a program of that release prints: `manage.py` with these arguments, or a text of Python."""
    command = [sys.executable, "-P", *(["-c", module] if module else [str(release / "manage.py")]), *arguments]
    settings = {"PYTHONPATH": str(release), "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(command, env=dict(env) | settings, cwd=release, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr

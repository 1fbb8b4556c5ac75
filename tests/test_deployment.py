"""What starts an installation names what exists: units, compose.yaml, Dockerfile, Procfile, proxies, the documents."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from celery.bin import beat, worker
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import resolve

ROOT = Path(settings.BASE_DIR)
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
DEPLOY = ROOT / "config/deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
PROXIES = [DEPLOY / "nginx.conf", DEPLOY / "Caddyfile"]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "postbacks"}
DOCUMENTED = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", OPERATIONS.partition("## Environment")[2], re.MULTILINE))
OF_COMPOSE = {"POSTGRES_PASSWORD"}  # which compose.yaml itself reads from .env


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's documentation does it
    parser.read_string(path.read_text("utf-8"))
    return parser


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith("#"))


def commands() -> dict[str, list[str]]:
    """Each command line that starts something of ours, by where it stands."""
    found = {path.name: shlex.split(unit(path)["Service"]["ExecStart"]) for path in UNITS}
    found |= {f"compose.yaml: {name}": service["command"] for name, service in OURS.items()}
    found |= {f"Procfile: {name}": shlex.split(command) for name, command in procfile().items()}
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    return found | {"Dockerfile": yaml.safe_load(re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[-1])}


@pytest.mark.parametrize(("place", "command"), commands().items(), ids=commands())
def test_command_exists_with_its_options(place: str, command: list[str]) -> None:
    program, *arguments = command
    if Path(program).name == "celery":
        assert arguments[:3] == ["--quiet", "-A", "config"]
        kind = {"worker": worker.worker, "beat": beat.beat}[arguments[3]]
        kind.make_parser(click.Context(kind)).parse_args(arguments[4:])
    else:
        assert (Path(program).name, arguments[0]) == ("python", "manage.py")
        name, *options = arguments[1:]
        app = get_commands()[name]
        load_command_class(str(app), name).create_parser("manage.py", name).parse_args(options)


def test_commands_are_looked_for_everywhere() -> None:
    assert len(commands()) == len(UNITS) + 4 + 4 + 1


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_ends_in_time_and_is_started_again(path: Path) -> None:
    service = unit(path)["Service"]
    assert (service["KillMode"], service["TimeoutStopSec"], service["Restart"]) == ("mixed", "20", "always")
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"  # however often it has ended
    assert (service["User"], service["StateDirectory"]) == (
        "postbacks",
        "postbacks",
    )  # as `docs` makes them
    assert service["WorkingDirectory"] == "/opt/postbacks"
    assert service["ExecStart"].startswith("/opt/postbacks/.venv/bin/")


def test_documents_name_the_units_and_they_are_there() -> None:
    started = OPERATIONS.partition("systemctl enable --now ")[2].partition("\n")[0].split()
    assert {name.rstrip("0123456789") for name in started} == {path.stem for path in UNITS} - {"postbacks"}
    assert "the unit `postbacks`" in OPERATIONS


def test_compose_refers_to_what_it_has() -> None:
    services = COMPOSE["services"]
    assert {"web", "worker", "beat", "migrate"} == set(OURS)
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(COMPOSE["volumes"]), name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
        assert service["read_only"] is True
    assert all(service["stop_grace_period"] == "20s" for service in OURS.values())
    assert set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text("utf-8"))) == {"SECRET_KEY"} | OF_COMPOSE


def test_variables_are_documented() -> None:
    for name, service in OURS.items():
        assert set(service["environment"]) <= DOCUMENTED, name
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    of_image = set(re.findall(r"\b([A-Z_]+)=", "".join(re.findall(r"^ENV (.*)$", dockerfile, re.MULTILINE))))
    assert of_image - {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"} <= DOCUMENTED
    section = OPERATIONS.partition("## Run it for real")[2].partition("\n## ")[0]
    assert len(typed := set(re.findall(r"^([A-Z_]+)=", section, re.MULTILINE))) > 5
    assert typed <= DOCUMENTED
    for path in [*PROXIES, ROOT / "compose.yaml"]:
        comments = " ".join(re.findall(r"^#.*$", path.read_text("utf-8"), re.MULTILINE))
        assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", comments)) <= DOCUMENTED | OF_COMPOSE, path.name


@pytest.mark.parametrize("path", PROXIES, ids=lambda path: path.name)
def test_proxy_leads_to_the_web_process_and_closes_pages_that_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) == {"8000"}  # PORT, if nothing is said
    closed = set(re.findall(r"(?<=[ =])/(?:metrics|status|\w+z)\b", text))
    assert closed == {"/metrics", "/status", "/readyz"}
    assert all(resolve(page) for page in closed)

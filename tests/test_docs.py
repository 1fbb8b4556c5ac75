"""The documents agree with the code: every variable, environment name, command and module of one is in the other."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from callbacks.delivery import concurrency, retry
from callbacks.egress.addresses import PORTS
from callbacks.postback.variables import VARIABLES
from tests.bench import growth

ROOT = Path(__file__).resolve().parent.parent
DOCS = {path.name: path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]}
README, OPERATIONS, SENDING = DOCS["README.md"], DOCS["operations.md"], DOCS["sending.md"]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
EVERYTHING = README + "".join(text for name, text in DOCS.items() if (ROOT / "docs" / name).is_file())
SETTINGS = (ROOT / "config/settings.py").read_text("utf-8")


def _rooms() -> dict[str, set[str]]:
    """Each folder of the source, as `callbacks/postback/`, with its modules."""
    rooms: dict[str, set[str]] = {}
    for app in ("affiliates", "callbacks", "config", "orders"):
        for path in (ROOT / app).rglob("*.py"):
            room = path.parent.relative_to(ROOT)
            if not {"migrations", "management", "templatetags"}.intersection(room.parts):
                rooms.setdefault(f"{room}/", set()).add(path.stem)
    return {room: modules - {"__init__"} for room, modules in rooms.items()}


ROOMS = _rooms()


def test_readme_says_on_its_first_screen_what_it_is_how_to_start_and_what_next() -> None:
    assert len(README.splitlines()) <= 90
    screen = "\n".join(README.splitlines()[:39])
    assert screen.index("# Affiliate Postbacks") < screen.index("make run") < screen.index("## What next")
    for wanted in ("install", "lost-password", "back-up", "upgrade"):
        assert f"(docs/operations.md#{wanted})" in screen
    assert len(re.findall(r"!\[", README)) == 1
    assert "![" not in screen


def test_documented_variables_are_those_of_the_table_word_for_word() -> None:
    rows = re.findall(r"^\| `\{\{(\S+?)\}\}` \| (.+?) \| (.+?) \|$", SENDING, re.MULTILINE)
    assert rows == [(variable.name, variable.meaning, variable.if_none) for variable in VARIABLES]


def test_documented_environment_is_what_the_settings_read() -> None:
    section = OPERATIONS.partition("## Environment")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))
    assert documented == set(re.findall(r"\benv(?:\.\w+)?\(\s*\"([A-Z_]+)\"", SETTINGS))


def test_documented_schedule_is_that_of_the_code() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    sentence = SENDING.partition("retried after ")[2].partition(":")[0]
    waits = [int(number) * units[unit] for number, unit in re.findall(r"(\d+)\s+(s|min|h)\b", sentence)]
    assert waits == [wait.total_seconds() for wait in retry.WAITS]


@pytest.mark.parametrize("name", ["verify.py", "verify.mjs", "verify.php"])
def test_documented_code_for_verifying_is_that_of_the_portal(name: str) -> None:
    code = (ROOT / "templates/portal/verify" / name).read_text("utf-8").strip()
    assert f"\n{code}\n```\n" in SENDING


def test_documented_ports_are_those_of_the_code() -> None:
    sentence = SENDING.partition("on ports ")[2].partition(".")[0]
    assert {int(port) for port in re.findall(r"\d+", sentence)} == PORTS


def test_growth_tables_follow_from_what_was_measured() -> None:
    document = DOCS["growth.md"]
    lines = [line for line in document.splitlines() if line.startswith("|")]
    assert lines == growth.tables(growth.read(document))
    assert (growth.SLOTS, growth.KEPT_DELIVERIES, growth.KEPT_ATTEMPTS) == (concurrency.SLOTS, 400, 90)


def test_documented_says_how_to_run_it_from_the_beginning_to_the_end_one_screen_each() -> None:
    section = OPERATIONS.partition("## Run it for real\n")[2].partition("\n## ")[0]
    _, *parts = re.split(r"^### ", section, flags=re.MULTILINE)
    names = ["Install", "Configure", "Run", "Watch", "Back up", "Upgrade", "Lost password"]
    assert [part.partition("\n")[0] for part in parts] == names
    assert max(len(part.splitlines()) for part in parts) <= 30


def _anchors(document: str) -> set[str]:
    """The headings of a document as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCS)
def test_document_links_and_pictures_exist(name: str) -> None:
    folder = ROOT if (ROOT / name).is_file() else ROOT / "docs"
    for target in re.findall(r"\]\(([^)]+)\)", DOCS[name]):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        assert not file or (folder / file).is_file(), target
        assert not anchor or anchor in _anchors(DOCS[Path(file).name if file else name]), target


def test_every_document_can_be_found_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", README)}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


def test_readme_python_versions_are_those_of_the_package() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    sentence = README.partition("Tried with Python ")[2].partition(". ")[0]
    assert re.findall(r"3\.\d+", sentence) == [line.rpartition(" ")[2] for line in classifiers]


def test_documented_make_targets_and_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", EVERYTHING)) - {"alone"} <= targets
    ours = {path.stem for path in ROOT.glob("*/management/commands/*.py")} - {"__init__"}
    named = set(re.findall(r"manage\.py ([a-z_]+)", EVERYTHING)) - {"migrate", "check", "changepassword"}
    assert named <= ours


def test_architecture_names_every_room_and_every_module() -> None:
    section = ARCHITECTURE.partition("## Rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w/]+/)` \|.*\|([^|]*)\|$", section, re.MULTILINE)
    named = {room: set(re.findall(r"`(\w+)`", modules)) for room, modules in rows}
    assert named == ROOMS
    assert len(rows) == len(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_says_what_is_in_it(room: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text("utf-8")))


def test_architecture_is_one_page() -> None:
    assert len(ARCHITECTURE.split()) < 1250

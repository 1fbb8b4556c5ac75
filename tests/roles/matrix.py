"""The table of `matrix.txt`: for each view and each action what each kind of person is answered with."""

from pathlib import Path

from tests.roles.world import PEOPLE

FILE = Path(__file__).with_name("matrix.txt")


def _read() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for written in FILE.read_text().splitlines():
        route, bar, found = written.rpartition("| ")
        if bar and not written.startswith("#"):
            assert route.strip() not in table, f"{FILE.name} has two lines for {route.strip()}"
            table[route.strip()] = found.split()
    return table


TABLE = _read()


def seen_by(person: str) -> list[str]:
    """The views that this person may open."""
    return [route for route, row in TABLE.items() if row[PEOPLE.index(person)].startswith("ok/")]

"""Names of callbacks: ours by number, a person's as they wrote it."""

import pytest

from callbacks.models import names


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("", [], "Callback"),
        ("Callback", [], "Callback"),
        ("Callback", ["Voluum"], "Callback"),
        ("", ["Callback"], "Callback 2"),
        ("Callback", ["callback", "Callback 3"], "Callback 2"),
        ("", ["Callback", "Callback 2", "Callback 3"], "Callback 4"),
        ("  My \t tracker\n", [], "My tracker"),
        ("Voluum", ["Voluum"], "Voluum"),  # a person's choice is refused, not changed
    ],
)
def test_free_name_is_the_next_of_ours_or_the_one_chosen(name: str, others: list[str], expected: str) -> None:
    assert names.free(name, others) == expected


def test_taken_name_is_known_whatever_its_capitals() -> None:
    assert names.is_taken("voluum", ["Callback", "VOLUUM"])
    assert not names.is_taken("voluum 2", ["Callback", "VOLUUM"])
    assert [problem.code for problem in names.problems("voluum", ["VOLUUM"])] == ["name_taken"]
    assert names.problems("Voluum", []) == ()

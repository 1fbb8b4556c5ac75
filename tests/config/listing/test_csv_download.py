"""Cells of a CSV: as they are, but nothing that a spreadsheet would run."""

import pytest

from config.listing.csv_download import cell

FORMULA = "cmd|' /C calc'!A0"
BEFORE = ["", " ", "   ", "\t", "\r", "\n", "\r\n", "\N{NO-BREAK SPACE}", "\u3000", "\ufeff", "\u200b", "\x00", "\x1f "]
SIGNS = "=+-@\u2212\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("sign", list(SIGNS))
def test_cell_that_would_be_run_becomes_text(before, sign):
    typed = f"{before}{sign}{FORMULA}"
    assert cell(typed) == f"'{typed}"


@pytest.mark.parametrize("typed", ["\tx", "\rx", "\nx"])
def test_cell_that_would_move_into_the_next_one_becomes_text(typed):
    assert cell(typed) == f"'{typed}"


@pytest.mark.parametrize("typed", ["", " ", "#1001", " a=b", "-58.00", "+3", "0", "joe@blog.example", "'x", "—"])
def test_cell_that_is_harmless_stays(typed):
    assert cell(typed) == typed

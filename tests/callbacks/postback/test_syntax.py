"""Reading a template: no text is lost, and none makes it raise."""

from hypothesis import given
from hypothesis import strategies as st

from callbacks.postback import syntax


@given(st.text(alphabet="{}|:\"'ab. ", max_size=40))
def test_scan_any_text_gives_back_all_of_it(text: str) -> None:
    pieces, faults = syntax.scan(text)
    assert {fault.code for fault in faults} <= {"unknown_variable", "unbalanced_braces", "unknown_filter"}
    assert "".join(piece.source for piece in pieces) == text


def test_scan_template_gives_texts_and_variables() -> None:
    assert syntax.scan("https://t.example/?a={{ order.number }}&b")[0] == (
        syntax.Text("https://t.example/?a="),
        syntax.VariableRef("{{ order.number }}", "order.number"),
        syntax.Text("&b"),
    )

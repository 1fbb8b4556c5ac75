"""Reading a template: no text is lost, and none makes it raise anything but its own error."""

from hypothesis import given
from hypothesis import strategies as st

from callbacks.editor import check
from callbacks.postback import syntax
from tests.callbacks.templates import patient


@patient
@given(st.text(alphabet="{}|:\"'ab. ", max_size=40))
def test_parse_any_text_gives_back_all_of_it(text: str) -> None:
    try:
        pieces = check.parse(text)
    except check.TemplateError as error:
        assert error.problem.code in {"unknown_variable", "unbalanced_braces", "unknown_filter"}  # noqa: PT017
        pieces, _ = syntax.scan(text)
    assert "".join(piece.source for piece in pieces) == text


def test_parse_template_gives_texts_and_variables() -> None:
    assert check.parse("https://t.example/?a={{ order.number }}&b") == (
        check.Text("https://t.example/?a="),
        check.Placeholder("{{ order.number }}", "order.number"),
        check.Text("&b"),
    )

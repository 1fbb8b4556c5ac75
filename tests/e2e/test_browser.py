"""What the walks share, by itself."""

from playwright.sync_api import Page

from tests.e2e.browser import faults, look_like

PAGE = """<!doctype html><style>
  p, input { color: rgb(1, 1, 1); transition: color 0.5s }
  @media (prefers-color-scheme: dark) { p, input { color: rgb(9, 9, 9) } }
</style><p>Seen</p><details><summary>Date</summary><input></details>"""
COLOUR = "name => getComputedStyle(document.querySelector(name)).color"


def test_new_look_is_waited_for_but_not_in_what_is_closed(page: Page) -> None:
    page.set_content(PAGE)
    page.evaluate(COLOUR, "input")
    page.emulate_media(color_scheme="dark")
    page.evaluate(COLOUR, "input")  # as axe asks: begins a transition that gets no frames
    look_like(page, 390, "dark")
    assert page.evaluate(COLOUR, "p") == "rgb(9, 9, 9)"


def test_message_is_looked_at_once_it_has_appeared(page: Page) -> None:
    page.set_content(
        """<!doctype html><html lang="en"><title>Shop</title><style>
        @keyframes appear { from { opacity: 0.1 } }
        p { color: #000; background: #fff; animation: appear 1s }
        </style><main><h1>Shop</h1><p>Saved.</p></main></html>"""
    )
    assert faults(page) == []

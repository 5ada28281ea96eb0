"""A page as a browser shows it: no violation of WCAG 2.2 AA by axe, in both themes, wide and on a phone; pictures are kept.

What a page is made of does not change with the theme: all rules are asked in two of the four ways, in the other two those whose
answer depends on colours and sizes.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Page

PICTURES: Final = Path(__file__).parents[1] / "test-artefacts"
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SEEN: Final = ["color-contrast", "target-size", "link-in-text-block", "scrollable-region-focusable", "meta-viewport"]
Theme = Literal["light", "dark"]
WAYS: Final[tuple[tuple[Theme, int, bool], ...]] = (
    ("light", 1280, True), ("dark", 1280, False), ("light", 320, False), ("dark", 320, True),
)  # fmt: skip


def violations(page: Page, *, everything: bool = True) -> list[str]:
    """What axe finds, each with the first of the places where it does."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source())
    wanted: dict[str, Any] = {"runOnly": TAGS if everything else {"type": "rule", "values": SEEN}}
    found = page.evaluate("wanted => axe.run(document, wanted)", wanted)["violations"]
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}" for one in found]


def look(page: Page, folder: str, name: str) -> dict[str, list[str]]:
    """What is wrong with the page, in each of the four ways; pictures of each are kept in `folder`."""
    pictures, found = PICTURES / folder, {}
    pictures.mkdir(parents=True, exist_ok=True)
    for theme, width, everything in WAYS:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=pictures / f"{name}-{width}-{theme}.png", full_page=everything)
        wrong = violations(page, everything=everything)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wrong or wide:
            found[f"{theme} {width}"] = [*wrong, *([f"wider than the screen by {wide}"] if wide else [])]
    return found


@cache
def _source() -> str:
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()

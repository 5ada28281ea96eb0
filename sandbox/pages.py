"""What the pages of all stand-ins share: templates that escape, one style sheet, and headers that forbid the rest."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

ROOT = Path(__file__).parent
STATIC = ROOT / "static"
_SECURITY = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def environment(room: str) -> Environment:
    """Templates of one stand-in, over the shared ones."""
    folders = [ROOT / room / "templates", ROOT / "templates"]
    loader = FileSystemLoader(folders)
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    templates.filters["unescaped"] = html.unescape  # Labels are stored escaped; the template escapes once more.
    return templates


def render(templates: Environment, name: str, *, status: int = 200, allow: str = "", **context: Any) -> HTMLResponse:
    """A page from a template, with the headers that allow nothing but our own style and script, and what comes from `allow`, an
    origin that the page works with.
    """
    text = templates.get_template(name).render(**context)
    headers = dict(_SECURITY)
    if allow:
        headers["content-security-policy"] = (
            f"default-src 'self' {allow}; img-src 'self' https:; frame-ancestors 'none'; form-action 'self' {allow}; "
            "base-uri 'none'"
        )
    return HTMLResponse(text, status_code=status, headers=headers)


def from_elsewhere(request: Request) -> bool:
    """Whether another site's page sent this form (browsers say so)."""
    return request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}

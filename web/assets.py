"""Our own style, script and icon, from memory. Their addresses carry the content's hash: browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Only these are served."""
FOR_EVER: Final = "public, max-age=31536000, immutable"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    body: bytes
    type: str
    version: str


@cache
def all_of_them() -> dict[str, Asset]:
    """Read once: what a process serves does not change while it runs."""
    found = {}
    for file in sorted(FOLDER.iterdir()):
        if file.suffix in TYPES:
            body = file.read_bytes()
            found[file.name] = Asset(body, TYPES[file.suffix], hashlib.sha256(body).hexdigest()[:16])
    return found


def address(name: str) -> str:
    """`/static/app.css?v=<hash>`; KeyError for a file that is not there."""
    return f"/static/{name}?v={all_of_them()[name].version}"


@router.get("/static/{name}")
def serve(name: str, request: Request) -> Response:
    """A file; 304 where the browser has it. Without its present version in the address it is asked for again each time."""
    asset = all_of_them().get(name)
    if asset is None:
        return Response("There is no such file.", 404, media_type="text/plain")
    tag = f'"{asset.version}"'
    fresh = request.query_params.get("v") == asset.version
    headers = {"ETag": tag, "Cache-Control": FOR_EVER if fresh else "no-cache", "X-Content-Type-Options": "nosniff"}
    asked = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in asked:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.type, headers=headers)

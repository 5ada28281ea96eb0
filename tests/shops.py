"""A shop that can be asked, for tests of what polls and compares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette

from sandbox.serve import running
from sandbox.store.woo import WooShop, routes
from tests.world import ACCESS_KEY


@contextmanager
def shop(**options: Any) -> Iterator[tuple[WooShop, str]]:
    """OAuth 1.0a on plain HTTP, as WooCommerce wants it; the keys are those of `tests.world`."""
    face = WooShop(consumer_key=ACCESS_KEY, consumer_secret=ACCESS_KEY, **options)
    with running(Starlette(routes=routes(face))) as url:
        yield face, url

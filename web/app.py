"""The web application."""

from __future__ import annotations

from fastapi import FastAPI

from web import health, hooks
from web.state import WebState


def create_app(state: WebState) -> FastAPI:
    """All routes over one process's state. No interactive documentation: what is public is written in docs/."""
    app = FastAPI(title="Orderwire", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.orderwire = state
    app.include_router(hooks.router)
    app.include_router(health.router)
    return app

"""The web application."""

from __future__ import annotations

from fastapi import FastAPI

from web import access, health, hooks, login, pages
from web.dashboard import alerts, audit, connections, flows, home, job, jobs, orders, people, problems, schedules
from web.state import WebState


def create_app(state: WebState) -> FastAPI:
    """All routes over one process's state. No interactive documentation: what is public is written in docs/."""
    app = FastAPI(title="Orderwire", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.orderwire = state
    app.include_router(hooks.router)
    app.include_router(health.router)
    pages.install(app)
    access.install(app)
    for one in (login, home, connections, flows, schedules, alerts, people, audit, problems, jobs, job, orders):
        app.include_router(one.router)
    return app

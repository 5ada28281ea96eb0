"""The web application."""

from __future__ import annotations

from fastapi import FastAPI

from web import access, around, health, hooks, login, pages, threads
from web.api.app import PREFIX, create_api
from web.dashboard import (
    alerts,
    audit,
    choice,
    connections,
    customers,
    deliveries,
    figures,
    flows,
    home,
    job,
    jobs,
    orderlist,
    orders,
    papers,
    people,
    problems,
    reassign,
    reps,
    reviews,
    runs,
    schedules,
    settings,
    stock,
    workers,
)
from web.portal.app import PREFIX as PORTAL
from web.portal.app import create_portal
from web.state import WebState


def create_app(state: WebState) -> FastAPI:
    """All routes over one process's state. No interactive documentation: what is public is written in docs/.

    The routes are taken over as they are: `include_router` would build each of them a second time, at the first request.
    """
    app = FastAPI(title="Orderwire", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.orderwire = state
    app.router.routes.extend(hooks.router.routes)
    app.mount(PORTAL, create_portal(state), name="portal")  # before all pages: its speed is measured too
    app.router.routes.extend(health.router.routes)
    pages.install(app)
    around.install(app)
    access.install(app)
    threads.install(app)
    screens = (
        login, home, connections, flows, reviews, runs, schedules, workers, figures, alerts, people, audit, settings, problems,
        jobs, job, choice, orderlist, orders, reps, customers, reassign, deliveries,
        papers, stock,
    )  # fmt: skip
    for one in screens:
        app.router.routes.extend(one.router.routes)
    app.mount(PREFIX, create_api(state), name="api")
    return app

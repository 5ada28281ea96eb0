"""The web application over whatever a test or a benchmark has."""

from __future__ import annotations

from fastapi import FastAPI

from pipelines.context import Context
from pipelines.metrics import Metrics
from web.app import create_app
from web.state import WebState


def app_over(context: Context) -> FastAPI:
    """All routes; nobody hears its bell."""
    return create_app(WebState(context, Metrics(), lambda: None))

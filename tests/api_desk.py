"""A world with an operator's program that speaks to its API.

A module of tests takes the fixtures over by name: `world, client = api_desk.world, api_desk.client`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient

from core.rights import Role
from tests.programs import program
from tests.world import SkippingClock, World, crm

V1: Final = "/api/v1"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with crm() as (_, url), World(database_url, url, clock=SkippingClock()) as made:
        yield made


@pytest.fixture
def client(world: World) -> TestClient:
    made = program(world.app(lambda: None), role=Role.OPERATOR)
    made._transport.raise_server_exceptions = True
    return made


def get(client: TestClient, path: str, status: int = 200) -> Any:
    """What stands there; `path` is one of the API's, or whole as the API gave it (`next`)."""
    answer = client.get(path if path.startswith("/api") else V1 + path)
    assert answer.status_code == status, answer.text
    return answer.json()


def post(client: TestClient, path: str, body: dict[str, Any] | None = None, status: int = 200) -> Any:
    """What it answers; a refusal says what to do."""
    answer = client.post(V1 + path, json=body)
    assert answer.status_code == status, answer.text
    assert status < 400 or "What to do:" in answer.json()["detail"]
    return answer.json()

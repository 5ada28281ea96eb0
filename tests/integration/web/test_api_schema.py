"""Every address of the API against its own description: whatever is sent, the answer is one that is described, and no 5xx.

Schemathesis makes the requests, right ones and wrong ones, over a ledger with orders in every state and hostile texts in them.
`ORDERWIRE_SEED` repeats a run, `ORDERWIRE_REQUESTS` says how many requests of each operation are made.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import seed as seeded
from schemathesis import Case, GenerationMode
from schemathesis.checks import ignored_auth, positive_data_acceptance
from schemathesis.schemas import BaseSchema

from core.rights import Role, Scope
from tests.api_world import Asked, answered_well, fill, names
from tests.integration.ledger import kit
from tests.programs import api_of, token
from tests.world import SkippingClock, World, crm
from web.api.app import PREFIX, create_api
from web.api.door import Meter
from web.state import WebState

RIGHT: Final = int(os.environ.get("ORDERWIRE_REQUESTS", "5"))
"""Requests of each operation that its description allows, for names that are there and for names that are not."""
WRONG: Final = RIGHT - RIGHT // 5
"""Requests of each operation that its description forbids."""
FREE: Final = {path: [positive_data_acceptance] for path in ("/jobs/{job_id}/edit", "/jobs/{job_id}/edit/check")}
"""No description can tell which text is an order: one that is none is refused as not understood."""
EXACT: Final = 2**53 - 1
"""Whole numbers up to here are the same in every program that reads JSON."""
DESCRIBED: Final = create_api(cast("WebState", None)).openapi()["paths"]
OPERATIONS: Final = sorted((path, method) for path, methods in DESCRIBED.items() for method in methods)
ASKING: Final = [one for one in OPERATIONS if {"parameters", "requestBody"} & set(DESCRIBED[one[0]][one[1]])]
"""Those that something can be wrong with."""


@dataclass
class Served:
    """The application over a ledger with something of everything. `names`: what its addresses may name."""

    schema: BaseSchema
    headers: Mapping[str, str]
    names: Mapping[str, list[Any]]
    world: World


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    url = kit.migrated(request, tmp_path_factory.mktemp("api"))
    with ExitStack() as stack:
        yield serve(stack, url)


def serve(stack: ExitStack, url: str) -> Served:
    """A filled world and its description."""
    outside, crm_url = stack.enter_context(crm())
    world = stack.enter_context(World(url, crm_url, clock=SkippingClock(), invoices="on_order"))
    fill(world, outside)
    app = world.app(lambda: None)
    meter, generous = api_of(app).state.meter, Meter(10**6, 10**6)
    meter._requests, meter._actions = generous._requests, generous._actions
    headers = {"authorization": f"Bearer {token(world.ledger, list(Scope), Role.ADMIN)}"}
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", app, headers=headers)
    return Served(schema, headers, names(world), world)


def unsent(value: object) -> bool:
    """An empty list stands in no address: what would be wrong about the request is not in it."""
    return value is None or (isinstance(value, list | tuple | dict) and all(map(unsent, value)))


def ask(served: Served, path: str, method: str, mode: GenerationMode, examples: int, seed: int) -> None:
    operation = served.schema[path][method]
    wanted = random.Random(f"{seed} {path} {method}")

    @seeded(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE and wanted.random() < 0.7:
            case.path_parameters = {
                name: wanted.choice(there(served, path, name)) for name in case.path_parameters or {}
            }
        assume(mode is GenerationMode.POSITIVE or not any(map(unsent, (case.query or {}).values())))
        case.call_and_validate(headers=dict(served.headers), excluded_checks=[ignored_auth, *FREE.get(path, ())])

    one()


def there(served: Served, path: str, name: str) -> list[Any]:
    """What the address may name here."""
    return served.names.get(f"{path} {name}") or served.names[name]


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS])
def test_every_answer_is_one_that_is_described(served: Served, path: str, method: str, seed: int) -> None:
    ask(served, path, method, GenerationMode.POSITIVE, RIGHT, seed)


@pytest.mark.parametrize(("path", "method"), ASKING, ids=[f"{method} {path}" for path, method in ASKING])
@pytest.mark.parametrize("served", ["sqlite"], indirect=True)  # what is refused does not come as far as the database
def test_what_is_not_described_is_refused(served: Served, path: str, method: str, seed: int) -> None:
    ask(served, path, method, GenerationMode.NEGATIVE, WRONG, seed)


@pytest.fixture
def fresh(sqlite_template: Path, tmp_path: Path) -> Iterator[Served]:
    """Nobody has asked it for anything yet."""
    with ExitStack() as stack:
        yield serve(stack, kit.sqlite_copy(sqlite_template, tmp_path))


def test_what_makes_sense_is_answered_well_by_every_operation(fresh: Served) -> None:
    told: Counter[tuple[str, str]] = Counter()

    def ask(asked: Asked) -> Any:
        case = fresh.schema[asked.path][asked.method].Case(
            path_parameters=dict(asked.named),
            query=dict(asked.query),
            **({} if asked.body is None else {"body": asked.body}),
        )
        answer = case.call_and_validate(headers=dict(fresh.headers), excluded_checks=[ignored_auth])
        assert 200 <= answer.status_code < 300, (asked, answer.text)
        told[asked.path, asked.method] += 1
        return answer.json() if answer.headers.get("content-type", [""])[0] == "application/json" else None

    answered_well(fresh.world, ask)
    assert sorted(told) == OPERATIONS


def bounds(part: Any) -> Iterator[tuple[str, Any]]:
    """Every limit of a number that a description gives."""
    if isinstance(part, list):
        for one in part:
            yield from bounds(one)
    if isinstance(part, dict):
        for name, value in part.items():
            if name in {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} and not isinstance(value, dict):
                yield name, value
            yield from bounds(value)


def test_every_limit_of_a_number_is_described_as_it_is_held() -> None:
    """OpenAPI's limits are made floating-point numbers: one of 2**63 - 1 allows what is refused."""
    found = list(bounds(create_api(cast("WebState", None)).openapi()))
    assert len(found) > 20
    assert [one for one in found if abs(one[1]) > EXACT] == []


def test_every_operation_is_walked() -> None:
    assert len(OPERATIONS) > 40
    assert ("/jobs/{job_id}/retry", "post") in OPERATIONS

"""Every address of the API against its own description: whatever is sent, the answer is one that is described, and no 5xx.

Schemathesis makes the requests, right ones and wrong ones, over a ledger with orders in every state and hostile texts in them.
`ORDERWIRE_SEED` repeats a run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import seed as seeded
from schemathesis import Case, GenerationMode
from schemathesis.checks import ignored_auth
from schemathesis.schemas import BaseSchema

from core.rights import Role, Scope
from ledger.alerts import Condition
from ledger.reviews import Candidate
from tests.desk import HOSTILE, hostile_orders
from tests.integration.ledger import kit
from tests.orders import order
from tests.programs import api_of, token
from tests.world import SkippingClock, World, crm
from web.api.app import PREFIX, create_api
from web.api.door import Meter
from web.state import WebState

RIGHT: Final = 5
"""Requests of each operation that its description allows, for names that are there and for names that are not."""
WRONG: Final = 4
"""Requests of each operation that its description forbids."""
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


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    url = kit.migrated(request, tmp_path_factory.mktemp("api"))
    with ExitStack() as stack:
        _, crm_url = stack.enter_context(crm())
        world = stack.enter_context(World(url, crm_url, clock=SkippingClock()))
        fill(world)
        app = world.app(lambda: None)
        meter, generous = api_of(app).state.meter, Meter(10**6, 10**6)
        meter._requests, meter._actions = generous._requests, generous._actions
        headers = {"authorization": f"Bearer {token(world.ledger, list(Scope), Role.ADMIN)}"}
        schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", app, headers=headers)
        yield Served(schema, headers, names(world))


def fill(world: World) -> None:
    """Orders that are held, waiting, settled, skipped and running; a bulk action, alerts, a schedule, a paused connection."""
    for made in hostile_orders():
        world.deliver(made)
    for id in range(1, 4):
        world.deliver(order(id, currency="CHF"))
    world.drain()
    for id in range(11, 15):
        world.deliver(order(id))
    world.ledger.jobs.skip(world.job("shop/order/14").id, "by hand")
    world.ledger.jobs.claim("somebody else")
    world.ledger.alerts.open(Condition("connection/crm", "crm is out", "It is out. What to do: wait."))
    world.ledger.schedules.start_if_due("poll/shop", every=300, lease=60)
    world.ledger.schedules.ended("poll/shop", "failed: <b>something</b>")
    candidates = [Candidate("6x99", "SO99", HOSTILE[0], 80, ("same number",))]
    world.ledger.reviews.offer("crm", "order", "shop/order/5001", HOSTILE[3], candidates)
    world.ledger.runs.begin("rehearse", "shop-orders", {"carried": True}, by="Olga", state="stopped")
    held = world.ledger.jobs.list(state="held")
    from ledger.search import member
    from pipelines import bulk

    bulk.begin(world.ledger, "<i>many</i>", [member(job) for job in held[:2]], by="Olga")


def names(world: World) -> dict[str, list[Any]]:
    """What is there, by the name of the parameter."""
    from ledger.problems import Problems

    jobs = world.ledger.jobs.list(limit=100)
    return {
        "job_id": [job.id for job in jobs],
        "problem_id": [one.id for one in Problems(world.ledger.db).open()],
        "number": [*(job.number for job in jobs), *(job.key for job in jobs)],
        "delivery_id": [1, 2, 3],
        "run_id": [1, 2],
        "review_id": [1],
        "kind": ["order", "invoice"],
        "flow": ["shop-orders", "nothing"],
        "key": [job.key for job in jobs],
        "stock": ["goods", "nothing"],
        "name": ["crm", "shop", "shop-orders", "poll/shop", "bulk"],
    }


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
            case.path_parameters = {name: wanted.choice(served.names[name]) for name in case.path_parameters or {}}
        assume(mode is GenerationMode.POSITIVE or not any(map(unsent, (case.query or {}).values())))
        case.call_and_validate(headers=dict(served.headers), excluded_checks=[ignored_auth])

    one()


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[f"{method} {path}" for path, method in OPERATIONS])
def test_every_answer_is_one_that_is_described(served: Served, path: str, method: str, seed: int) -> None:
    ask(served, path, method, GenerationMode.POSITIVE, RIGHT, seed)


@pytest.mark.parametrize(("path", "method"), ASKING, ids=[f"{method} {path}" for path, method in ASKING])
@pytest.mark.parametrize("served", ["sqlite"], indirect=True)  # what is refused does not come as far as the database
def test_what_is_not_described_is_refused(served: Served, path: str, method: str, seed: int) -> None:
    ask(served, path, method, GenerationMode.NEGATIVE, WRONG, seed)


def test_every_operation_is_walked() -> None:
    assert len(OPERATIONS) > 40
    assert ("/jobs/{job_id}/retry", "post") in OPERATIONS

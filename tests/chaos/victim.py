"""Carries one order and ends itself with SIGKILL at a named point. Run as `python -m tests.chaos.victim`.

It reads tasks from its standard input, one JSON object a line, and forks a child for each of them, so that the imports
are paid once. The product knows nothing of it: functions are wrapped from outside, in the child. A task without a
point runs to the end and tells every point that it passed.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from connectors.http import Http
from ledger import Ledger
from ledger.jobs import Jobs
from ledger.links import Links
from mapping.identity import customer_entries, strong_identities
from mapping.woocommerce import WooOptions, order_from_woocommerce
from tests.orders import order
from tests.world import SkippingClock, World

Namer = Callable[..., str]


class Points:
    """Every step of interest, twice: `before <step>` and `after <step>`. A step that repeats is numbered."""

    def __init__(self, deadly: str) -> None:
        self.deadly = deadly
        self.passed: list[str] = []
        self._seen: Counter[str] = Counter()

    def wrap(self, owner: type, method: str, name_of: Namer) -> None:
        real = getattr(owner, method)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            step = name_of(*args, **kwargs)
            if not step:
                return real(*args, **kwargs)
            self._seen[step] += 1
            name = step if self._seen[step] == 1 else f"{step} {self._seen[step]}"
            self.reach(f"before {name}")
            answer = real(*args, **kwargs)
            self.reach(f"after {name}")
            return answer

        setattr(owner, method, wrapped)

    def reach(self, point: str) -> None:
        self.passed.append(point)
        if point == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def _written(_http: Http, operation: str, _method: str, _url: str, **kwargs: Any) -> str:
    """`create Accounts`, `convertlead`: what the CRM is asked to do. `after` means that it has answered and nobody knows."""
    return f"{operation} {kwargs['data'].get('elementType', '')}".strip()


def wrap_all(points: Points) -> None:
    points.wrap(Jobs, "claim", lambda *_a, **_k: "claim")
    points.wrap(Links, "intend", lambda _s, _c, _t, kind, _keys, **_k: f"intend {kind}")
    points.wrap(Links, "mark_sent", lambda _s, _c, links, **_k: f"mark {links[0].kind}")
    points.wrap(Links, "note", lambda _s, _link, refs: f"note {min(set(refs) - {'own_id'})}")
    points.wrap(Links, "link", lambda _s, links, *_a, **_k: f"link {links[0].kind}")
    points.wrap(Http, "write", _written)
    points.wrap(Jobs, "settle", lambda *_a, **_k: "settle")


def carry(task: dict[str, Any]) -> None:
    """One order from the shop into the CRM, as a worker does it."""
    points = Points(task["point"])
    world = World(
        task["database_url"],
        task["crm_url"],
        clock=SkippingClock(task["offset"]) if task["offset"] else None,
        lease=task["lease"],
        hold=task["hold"],
        upgrade=False,
        shops={"shop": {}},
        **task["flow"],
    )
    world.deliver(task["order"])
    wrap_all(points)
    claim = world.ledger.jobs.claim("victim")
    assert claim is not None, "there was nothing to do"
    assert claim.key.id == str(task["order"]["id"]), "somebody else's job was due"
    world.runner.leases.start()
    world.runner.run(claim)
    print(json.dumps({"passed": points.passed}), flush=True)  # noqa: T201


def warm_up() -> None:
    """What a first order loads lazily, loaded before anything is forked."""
    made = order_from_woocommerce(order(1), WooOptions("shop"))
    customer_entries(made.customer, "DE")
    strong_identities(made.customer, "DE")
    for url in ("sqlite://", "postgresql+psycopg://nobody@127.0.0.1:9/nothing"):
        Ledger.open(url).close()  # imports the driver; connects to nothing


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warm_up()
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                carry(task)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"ended_by": os.waitstatus_to_exitcode(status)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

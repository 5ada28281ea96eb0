"""`/settings`: what this installation was started with and stands on; whom it tells, and whether that works. Nothing is changed
here: the configuration is a file.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response

from core.rights import Right
from core.values import Value
from core.version import VERSION
from ledger.people import Person
from ledger.storage import storage
from pipelines import telling
from pipelines.context import Context
from pipelines.desk import Refused
from web.access import require
from web.dashboard.common import context_of, state_of
from web.pages import back, page, translated
from web.threads import outside

router = APIRouter()

Reading = Annotated[Person, Depends(require(Right.CONFIGURATION))]
Running = Annotated[Person, Depends(require(Right.RUN))]

SECTIONS: Final = ("ledger", "worker", "web", "alerts", "seller", "keep")
"""What is there once; everything else has a name."""
KEYS_IN_ADDRESSES: Final = ("heartbeat", "url", "deliver_to")
"""Settings that are addresses: what stands behind the host may be a key to it."""
NOTIFIERS: Final = frozenset({"webhook"})


@dataclass(frozen=True, slots=True)
class Group:
    """A section, a connection or a flow. `given`: what somebody has set; `left`: what stands at its default."""

    name: str
    given: Sequence[Value]
    left: Sequence[Value]


@router.get("/settings")
def settings(request: Request, _person: Reading) -> Response:
    """Everything, for reading."""
    mine, state = context_of(request), state_of(request)
    in_force = state.in_force
    return page(
        request,
        "settings.html",
        groups=groups(in_force.values if in_force else (), mine),
        file=in_force.file.name if in_force else "",
        changed=in_force.changed() if in_force else False,
        alerts=mine.alerts,
        notifiers=list(mine.notifiers),
        ground=storage(mine.ledger.db),
        version=VERSION,
        python=platform.python_version(),
        here=datetime.now().astimezone().strftime("%Z (UTC%z)"),
    )


@router.post("/settings/alerts/test")
async def test_message(request: Request, person: Running) -> Response:
    """A message to everybody who is told of alerts, which says that it is a test."""
    return await outside("Whoever is told of alerts", partial(_tried, request, person), test=True)


def _tried(request: Request, person: Person) -> Response:
    mine = context_of(request)
    if not mine.notifiers:
        raise Refused(
            "Nobody is told of alerts. What to do: name a notifier in [alerts] to of the configuration, and restart."
        )
    taken = telling.try_out(mine.notifiers, person.actor, mine.ledger.clock.now())
    mine.ledger.audit.note(
        person.actor, "alerts.test", "alerts", {name: "sent" if ok else "failed" for name, ok in taken.items()}
    )
    failed = [name for name, ok in taken.items() if not ok]
    if failed:
        said = translated(
            request,
            "%(names)s did not take the test message. What to do: test the connection, and look at its settings.",
            names=", ".join(failed),
        )
        return back(request, "/settings#alerts", said, well=False)
    said = translated(request, "Sent by %(names)s. What to do: see whether it arrived.", names=", ".join(taken))
    return back(request, "/settings#alerts", said)


def groups(values: Sequence[Value], context: Context) -> list[Group]:
    """By section, connection and flow, in the order of the file (pure but for the names of connectors)."""
    found: dict[str, list[Value]] = {}
    for value in values:
        head, _, rest = value.path.partition(".")
        name = head if head in SECTIONS else ".".join(value.path.split(".")[:2])
        key = rest if head in SECTIONS else rest.partition(".")[2]
        found.setdefault(name, []).append(Value(key, shown(name, key, value.value, context), value.origin))
    return [
        Group(name, [one for one in own if one.origin != "default"], [one for one in own if one.origin == "default"])
        for name, own in found.items()
    ]


def shown(group: str, key: str, value: str, context: Context) -> str:
    """The value; of an address that may hold a key to it, only where it leads."""
    if key not in KEYS_IN_ADDRESSES or not value:
        return value
    kind, _, name = group.partition(".")
    known = context.connections.get(name)
    secret = key == "heartbeat" or (kind == "connection" and known is not None and known.connector in NOTIFIERS)
    parts = urlsplit(value)
    hidden = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.hostname or ''}/…" if secret and hidden else value

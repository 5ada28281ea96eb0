"""A world with a dashboard: people of each role, orders that went well, that are held, that wait, with hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from core.rights import Role
from sandbox.serve import running
from tests.orders import order, person
from tests.world import World
from web.access import PLAIN_COOKIE

HOSTILE: Final = (
    '<script>window.struck = 1; alert("struck")</script>',
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://evil.example","press")',
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe שלום עולם",
    "🧨 👩‍👩‍👧‍👦 Ünïcödé ﷽",
    "{{ 7331 * 7331 }} ${7331*7331} {% raise %}",
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)//",
)
"""What a customer may type into an order."""


def logged_in(world: World, role: Role, name: str = "") -> dict[str, str]:
    """Cookies of a person of this role, who is made for it."""
    found = world.ledger.people.named(name or role.value) or world.ledger.people.add(
        name or role.value, role, by="test"
    )
    return {PLAIN_COOKIE: world.ledger.sessions.open(found)}


def hostile_orders(count: int = len(HOSTILE)) -> Iterator[dict[str, Any]]:
    """Orders whose every free text is hostile; each second one does not balance, so that it is held."""
    for at in range(count):
        text = HOSTILE[at % len(HOSTILE)]
        billing = person("Kern", first_name=text, last_name=text, company=text, address_1=text, city=text)
        made = order(5000 + at, billing=billing, number=f"{5000 + at} {text}", customer_note=text)
        if at % 2:
            made["total"] = "1.00"
        yield made


@dataclass
class Served:
    """The dashboard on a port."""

    url: str
    world: World


@contextmanager
def served(world: World) -> Iterator[Served]:
    """The real server over this world."""
    with running(world.app(lambda: None)) as url:
        yield Served(url, world)

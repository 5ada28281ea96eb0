"""Every page that there is: found by following links from the start and from every route, so that none is left out.

A page that is new is found by itself when another page leads to it. One that only a form or a letter leads to is named in
`BY_HAND`; else the walk says which route it did not see.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.routing import compile_path

from core.keys import Key
from core.settings import RepFlowSettings
from ledger.alerts import Condition
from ledger.problems import fingerprint
from ledger.reps import AbsenceRow, Answer, AssignmentRow
from ledger.reviews import Candidate
from ledger.runs import Item
from mapping.cards import card_of
from mapping.reps import resolve
from pipelines.repbook import concerns_of, facts_of
from tests.erps import AsRole, Erp
from tests.portal import portal_settings
from tests.world import World

NO_PAGES: Final = ("/api/", "/hooks/", "/portal", "/static/", "/livez", "/readyz", "/metrics")
BY_HAND: Final[Mapping[str, str]] = {
    "/welcome/{token}": "/welcome/nobody-has-this",
    "/papers/{kind}/{flow}/{key:path}": "/papers/order/shop-orders/shop/order/nobody",
}
"""Routes that no page leads to, and an address of each."""
SIDEWAYS: Final = (
    "/no/such/page", "/search?q=%3Cscript%3E", "/search?q=", "/jobs?q=%22%3E&since=x&error=%3Cb%3E", "/audit?actor=%22%3E%3Cb%3E",
    "/orders/nobody", "/problems/gone", "/connections/nothing",
)  # fmt: skip
"""What people come to by mistake."""


def furnish(world: World, client: TestClient, text: str = "Somebody") -> list[str]:
    """What only comes of doubts, of alerts and of buttons; the addresses of the pages of it. `text`: what others may have written."""
    choices = [Candidate(f"11x{n}", f"ACC{n}", text, 60 + n, (text, "same postal code")) for n in (1, 2)]
    world.ledger.reviews.offer("crm", "order", f"shop/order/{text}"[:150], text, choices)
    world.ledger.alerts.open(Condition(f"connection/{text}", text, text, facts={"text": text}))
    world.ledger.flows.set("shop2-orders", "rehearse", by=text, note=text)
    run = world.ledger.runs.begin("rehearse", "shop-orders", {"name": text}, by=text)
    facts = {"writes": [text], "unknown_skus": [text], "untaxed": [text], "unmapped": [text], "customer": "new"}
    world.ledger.runs.put(run.id, [Item("shop/order/1", "hold", text, "1.00", "EUR", text, "money", facts)])
    world.ledger.runs.end(run.id, "done", text)
    reps = _furnish_reps(world, text)
    first = next(iter(world.ledger.jobs.list(state="held", limit=1)))
    wanted = urlencode({"state": "held", "q": first.key.rpartition("/")[2]})
    begun = client.post(f"/jobs/retry?{wanted}", data={"title": text[:200]}).headers["location"]
    world.drain(fill=False)  # it is held again: the walk finds what was there
    review = max(one.id for one in world.ledger.reviews.list())
    problem = f"/problems/{fingerprint(first.flow, first.target, first.error_class, first.reason)}"
    of_it = [problem, f"{problem}/retry", f"{problem}/skip"]
    return [f"/jobs/{first.id}", f"/jobs/{first.id}/edit", *of_it, f"/review/{review}", begun, f"/runs/{run.id}", *reps]


def _furnish_reps(world: World, text: str) -> list[str]:
    """An ERP with reps of whom `text` is everything that others may have written, and a reassignment."""
    erp, plain = Erp(), text[:60]
    world.context.erps = {"erp": AsRole(erp)}
    world.context.reps = {"reps": RepFlowSettings(name="reps", source="erp", target="crm")}
    world.context.portals = {"portal": portal_settings(name="portal")}
    erp.rep("R7", text, title=text, email=text, phone=text)
    erp.rep("R9", text)
    erp.region("EAST", "R7")
    erp.customer("1", "R7", "GHOST", name=text, region="EAST")
    kept, day = world.ledger.reps, date(2026, 11, 20)
    (change,) = [one for page in erp.changes_since("customer", None) for one in page.changes]
    world.ledger.inbox.accept(
        [change], world.context.routes, via="poll", want_jobs=False
    )  # its lists of jobs stay as they are
    for code in ("R7", "R9"):
        rep = erp.rep_of(Key("erp", "rep", code), erp.fetch(Key("erp", "rep", code)).raw or b"")
        kept.put_rep("erp", code, facts_of(rep), told="erp")
    kept.put_region("erp", "EAST", {"name": text}, told="erp")
    kept.put_agency("erp", "PART", {"name": text, "business": plain, "own": False}, by=text)
    kept.add_absences("erp", [AbsenceRow("R9", date(2026, 11, 1), None, "R7")], by=text)
    kept.add_assignments("erp", [AssignmentRow("customer", plain, "R9", role="service")], by=text)
    book, customer = world.context.books.get("erp"), erp.customer_of(change.key, change.raw or b"")
    made = card_of(resolve(book.directory, customer, day), book.directory, customer, day).model_dump_json()
    answer = Answer(card=made, digest="d", seen_on=day, name=text, rep="R7")
    kept.save_card("erp", "1", answer, concerns=concerns_of(book, customer))
    run = world.ledger.runs.begin("reassign", "reps", {"from": "R7", "to": "R9", "region": plain}, by=text)
    world.ledger.runs.put(run.id, [Item("customer/1", "given", plain, reason=text)])
    world.ledger.runs.end(run.id, "done", text)
    return ["/reps", "/reps/rep?code=R7", "/reps/check", "/reps/preview?customer=1", f"/runs/{run.id}"]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def links(text: str) -> list[str]:
    """Where a page leads to."""
    parser = _Links()
    parser.feed(text)
    return parser.found


@dataclass
class Walk:
    """One walk. `most`: addresses that are looked at of each route."""

    app: FastAPI
    get: Callable[[str], httpx.Response]
    most: int = 12
    looked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        answering = [str(one.path) for one in iter_route_contexts(self.app.routes) if "GET" in (one.methods or {"GET"})]
        self.routes = {path: compile_path(path)[0] for path in answering if not path.startswith(NO_PAGES)}

    def route(self, address: str) -> str:
        """The path of the route that answers this address, "" where none does."""
        path = unquote(urlsplit(address).path)
        return next((route for route, pattern in self.routes.items() if pattern.match(path)), "")

    def missed(self) -> set[str]:
        """Routes that were not looked at."""
        return set(self.routes) - set(self.looked)

    def pages(self, first: Iterable[str] = ()) -> Iterator[tuple[str, httpx.Response]]:
        """Address and answer of each page and sheet; redirects are followed within the walk. `first`: all of these, at any rate."""
        wanted = list(first)
        queue = deque([*wanted, *(path for path in self.routes if "{" not in path), *SIDEWAYS, *BY_HAND.values()])
        asked = {*wanted}
        seen: set[str] = set()
        while queue:
            address = queue.popleft()
            route = self.route(address)
            if address in seen or (address not in asked and self.looked[route] >= self.most):
                continue
            seen.add(address)
            answer = self.get(address)
            self.looked[route] += 1
            leads = [answer.headers["location"]] if answer.is_redirect else []
            if "text/html" in answer.headers.get("content-type", ""):
                leads += links(answer.text)
            queue.extend(self.within(address, leads))
            if not answer.is_redirect:
                yield address, answer

    @staticmethod
    def within(address: str, leads: Iterable[str]) -> Iterator[str]:
        """Those that are pages of ours, without what stands after #."""
        for one in leads:
            to = urlsplit(urljoin(f"http://here{address}", re.sub(r"#.*", "", one)))
            if to.netloc == "here" and to.path != "/logout":
                yield f"{to.path}?{to.query}" if to.query else to.path

"""Lives of orders, played against the product and against the model of `tests.oracle.life`, and compared at their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from core.keys import Key
from core.settings import StockSettings
from pipelines import calling_off, crmpolling, polling, reconcile
from sandbox.catalogue import BY_SKU
from sandbox.store import woo
from tests.lives import LivingShop
from tests.oracle.life import NOTHING, ZERO, Books, Item, Policy, Refund, Version, expected, halfway, seen
from tests.oracle.life import World as Possible
from tests.world import PRODUCTS, SkippingClock, World

ARTICLES: Final = (("OF-100", 19), ("OF-104", 7), ("OF-107", 19), ("OF-105", 7))
FIRST: Final = 101
LEASE: Final = 60.0


class Killed(BaseException):
    """The worker is gone."""


# ---------------------------------------------------------------------------------------------------- what may happen

AMENDMENTS: Final = ("quantity", "price", "add", "remove")
REFUNDS: Final = ("line", "line without tax", "carriage", "amount", "all")
ACTIONS: Final = (
    *("pay", "quantity", "complete", "reopen", "line", "cancel", "restore", "price", "carriage", "add"),
    *("amount", "delete refund", "remove", "line without tax", "trash", "all", "delete refund silently"),
)
DELIVERIES: Final = ("once", "once", "once", "twice", "late", "lost")
FAULTS: Final = ("error_500", "empty_500", "empty_500_after", "lost_answer", "lost_line", "session_lost")
WORK: Final = ("none", "run", "run", "run", "killed before", "killed after", *FAULTS)


@dataclass(frozen=True)
class Step:
    """Something happens to an order in the shop (or an old delivery arrives), is delivered or not, and jobs run or do not."""

    action: str
    order: int = 0
    which: int = 0
    much: int = 1
    delivery: str = "once"
    work: str = "run"
    at: int = 0
    """Which write of that run the fault hits."""
    wait: int = 0
    """Seconds that pass before it."""


STEPS: Final = st.builds(
    Step,
    action=st.sampled_from((*ACTIONS, *("pay", "complete", "cancel", "restore", "line", "arrive", "poll", "look"))),
    order=st.integers(0, 2),
    which=st.integers(0, 3),
    much=st.integers(1, 60),
    delivery=st.sampled_from(DELIVERIES),
    work=st.sampled_from(WORK),
    at=st.sampled_from((0, 0, 0, 1, 2, 3, 4)),
    wait=st.sampled_from((0, 0, 1, 2, 70, 130)),
)
POLICIES: Final = st.builds(
    Policy,
    invoices=st.sampled_from(("never", "on_order", "on_paid", "on_delivered")),
    refunds_order=st.sampled_from(("lines", "lines", "note")),
    refunds_invoice=st.sampled_from(("credit", "credit", "leave")),
    invoiced=st.sampled_from(("cancel", "credit", "hold")),
    shipped=st.sampled_from(("cancel", "credit", "hold")),
)


# -------------------------------------------------------------------------------------------------------- the machinery


@dataclass
class Places:
    """A stand-in CRM and a stand-in shop that all lives share, one after the other."""

    crm_app: Any
    crm_url: str
    face: woo.WooShop
    shop_url: str
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def world(self, policy: Policy) -> Iterator[World]:
        self.face.orders.clear()
        self.face.refunds.clear()
        url = f"sqlite:///{self.folder / f'life{next(self.numbers)}.sqlite'}"
        flow: dict[str, Any] = {
            "invoices": policy.invoices,
            "refunds": {"order": policy.refunds_order, "invoice": policy.refunds_invoice},
            "cancel": {"invoiced": policy.invoiced, "shipped": policy.shipped},
        }
        clock, shops = SkippingClock(), {"shop": {"url": self.shop_url}}
        with World(url, self.crm_url, clock=clock, lease=LEASE, shops=shops, **flow) as world:
            world.http.post("/sandbox/reset", json={"seed": True}).raise_for_status()
            world.seed(products=PRODUCTS)
            world.crm._http._sleep = lambda _seconds: None
            stock = StockSettings(name="lager", source="crm", write_off_from=date(2026, 1, 1))
            world.context.stocks = {"lager": stock}
            crmpolling.poll(world.context, "crm")
            world.fill_index()
            yield world


@contextmanager
def any_clock() -> Iterator[None]:
    """Time is skipped here: the shop must not find our signatures too old or too young."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(woo, "_CLOCK_SECONDS", 10**9)
        yield


class Life:
    """Plays the steps against the product and against the model."""

    def __init__(self, world: World, policy: Policy, face: woo.WooShop, orders: int) -> None:
        self.world, self.policy = world, policy
        self.shop = LivingShop(face)
        self.numbers = range(FIRST, FIRST + orders)
        self.late: list[tuple[bytes, str]] = []
        self.may_be: dict[int, set[Possible]] = {number: {NOTHING} for number in self.numbers}
        self.ids = count(500)

    # -- the shop --------------------------------------------------------------------------------------------------

    def play(self, step: Step) -> None:
        self.clock.skip(step.wait)
        if step.action == "arrive":
            if self.late:
                self.arrive(self.late.pop(step.which % len(self.late)))
        elif step.action == "poll":
            self.poll()
        elif step.action == "look":
            crmpolling.poll(self.world.context, "crm")
        else:
            number = self.numbers[step.order % len(self.numbers)]
            there = self.shop.current.get(number)
            made = self.created(number, step) if there is None else self.changed(there, step)
            silent = (
                there is not None and step.action == "delete refund silently" and len(made.refunds) < len(there.refunds)
            )
            document = self.shop.put(made, self.clock.now(), silent=silent)
            self.send(document, "lost" if silent else step.delivery)
        self.work(step)

    def created(self, number: int, step: Step) -> Version:
        items = tuple(self.item(step.which + n, step.much + 7 * n) for n in range(1 + step.which % 3))
        status = {"complete": "completed", "cancel": "pending"}.get(step.action, "processing")
        carriage = Fraction(490, 100) if step.much % 4 else ZERO
        return Version(number, items, carriage, status, paid=step.action == "pay" or step.much % 2 == 1)

    def item(self, which: int, much: int) -> Item:
        sku, rate = ARTICLES[which % len(ARTICLES)]
        return Item(next(self.ids), sku, 1 + much % 5, Fraction(333 + 97 * much, 100), rate, (0, 0, 10)[much % 3])

    def changed(self, there: Version, step: Step) -> Version:
        """By the step's action, or the next one that a shop allows with an order that is so."""
        first = ACTIONS.index(step.action)
        for action in (*ACTIONS[first:], *ACTIONS[:first]):
            made = self.acted(there, replace(step, action=action))
            if made is not None:
                return made
        raise AssertionError(f"nothing can be done with {there}")

    def acted(self, there: Version, step: Step) -> Version | None:
        if step.action in AMENDMENTS:
            return there.amend(self.amended(there, step))
        if step.action in REFUNDS:
            refund = self.refund(there, step)
            return there.give_back(refund)
        if step.action.startswith("delete refund"):
            return there.take_again(step.which)
        simple: dict[str, Callable[[], Version | None]] = {
            "pay": there.pay,
            "complete": there.complete,
            "reopen": there.reopen,
            "cancel": there.cancel,
            "trash": there.trash,
            "restore": there.restore,
        }
        return simple[step.action]()

    def amended(self, there: Version, step: Step) -> list[Item]:
        items = list(there.items)
        n = step.which % len(items)
        if step.action == "add":
            return [*items, self.item(step.which, step.much)]
        if step.action == "remove":
            return items[:n] + items[n + 1 :]
        if step.action == "quantity":
            items[n] = replace(items[n], pieces=1 + step.much % 9)
        else:
            items[n] = replace(items[n], price=Fraction(step.much * 111, 100))
        return items

    def refund(self, there: Version, step: Step) -> Refund:
        id = next(self.ids)
        if step.action == "carriage":
            return there.of_carriage(id)
        if step.action == "amount":
            return there.of_amount(id, step.much)
        if step.action == "all":
            return there.of_all(id)
        return there.of_line(id, step.which, 1 + step.much % 3, taxed=step.action == "line")

    def send(self, document: dict[str, Any], how: str) -> None:
        """Where an order was deleted the shop tells its number alone."""
        delivery = (woo.php_json(document), "order.updated")
        if document["status"] == "trash":
            delivery = (woo.php_json({"id": document["id"]}), "order.deleted")
        if how == "late":
            self.late.append(delivery)
        for _ in range({"once": 1, "twice": 2}.get(how, 0)):
            self.arrive(delivery)

    def arrive(self, delivery: tuple[bytes, str]) -> None:
        self.world.deliver_raw(delivery[0], topic=delivery[1])

    # -- the product -----------------------------------------------------------------------------------------------

    @property
    def clock(self) -> SkippingClock:
        assert isinstance(self.world.clock, SkippingClock)
        return self.world.clock

    def poll(self) -> None:
        polling.poll(self.world.context, self.world.context.flows["shop-orders"])

    def work(self, step: Step) -> None:
        """Jobs run, perhaps with a fault at one of their writes."""
        if step.work == "none":
            return
        if step.work in FAULTS:
            names = ("create",) if step.work == "lost_line" else ("create", "revise", "update")
            script = [{"fault": step.work, "operation": name, "skip": step.at // 2} for name in names]
            self.world.faults(script=script)
        killer = killed(self.world, step.at, after=step.work == "killed after") if "killed" in step.work else None
        try:
            self.world.drain(fill=False)
        except Killed:
            pass
        finally:
            if killer is not None:
                killer()
            self.world.http.delete("/sandbox/faults")
        self.note()

    def note(self) -> None:
        """Tell the model which states jobs have carried to their end, and which perhaps."""
        for number, version in self.shop.current.items():
            jobs = self.world.ledger.jobs.list(search=f"shop/order/{number}")
            record = self.world.ledger.inbox.record(Key("shop", "order", str(number)))
            if not jobs or record is None or record.raw is None:
                continue
            told = self.shop.version_of(record.raw)
            before = self.may_be[number]
            after = seen(self.policy, before, told)
            if told.refunds != version.refunds:  # the shop is asked for them, and tells what is true by now
                after |= before | seen(self.policy, before, version)
            held = {world.held for world in after}
            sure = jobs[0].state in {"settled", "skipped"} or (jobs[0].state == "held" and held == {True})
            self.may_be[number] = after if sure else before | halfway(self.policy, before, told) | after

    def end(self) -> None:
        """Everything arrives, poll and nightly comparison heal what was lost, all jobs come to their end."""
        while self.late:
            self.arrive(self.late.pop())
        began = self.clock.now() - timedelta(days=1)
        for _ in range(2):
            self.clock.skip(5)
            self.poll()
            flow = self.world.context.flows["shop-orders"]
            reconcile.compare(self.world.context, flow, began, self.clock.now())
            self.world.finish()
            self.note()

    # -- the comparison --------------------------------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """What the CRM shows and no possible world of the model does. Of each order alone, then of the goods of all."""
        found, goods = [], [{}]  # type: ignore[var-annotated]
        orders, bills = self.world.records("SalesOrder"), self.world.records("Invoice")
        for number, version in self.shop.current.items():
            ends = seen(self.policy, self.may_be[number], version)
            shown, reason = self.shown(number, orders, bills)
            wanted = [expected(self.policy, world) for world in ends]
            right = [books for books in wanted if replace(books, off={}) == shown]
            if not right:
                found.append(f"{number} shows {shown} ({reason}) instead of one of {wanted}")
            found += self.unsettled(number)
            goods = [_sum(one, books.off) for one in goods for books in right or wanted]
        off = {sku: pieces for sku in dict(ARTICLES) if (pieces := self.off(sku))}
        if off not in goods:
            found.append(f"off the stock is {off} instead of one of {goods}")
        return found

    def unsettled(self, number: int) -> list[str]:
        """Each job has come to an end, and what is held waits for a person to judge a late cancellation, for nothing else."""
        jobs = self.world.ledger.jobs.list(search=f"shop/order/{number}")
        ends = {"settled", "skipped", "held"}
        return [
            f"{number} is {job.state} ({job.error_class}): {job.reason}"
            for job in jobs
            if job.state not in ends or (job.state == "held" and job.error_class != calling_off.LATE)
        ]

    def shown(self, number: int, orders: list[dict[str, Any]], bills: list[dict[str, Any]]) -> tuple[Books, str]:
        jobs = self.world.ledger.jobs.list(search=f"shop/order/{number}")
        here = [row for row in orders if row["subject"] == f"Order {number}"]
        if not here and not jobs:
            return Books(), "nobody told us of it"
        (job,) = jobs
        if not here and job.state == "skipped":
            return Books(), f"{job.state}: {job.reason}"
        if len(here) != 1:
            return Books(held=job.state == "held"), f"{len(here)} orders, {job.state}: {job.reason}"
        mine = [row for row in bills if row["salesorder_id"] == here[0]["id"]]
        living = [row for row in mine if row["invoicestatus"] != "Cancel"]
        first = [row for row in mine if row["subject"] == f"Invoice for order {number}"]
        books = Books(
            word=here[0]["sostatus"],
            total=_amount(here[0]),
            bills=len(first),
            living=sum(1 for row in living if row in first),
            net=sum((_amount(row) for row in living), ZERO),
            held=job.state == "held",
        )
        papers = [(row["subject"], row["invoicestatus"], float(row["hdnGrandTotal"])) for row in mine]
        return books, f"{job.state}: {job.reason}; {papers}"

    def off(self, sku: str) -> int:
        (row,) = [row for row in self.world.records("Products") if row["productcode"] == sku]
        pieces = BY_SKU[sku].stock - Fraction(str(row["qtyinstock"]))
        assert pieces.denominator == 1, row
        return int(pieces)


def _amount(row: dict[str, Any]) -> Fraction:
    """A total as the CRM reckons it, in binary floating point, to the ten-thousandth: it must be whole cents."""
    return Fraction(round(Fraction(str(row["hdnGrandTotal"])) * 10_000), 10_000)


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {sku: one.get(sku, 0) + other.get(sku, 0) for sku in {*one, *other}}


def killed(world: World, at: int, *, after: bool) -> Callable[[], None]:
    """Kill the worker at its write number `at`, before it is sent or after the CRM has done it; how this is ended."""
    http: Any = world.crm._http
    real, calls = http.write, count()

    def write(*args: Any, **kwargs: Any) -> Any:
        this = next(calls) == at
        if this and not after:
            raise Killed
        answer = real(*args, **kwargs)
        if this:
            raise Killed
        return answer

    http.write = write

    def end() -> None:
        http.write = real

    return end


def live(places: Places, policy: Policy, orders: int, steps: list[Step]) -> list[str]:
    """What is wrong at the end of these lives."""
    with places.world(policy) as world:
        life = Life(world, policy, places.face, orders)
        for step in steps:
            life.play(step)
        life.end()
        return life.wrong()

"""One attempt at one job: the guard that stands before every write, and `ensure`, the only way to create anything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from connectors.http import SHORT_WAIT, Call, Timeouts, urgent
from connectors.roles import Crm, Difference, Ref, Store, Tier, Written
from core.errors import Ambiguous, Held, LeaseLost, NotLive, OrderwireError, RetryLater
from core.settings import ConnectionSettings, FlowSettings
from ledger.jobs import Claim
from ledger.links import Intent, Link
from mapping.canonical import SalesOrder
from pipelines import doubles
from pipelines.context import Context

LANE_WITHIN = 20.0
"""Seconds that an order waits for its turn in a lane before its job goes back."""
STALE_MARK = 1.0
"""A mark `sent` older than this at the moment of writing is set again, so that the hold counts from the write."""


@dataclass(frozen=True, slots=True)
class Ensured:
    """A record that is there now."""

    ref: Ref
    created: bool = False
    changed: bool = False
    """It was looked at and, where needed, written."""
    word: str = ""
    """Of an order that was updated: where it stands over there now, in the CRM's own word; "" where nobody looked."""


def call_time(connection: ConnectionSettings) -> float:
    """Seconds that one call to this connection may take, with what its transport adds, and a little."""
    return Timeouts(connection.connect_timeout, connection.read_timeout).longest + 0.5


def budget_time(connection: ConnectionSettings) -> float:
    """Seconds that a call to this connection may wait for its budget before it is made."""
    return SHORT_WAIT if connection.rate is not None else 0.0


@contextlib.contextmanager
def write_lane(context: Context, target: str) -> Iterator[float]:
    """Alone with writes to this target, across threads and processes; the seconds that are left at least. Raises RetryLater
    when the turn does not come. Urgent: live orders may be waiting behind it, whatever its own rank is.
    """
    connection = context.connections[target]
    need = call_time(connection) + budget_time(connection)
    with context.ledger.lanes.hold(f"{target}/write", within=LANE_WITHIN, need=need), urgent():
        yield need


def longer(context: Context, target: str) -> float:
    """For whoever is alone with writes to this target: the turn begins anew; until when (monotonic). Raises RetryLater where
    another process has it.
    """
    return context.ledger.lanes.renew(f"{target}/write")


class Attempt:
    """A claimed job being carried out, whatever its pipeline, into the connection `to`. Implements the transport's `Guard`."""

    def __init__(self, context: Context, claim: Claim, to: str) -> None:
        self.context = context
        self.claim = claim
        self.ledger = context.ledger
        self.to = to
        self.calls: list[Call] = []
        self.warnings: list[str] = []
        self.order: SalesOrder | None = None
        """The order as it was read, once it was: what fails after that still has a number and an amount."""
        self.seen: SalesOrder | None = None
        """The same, also where its sums are wrong: only for showing and finding it."""
        self.began = time.monotonic()
        self.lease_ends = claim.asked_at + claim.lease
        self.lost = False
        self._lane_ends: float | None = None

    @property
    def crm(self) -> Crm:
        """Where it goes."""
        crm = self.context.crms.get(self.to)
        if crm is None:
            raise Held(
                f"The connection {self.to} is not in the configuration any more. "
                "What to do: put it back, or skip this job.",
                error_class="configuration",
            )
        return crm

    @property
    def hold(self) -> float:
        """Seconds that an unanswered write to the target waits before it is looked up, from the mark that precedes it."""
        connection = self.context.connections[self.to]
        return connection.hold + budget_time(connection)

    def warn(self, sentence: str, kind: str) -> None:
        """Something to look at that stops nobody; counted by `kind` and shown with the job."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
        self.context.counted("warnings", {"kind": kind, "flow": self.claim.flow})

    # -- the guard -------------------------------------------------------------------------------------------------

    def renewed(self, asked_at: float) -> None:
        """The lease was renewed by a request made at `asked_at` (monotonic)."""
        self.lease_ends = max(self.lease_ends, asked_at + self.claim.lease)

    @property
    def rehearsed(self) -> bool:
        """Nothing is written: the flow is not live (any more)."""
        return not self.ledger.flows.get(self.claim.flow).live

    def before_write(self, connection: str, timeout: float) -> None:
        """The flow must be live. Our lease must outlast the call; so must the lane's."""
        if self.rehearsed:
            raise NotLive(self.claim.flow, connection)
        left = self.lease_ends - time.monotonic()
        if self.lost or left < timeout:
            raise LeaseLost(
                "The time for this job ran out before a write. What to do: nothing, it runs again by itself.",
                detail=f"{connection}: {left:.1f} s left, {timeout:.1f} s needed",
            )
        if self._lane_ends is not None and self._lane_ends - time.monotonic() < timeout:
            raise LeaseLost(
                "The turn to write ran out. What to do: nothing, it runs again by itself.",
                detail=f"lane of {connection}",
            )

    def called(self, call: Call) -> None:
        """Keep the call for the attempt's record."""
        self.calls.append(call)

    @contextlib.contextmanager
    def lane(self, kind: str) -> Iterator[None]:
        """Alone, where the target cannot take writes of this kind in parallel."""
        if kind not in self.crm.capabilities().lane_kinds:
            yield
            return
        with write_lane(self.context, self.to) as need:
            # At least `need` seconds are left, and a renewal happens before half the lease is gone.
            self._lane_ends = time.monotonic() + max(need, self.claim.lease / 2)
            try:
                yield
            finally:
                self._lane_ends = None

    def judge(self, differences: Sequence[Difference]) -> None:
        """Warn of, or hold for, every field that the target did not keep as sent."""
        for difference in differences:
            self.warn(difference.message, "difference")
        held = [difference for difference in differences if difference.action == "hold"]
        if held:
            missing = any(difference.missing for difference in held)
            raise Held(
                held[0].message,
                error_class="missing reference" if missing else "validation/value",
                field=held[0].field,
            )

    @property
    def recheck(self) -> float:
        """Seconds after which a creation that was in doubt is looked at again."""
        return doubles.FIRST_LOOK * self.hold

    # -- writing ---------------------------------------------------------------------------------------------------

    def intend(self, kind: str, keys: Sequence[str], *, new_refs: str = "") -> Intent:
        """Commit the intent, or go back and wait for whoever is at it."""
        intent = self.ledger.links.intend(self.claim, self.to, kind, keys, new_refs=new_refs)
        if not intent.ours:
            raise RetryLater(
                "Another job is settling the same record. What to do: nothing, this one follows by itself.",
                seconds=intent.wait + 0.05,
                cause="busy",
                burns_attempt=False,
                waiting_for=intent.wait_for,
            )
        return intent

    def ensure(
        self,
        kind: str,
        key: str,
        *,
        payload_hash: str,
        find: Callable[[], Sequence[Ref]],
        create: Callable[[], Written],
        update: Callable[[Ref], Written] | None = None,
        known: Link | None = None,
    ) -> Ensured:
        """Make sure that the record exists over there, once, in this state.

        linked with the same hash -> nothing; linked -> update; otherwise intent committed -> found, or marked `sent`,
        created and linked. `known` spares the first look when the caller has the link already. Where creating is an upsert
        (tier A), nothing is looked up before it.
        """
        link = known if known is not None and known.linked else self.intend(kind, [key]).links[0]
        if link.linked:
            return self._bring_up_to_date(link, payload_hash, update, find)
        found = () if self.crm.creation(kind) is Tier.UPSERT else find()
        if found:
            return self._adopt(kind, link, found, payload_hash, update)
        written = self.written([link], kind, create)
        self._linked(link, written, payload_hash, origin="created")
        return Ensured(written.ref, created=True, changed=True)

    def _linked(self, link: Link, written: Written, payload_hash: str, *, origin: str = "") -> None:
        """Commit the link, then judge. A state that was not kept as sent is written again when the job is retried."""
        kept = not any(difference.action == "hold" for difference in written.differences)
        self.ledger.links.link(
            [link],
            written.ref.id,
            number=written.ref.number or link.remote_number,
            payload_hash=payload_hash if kept else "",
            origin=origin,
            claim=self.claim,
            recheck=self.recheck,
            shown=written.shown,
        )
        self.judge(written.differences)

    def _bring_up_to_date(
        self,
        link: Link,
        payload_hash: str,
        update: Callable[[Ref], Written] | None,
        look: Callable[[], Sequence[Ref]] | None = None,
    ) -> Ensured:
        """Update what is linked. Where the last update's fate is unknown, a look comes first (`look`): while the other
        side is out, reading fails without burning an attempt, and writing would burn one each time.
        """
        ref = Ref(link.remote_id, link.remote_number)
        if update is None or link.payload_hash == payload_hash:
            return Ensured(ref)
        if link.hold_left > 0:
            raise RetryLater(
                "An earlier change may still be on its way. What to do: nothing, this one follows by itself.",
                seconds=link.hold_left + 0.05,
                cause="busy",
                burns_attempt=False,
            )
        if not link.payload_hash and look is not None and ref.id not in {found.id for found in look()}:
            raise Held(
                f"{ref.number or ref.id} is not in {self.to} any more. What to do: see whether it was deleted there "
                "on purpose; then skip this job.",
                error_class="missing reference",
            )
        written = self._updated(link, ref, update)
        self._linked(link, replace(written, ref=ref), payload_hash)
        return Ensured(ref, changed=True)

    def _updated(self, link: Link, ref: Ref, update: Callable[[Ref], Written]) -> Written:
        """Mark the update before it is sent: one that lands after a crash must not undo what another worker writes next."""
        self.ledger.links.hold_update(self.claim, link, hold=self.hold)
        marked = time.monotonic()
        try:
            with self.lane(link.kind):
                if time.monotonic() - marked > STALE_MARK:
                    self.ledger.links.hold_update(self.claim, link, hold=self.hold)
                return update(ref)
        except Ambiguous as error:
            raise self._after(self.hold, error) from error
        except LeaseLost:
            raise
        except OrderwireError:
            self.ledger.links.unhold_update(self.claim, link)
            raise

    def _adopt(
        self, kind: str, link: Link, found: Sequence[Ref], payload_hash: str, update: Callable[[Ref], Written] | None
    ) -> Ensured:
        """It is there already: ours from before a crash, or a lost answer. What it holds is not known, so it is updated."""
        oldest = found[0]
        if len(found) > 1:
            double = doubles.condition(link, found)
            self.warn(double.message, "double")
            self.ledger.alerts.open(double)
            self.ledger.links.doubt([link])  # looked at again until one of them is gone
        self.ledger.links.link([link], oldest.id, number=oldest.number, payload_hash="", recheck=self.recheck)
        if update is None:
            return Ensured(oldest)
        adopted = replace(
            link, state="linked", remote_id=oldest.id, remote_number=oldest.number, payload_hash="", hold_left=0.0
        )
        return self._bring_up_to_date(adopted, payload_hash, update)

    def written(self, links: Sequence[Link], kind: str, write: Callable[[], Written]) -> Written:
        """Mark `sent`, write, and leave the mark standing where the fate of the write is unknown, or where the target refused
        a second record (tier B): the first one of ours is there then, and the next attempt finds it. Only where nothing
        keeps a second one from coming to be (tier C) the next attempt waits out the hold.
        """
        tier = self.crm.creation(kind)
        hold = self.hold if tier is Tier.NOTHING else 0.0
        self.ledger.links.mark_sent(self.claim, links, hold=hold)
        marked = time.monotonic()
        try:
            with self.lane(kind):
                if time.monotonic() - marked > STALE_MARK:
                    self.ledger.links.mark_sent(self.claim, links, hold=hold)
                return self._timed(links, write)
        except Ambiguous as error:
            raise self._after(hold, error) from error
        except LeaseLost:
            raise
        except OrderwireError as error:
            if error.error_class == "duplicate/conflict" and tier is Tier.REFUSES_DUPLICATES:
                raise self._refused(error) from error
            self.ledger.links.unsend(self.claim, links)
            raise

    def _timed(self, links: Sequence[Link], write: Callable[[], Written]) -> Written:
        """Write. One that took longer than the hold may have been taken for lost by somebody else meanwhile."""
        began = time.monotonic()
        written = write()
        if time.monotonic() - began > self.hold:
            self.ledger.links.doubt(links)
        return written

    def _refused(self, error: OrderwireError) -> RetryLater:
        return RetryLater(error.message, seconds=0.1, cause=error.error_class, detail=error.detail)

    def _after(self, hold: float, error: Ambiguous) -> RetryLater:
        return RetryLater(
            error.message,
            seconds=hold + 0.1,
            cause="ambiguous write",
            detail=error.detail,
            connection=error.connection,
        )


class Run(Attempt):
    """A claimed job of an order."""

    def __init__(self, context: Context, claim: Claim) -> None:
        self.flow: FlowSettings = context.flow(claim.flow)
        super().__init__(context, claim, self.flow.target)

    @property
    def store(self) -> Store:
        """Where the record comes from."""
        return self.context.store(self.claim.key.connection)

"""Files that an ERP drops, taken in one after another: compared with what was there, staged, and carried over in small parts.

A file that cannot go on stops those behind it: a number is missing, it is being written, or a person must decide. What has
been staged is carried on where it was interrupted; what was being read is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from connectors.roles import Dropped, Erp, Feed, NotWhole, Unusable
from core.errors import ConfigurationProblem, LeaseLost
from core.keys import Change
from ledger import Ledger
from ledger.alerts import Condition
from ledger.feeds import PASSED, FeedFile, Met, Named
from pipelines.context import Context
from pipelines.feedfile import Means, Stopped, Taking
from pipelines.feedturns import Turns, named

log = structlog.get_logger(__name__)

PATIENCE: Final = timedelta(minutes=15)
"""Older than that, a file that is not whole is not being written any more: a person is told."""
_LATE: Final = (
    "It came when files behind it had been read, so it was not. What to do: if what it said is missing, have a FULL dropped; "
    "nothing else can tell what of it still holds."
)
_NOT_READ: Final = "Files of this kind are not read by this connection; its number counts."


def never() -> bool:
    """Nobody wants us to stop."""
    return False


def poll(context: Context, source: str, stopping: Callable[[], bool] = never) -> int:
    """Take in every file that is next in its row. How many rows were new, other or gone."""

    def accept(changes: Sequence[Change]) -> None:
        context.ledger.inbox.accept(changes, context.routes, via="poll", fetchable=False)

    return Round(Means(context.ledger, feed_of(context.erp(source)), accept, stopping)).go()


def feed_of(erp: Erp | Feed) -> Feed:
    """The ERP as a feed. Raises ConfigurationProblem where it is none."""
    if isinstance(erp, Feed):
        return erp
    raise ConfigurationProblem(f"{erp.name} drops no files. What to do: name a connection whose connector is feed.")


@dataclass(slots=True)
class Round:
    """One look at a place."""

    means: Means
    stops: list[str] = field(default_factory=list)
    """Sentences for a person: why files wait that do not go on by themselves."""
    carried: int = 0

    def go(self) -> int:
        """Take in what can be. How many rows were carried over."""
        try:
            self._go_on()
            self._look()
        except (Stopped, LeaseLost) as why:
            log.info("a feed is left for later", connection=self._name, why=type(why).__name__)
            return self.carried
        self._tell()
        return self.carried

    @property
    def _name(self) -> str:
        return self.means.feed.name

    def _go_on(self) -> None:
        """What is staged is carried over first, whether or not its file still lies there."""
        feeds = self.means.ledger.feeds
        for file in feeds.files(self._name, states=("switching",)):
            self._run(Taking(self.means, feeds.begin(self._name, file.file)))

    def _look(self) -> None:
        met = self.means.ledger.feeds.met(self._name)
        turns = Turns(self.means.ledger, self.means.feed)
        stopped: set[tuple[str, str]] = set()
        for file in self.means.feed.dropped():
            row = turns.row_of(file)
            if row not in stopped and not self._one(file, met.get(file.name), turns):
                stopped.add(row)

    def _one(self, file: Dropped, met: Met | None, turns: Turns) -> bool:
        """Whether the files behind it may go on."""
        name = named(file, turns.number_of(file, met))
        if met is not None and met.state in PASSED and (file.sequence is not None or met.is_still(name)):
            return True
        turn = turns.of(file)
        if turn == "before":
            return True
        if turn == "late":
            self._pass_over(name, _LATE)
            return True
        if turn:
            self.stops.append(turn)
            return False
        if file.kind is None:
            self._pass_over(name, _NOT_READ)
            turns.passed(file)
            return True
        if self._must_wait(file, name, met) or not self._take(file, name, met):
            return False
        turns.passed(file)
        return True

    def _pass_over(self, name: Named, message: str) -> None:
        self.means.ledger.feeds.begin(self._name, name, state="skipped", message=message)

    def _must_wait(self, file: Dropped, name: Named, met: Met | None) -> bool:
        """It is being written, or a person has not decided yet."""
        if met is None or met.state != "held" or not met.is_still(name):
            return bool(file.waits)
        held = self.means.ledger.feeds.file(self._name, file.name, name.sequence)
        self.stops.append(held.message if held is not None else "")
        return True

    def _take(self, file: Dropped, name: Named, met: Met | None) -> bool:
        # A person's word is for the file as it was then.
        by = met.decided_by if met is not None and met.state in {"accepted", "reading"} and met.is_still(name) else ""
        work = self.means.ledger.feeds.begin(self._name, name, decided_by=by)
        return self._run(Taking(self.means, work, file=file, accepted=bool(by)))

    def _run(self, taking: Taking) -> bool:
        """Whether it is done. Where a person must decide, why."""
        try:
            why = taking.run()
        except NotWhole as error:
            if self.means.ledger.clock.now() - taking.file.modified <= PATIENCE:
                taking.wait(f"It waits. {error}")
                return False
            why = taking.hold(
                f"{taking.file.name} is not whole. {error} What to do: have it dropped again; if it is complete as it is, "
                f"`orderwire feed accept {taking.file.name}`."
            )
        except Unusable as error:
            why = taking.hold(
                f"{taking.file.name}: {error} What to do: have a right one dropped under the same name, or "
                f"`orderwire feed refuse {taking.file.name}`."
            )
        finally:
            self.carried += taking.carried
        if why:
            self.stops.append(why)
        return not why

    def _tell(self) -> None:
        alerts = self.means.ledger.alerts
        cause = f"feed/{self._name}"
        if not self.stops:
            alerts.close(cause, "The files go on.")
            return
        title = f"Files of {self._name} wait"
        alerts.open(Condition(cause, title, " ".join(self.stops), facts={"connection": self._name}))


def skip(ledger: Ledger, feed: Feed, number: int, *, series: str = "", by: str) -> FeedFile:
    """Pass over a number that will not come: the next one alone. Raises ConfigurationProblem where it is not the next."""
    files = ledger.feeds.files(feed.name, limit=1)
    source = files[0].file.source if files else ""
    apart = feed.numbering == "series" or not source
    if apart and not series:
        raise ConfigurationProblem("Each kind of file has numbers of its own here. What to do: name it with --series.")
    last = ledger.feeds.last(feed.name, source, series if apart else "")
    if last is None or number != last + 1:
        said = f"is {last + 1}" if last is not None else "is the first that comes"
        raise ConfigurationProblem(
            f"Only the number that is next can be passed over; it {said}. What to do: see `orderwire feed status {feed.name}`."
        )
    lying = next(
        (one for one in feed.dropped() if one.sequence == number and (not apart or one.series == series)), None
    )
    if lying is not None:
        raise ConfigurationProblem(
            f"{lying.name} has that number, and lies there. What to do: if it is held, `orderwire feed refuse {lying.name}`."
        )
    name = f"{source or series} {number:07d}"
    now = ledger.clock.now()
    missing = Named(name, source, number, series or "", "", "NET", 0, now)
    return ledger.feeds.skip(feed.name, missing, by=by, message="It never came; a person passed over its number.")


__all__ = ["Round", "feed_of", "poll", "skip"]

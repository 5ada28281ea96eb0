"""What people do: the services behind every button, console command and API call.

Each takes who does it (`actor`), refuses what makes no sense in the present state, writes the audit, and rings the bell so
that what became due runs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, Self, cast

from connectors.roles import Finding
from core.errors import ConfigurationProblem, OrderwireError
from core.money import show
from ledger import Ledger
from ledger.flows import REHEARSED, FlowState, Mode
from ledger.jobs import JobView
from ledger.problems import OUTAGE, Problem
from ledger.runs import RunView
from ledger.search import LARGEST_ID, Member, Query, money_of
from pipelines import bulk, golive
from pipelines.context import Context

FOR_EVER: Final = 100 * 365 * 86_400.0
"""Seconds of a pause that somebody has to end."""
LONGEST_REASON: Final = 500
RESTING: Final = frozenset(
    {"poll", "parties", "post-check", "compare", "gaps", "webhooks", "silence", "telling", "heartbeat"}
)
"""Kinds of schedules that may be paused: those that ask or tell somebody outside, or look for what is odd."""


class Action(StrEnum):
    """What can be done with one job."""

    RETRY = "retry"
    SKIP = "skip"
    EDIT = "edit"
    DRY_RUN = "dry-run"


class Refused(OrderwireError):
    """It makes no sense in the present state, or the request is incomplete: nothing was done."""

    error_class = "refused"


class Unknown(OrderwireError):
    """There is no such thing."""

    error_class = "unknown"


class Notes(Protocol):
    """Where it is written down who did what."""

    def note(self, actor: str, action: str, subject: str, facts: Mapping[str, Any]) -> object:
        """Append one row."""
        ...


_BY_STATE: Final[Mapping[str, frozenset[Action]]] = {
    "waiting": frozenset({Action.RETRY, Action.SKIP, Action.DRY_RUN}),
    "running": frozenset(),
    "settled": frozenset({Action.RETRY, Action.DRY_RUN}),
    "held": frozenset({Action.RETRY, Action.SKIP, Action.EDIT, Action.DRY_RUN}),
    "skipped": frozenset({Action.RETRY, Action.DRY_RUN}),
}
_FEWER: Final[Mapping[str, frozenset[Action]]] = {
    "delivery": frozenset({Action.SKIP}),
    "mail": frozenset({Action.RETRY, Action.SKIP}),
    "invoice": frozenset({Action.RETRY, Action.SKIP}),
}
"""By the kind of the record. A delivery that cannot be read as an order stays unreadable however often it is tried; a letter is
what it is, and an invoice what the ERP wrote."""


def actions_for(job: JobView) -> frozenset[Action]:
    """What makes sense for this job as it is now (pure). Pages offer these, the services refuse everything else."""
    possible = _BY_STATE.get(job.state, frozenset())
    if (fewer := _FEWER.get(f"/{job.key}/".split("/")[2])) is not None:
        return possible & fewer
    if job.state == "waiting" and job.error_class and job.error_class != REHEARSED:
        return possible | {Action.EDIT}  # it failed and is tried again: its data may be why
    return possible


class Desk:
    """The services. `connections` and `flows`: the configured names; None where the caller has checked them already."""

    def __init__(
        self,
        ledger: Ledger,
        audit: Notes,
        *,
        bell: Callable[[], object] = lambda: None,
        connections: Collection[str] | None = None,
        flows: Collection[str] | None = None,
    ) -> None:
        self.ledger = ledger
        self.audit = audit
        self.bell = bell
        self._connections = connections
        self._flows = flows

    @classmethod
    def of(cls, context: Context, audit: Notes, bell: Callable[[], object]) -> Self:
        """Over what a process has."""
        return cls(
            context.ledger, audit, bell=bell, connections=context.connections.keys(), flows=context.every_flow.keys()
        )

    # -- one job ---------------------------------------------------------------------------------------------------

    def job(self, job_id: int) -> JobView:
        """The job as it is. Raises Unknown."""
        view = self.ledger.jobs.get(job_id) if 0 < job_id <= LARGEST_ID else None
        if view is None:
            raise Unknown(f"There is no job {job_id}. What to do: look for its order's number.")
        return view

    def allowed(self, job_id: int, action: Action) -> JobView:
        """The job, if this may be done with it now. Raises Unknown or Refused."""
        view = self.job(job_id)
        if action not in actions_for(view):
            raise _changed(view)
        return view

    def retry(self, job_id: int, *, actor: str) -> JobView:
        """Run it again now, from the newest state of its record."""
        before = self.allowed(job_id, Action.RETRY)
        if not self.ledger.jobs.retry(job_id):
            raise _changed(self.job(job_id))
        self.audit.note(actor, "job.retry", f"job/{job_id}", _facts(before))
        self.bell()
        return self.job(job_id)

    def skip(self, job_id: int, reason: str, *, actor: str) -> JobView:
        """Set it aside for good, with the reason that others will read. A newer state of the record wakes it again."""
        why = required(reason)
        before = self.allowed(job_id, Action.SKIP)
        if not self.ledger.jobs.skip(job_id, why):
            raise _changed(self.job(job_id))
        self.audit.note(actor, "job.skip", f"job/{job_id}", {**_facts(before), "reason": why})
        return self.job(job_id)

    # -- many jobs -------------------------------------------------------------------------------------------------

    def retry_all(
        self, name: str, members: Sequence[Member], *, actor: str, flow: str = "", problem: str = ""
    ) -> RunView:
        """Retry all of these, a few at a time: a bulk action with a name, progress and a stop. Raises Refused for none.
        `problem`: the fingerprint, where it is a problem's.
        """
        if not members:
            raise Refused("Nothing matches any more, so nothing was done. What to do: nothing.")
        run = bulk.begin(self.ledger, name, members, by=actor, flow=flow, problem=problem)
        money = {currency: show(amount, currency) for currency, amount in money_of(members).items()}
        self.audit.note(
            actor, "bulk.retry", f"bulk/{run.id}", {"name": name, "jobs": len(members), "amounts": list(money.values())}
        )
        bulk.start(self.ledger, run.id)
        self.ledger.schedules.run_now(bulk.SCHEDULE)
        self.bell()
        return self.bulk(run.id)

    def retry_problem(self, problem: Problem, members: Sequence[Member], *, actor: str) -> RunView:
        """Retry all jobs of a problem; a connection that is out is tried at once. Raises Refused for none."""
        run = self.retry_all(problem_name(problem), members, actor=actor, flow=problem.flow, problem=problem.id)
        if problem.error_class == OUTAGE:
            self.try_connection(problem.target, actor=actor)
        return run

    def bulk(self, run_id: int) -> RunView:
        """A bulk action as it stands. Raises Unknown."""
        run = self.ledger.runs.get(run_id) if 0 < run_id <= LARGEST_ID else None
        if run is None or run.kind not in bulk.KINDS:
            raise Unknown(f"There is no bulk action {run_id}. What to do: see the audit.")
        return run

    def stop_bulk(self, run_id: int, *, actor: str) -> RunView:
        """No more of them. What was retried or skipped already stays so."""
        run = self.bulk(run_id)
        if not bulk.stop(self.ledger, run):
            raise Refused(f"This bulk action is {self.bulk(run_id).state} already. What to do: nothing.")
        self.audit.note(actor, "bulk.stop", f"bulk/{run_id}", {"name": run.options.get("name", ""), **run.counts})
        return self.bulk(run_id)

    # -- connections, schedules, flows -----------------------------------------------------------------------------

    def pause_connection(self, name: str, seconds: float | None = None, *, actor: str, reason: str = "") -> None:
        """Nothing is carried to it for so long (None: until somebody resumes it). Deliveries are taken in as ever."""
        self._known_connection(name)
        self.ledger.states.pause(name, _lasting(seconds))
        facts = {"seconds": seconds, "reason": reason.strip()[:LONGEST_REASON]}
        self.audit.note(actor, "connection.pause", f"connection/{name}", facts)

    def resume_connection(self, name: str, *, actor: str) -> None:
        """End a pause, and try at once a connection that is out."""
        self._known_connection(name)
        self.ledger.states.pause(name, None)
        self.ledger.schedules.ask_again(name)
        self.ledger.states.try_now(name)
        self.audit.note(actor, "connection.resume", f"connection/{name}", {})
        self.bell()

    def try_connection(self, name: str, *, actor: str) -> None:
        """Do not wait for the next probe of a connection that is out."""
        self._known_connection(name)
        self.ledger.states.try_now(name)
        self.audit.note(actor, "connection.try", f"connection/{name}", {})
        self.bell()

    def test_connection(self, context: Context, name: str, *, actor: str) -> list[Finding]:
        """Ask it whether address, credentials and rights are right: its own findings. Writes nothing over there."""
        self._known_connection(name)
        found = look(context, name)
        problems = [one.subject for one in found if one.level == "problem"]
        self.audit.note(actor, "connection.test", f"connection/{name}", {"problems": problems} if problems else {})
        return found

    def ask_connection(self, name: str, polls: Collection[str], *, actor: str) -> list[str]:
        """Everything that asks it by the clock (of these schedules) is due now; which that is. Raises Refused for nothing, and
        while it is paused.
        """
        self._known_connection(name)
        self._require_awake((name,))
        known = {view.name for view in self.ledger.figures.schedules()}
        due = [one for one in polls if one in known]
        if not due:
            raise Refused(
                f"Nothing asks {name} by the clock yet. What to do: see that a worker is running, and try again."
            )
        for one in due:
            self.run_schedule(one, actor=actor)
        return due

    def run_schedule(self, name: str, *, actor: str, asks: Collection[str] = ()) -> None:
        """Due at once; it begins within a second or so, in whichever process is first. Raises Refused while it is paused, or one
        of the connections that it asks.
        """
        if self._paused(name):
            raise Refused(f"{name} is paused. What to do: resume it, then it runs at once.")
        self._require_awake(asks)
        self.ledger.schedules.run_now(name)
        self.audit.note(actor, "schedule.run", f"schedule/{name}", {})
        self.bell()

    def pause_schedule(self, name: str, seconds: float | None = None, *, actor: str, reason: str = "") -> None:
        """It does not begin for so long (None: until somebody resumes it). Raises Refused for what Orderwire itself needs."""
        self._paused(name)
        if not may_rest(name):
            raise Refused(
                f"{name} keeps Orderwire itself going and is never paused. What to do: pause a connection or a flow."
            )
        why = reason.strip()[:LONGEST_REASON]
        self.ledger.schedules.pause(name, _lasting(seconds), by=actor, why=why)
        self.audit.note(actor, "schedule.pause", f"schedule/{name}", {"seconds": seconds, "reason": why})

    def resume_schedule(self, name: str, *, actor: str) -> None:
        """The pause ends; what should have run meanwhile runs once, now. Raises Refused where it is not paused."""
        if not self._paused(name):
            raise Refused(f"{name} is not paused. What to do: nothing.")
        self.ledger.schedules.resume(name)
        self.audit.note(actor, "schedule.resume", f"schedule/{name}", {})
        self.bell()

    def _require_awake(self, names: Collection[str]) -> None:
        paused = self.ledger.states.paused_among(names)
        if paused is not None:
            raise Refused(
                f"{paused.connection} is paused, so nothing asks it. What to do: resume it, then what is due begins at once."
            )

    def _paused(self, name: str) -> bool:
        """Whether this schedule is paused now. Raises Unknown."""
        for one in self.ledger.figures.schedules():
            if one.name == name:
                return one.paused_until is not None and one.paused_until > self.ledger.clock.now()
        raise Unknown(f"There is no schedule {name!r}. What to do: see the list of schedules.")

    def set_flow(
        self,
        name: str,
        mode: Mode,
        start: datetime | None = None,
        *,
        actor: str,
        note: str = "",
        any_age: bool = False,
    ) -> FlowState:
        """Take a flow live (from `start` on; None keeps the start it has), off live, or pause it. Going live for the first
        time needs a start, or `any_age` said in so many words. Raises what `golive` raises.
        """
        if self._flows is not None and name not in self._flows:
            raise Unknown(f"There is no flow named {name!r}. What to do: see the configuration.")
        before = self.ledger.flows.get(name)
        self._change_flow(before, mode, None if any_age else start, any_age=any_age, actor=actor, note=note)
        after = self.ledger.flows.get(name)
        self.audit.note(actor, "flow.set", f"flow/{name}", flow_facts(before, after, note))
        self.bell()
        return after

    def change_flow(
        self,
        name: str,
        mode: Mode,
        start: datetime | None = None,
        *,
        actor: str,
        note: str = "",
        any_age: bool = False,
    ) -> FlowState:
        """The same for pages and programs: only what makes sense in the present mode. Raises Refused besides."""
        state = self.ledger.flows.get(name)
        if mode not in changes_for(state):
            raise Refused(
                f"{name} is {state.mode}, so this cannot be done now. What to do: look at the flows again; somebody may have "
                "changed it."
            )
        if mode == "live" and start is not None:
            golive.require_later(state, start)
        return self.set_flow(name, mode, start, actor=actor, note=note, any_age=any_age)

    def _change_flow(
        self, before: FlowState, mode: Mode, start: datetime | None, *, any_age: bool, actor: str, note: str
    ) -> None:
        if mode == "paused":
            golive.pause(self.ledger, before.flow, by=actor, note=note)
        elif mode == "rehearse":
            golive.take_off(self.ledger, before.flow, by=actor, note=note)
        elif start is not None or any_age:
            golive.go_live(self.ledger, before.flow, start, by=actor, note=note)
        else:
            golive.resume(self.ledger, before.flow, by=actor, note=note)

    def _known_connection(self, name: str) -> None:
        if self._connections is not None and name not in self._connections:
            raise Unknown(f"There is no connection named {name!r}. What to do: see the configuration.")


def changes_for(state: FlowState) -> tuple[Mode, ...]:
    """Which modes make sense next (pure). Pages offer these, the services refuse everything else."""
    if state.changed_at is None:
        return ("live",)
    return {
        "live": cast("tuple[Mode, ...]", ("paused", "rehearse")),
        "paused": cast("tuple[Mode, ...]", ("live", "rehearse")),
        "rehearse": cast("tuple[Mode, ...]", ("live",)),
    }[state.mode]


def flow_facts(before: FlowState, after: FlowState, note: str) -> dict[str, str]:
    """What the audit keeps of a change of a flow (pure)."""
    facts = {"from": before.mode, "to": after.mode, "note": note.strip()[:LONGEST_REASON]}
    if after.start:
        facts["start"] = after.start.isoformat()
    return facts


def may_rest(schedule: str) -> bool:
    """Whether people may pause it (pure)."""
    return schedule.partition("/")[0] in RESTING


def retryable(query: Query) -> bool:
    """Whether retrying all that match could mean anything (pure): something is asked for, and it may have failed."""
    return query.narrowed and query.state in {"", "held", "waiting"}


def problem_name(problem: Problem) -> str:
    """How its bulk action is called (pure)."""
    where = problem.target if problem.error_class == OUTAGE else problem.flow
    return f"{where}: {problem.error_class}"


def look(context: Context, name: str) -> list[Finding]:
    """What a connector's own check finds; what stops the check is a finding as well. Writes nothing over there."""
    connector = context.stores.get(name) or context.crms.get(name) or context.notifiers.get(name)
    check = getattr(connector, "check", None)
    if check is None:
        return [Finding("connection", "warning", "No flow uses this connection, so there is nothing to test.")]
    try:
        return list(check())
    except OrderwireError as error:
        message, _, advice = error.message.partition(" What to do: ")
        return [Finding("connection", "problem", message, advice)]


def required(reason: str) -> str:
    """The reason, cut to what is kept. Raises ConfigurationProblem where there is none."""
    why = " ".join(reason.split())[:LONGEST_REASON]
    if not why:
        raise ConfigurationProblem("A reason is missing. What to do: say why; others will read it.")
    return why


def _lasting(seconds: float | None) -> float:
    """How long a pause lasts for the ledger; None: until somebody ends it. Raises Refused."""
    if seconds is not None and not 0 < seconds <= FOR_EVER:
        raise Refused("A pause lasts longer than no time. What to do: give a number of minutes or hours.")
    return FOR_EVER if seconds is None else seconds


def _changed(view: JobView) -> Refused:
    return Refused(
        f"Job {view.id} is {view.state} and cannot be changed now. What to do: look at it again; it may have moved on."
    )


def _facts(view: JobView) -> dict[str, Any]:
    """What the job was like when somebody did something with it; no personal data."""
    return {
        name: value
        for name, value in {
            "number": view.number,
            "record": view.key,
            "flow": view.flow,
            "was": view.state,
            "error_class": view.error_class,
        }.items()
        if value
    }

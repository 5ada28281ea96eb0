"""*This record is that record over there*: intended, sent, linked.

An intent is committed before we look, the mark `sent` before we write, the link right after. What a crash or a lost answer
leaves `sent` waits out a hold, since the outside system may commit late; then a look-up decides. Even so it may be later
than any hold: such links are looked at again (`check_at`) after they were linked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros
from core.errors import LeaseLost
from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.jobs import BUSY_WAIT, Claim
from ledger.shown import ShownRows

LinkState = Literal["intended", "sent", "linked"]


@dataclass(frozen=True, slots=True)
class Link:
    """One link. `refs` holds further ids of the same fact (a customer's account and contact)."""

    id: int
    target: str
    kind: str
    key: str
    state: str
    remote_id: str
    remote_number: str
    refs: Mapping[str, str]
    payload_hash: str
    job_id: int | None
    token: int
    hold_left: float
    """Seconds until a `sent` may be looked up; 0 or less: now."""
    origin: str = ""
    """created, found (by our external id), adopted (it was there before us); "" from before this was noted."""
    checks: int = 0
    """How often it was looked up since, because a write's fate had been unknown."""
    created_at: datetime | None = None
    """When it was intended first; None where it is only invented."""
    updated_at: datetime | None = None

    @property
    def linked(self) -> bool:
        """The other record is known."""
        return self.state == "linked"


@dataclass(frozen=True, slots=True)
class Intent:
    """The links that one undertaking stands for (one, or all identities of a customer).

    ours: we may go on. Otherwise `wait_for` is a link in somebody else's hands and `wait` the seconds to wait at most.
    """

    links: tuple[Link, ...]
    ours: bool
    wait: float = 0.0
    wait_for: int | None = None


class Links:
    """Intents, marks and links, each a short transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._shown = ShownRows(db)
        self._hold_left = sa.case((t.link.c.hold_until.is_(None), 0), else_=t.link.c.hold_until - db.now).label(
            "hold_left"
        )
        by_keys = sa.select(t.link, self._hold_left).where(
            t.link.c.target == sa.bindparam("b_target"),
            t.link.c.kind == sa.bindparam("b_kind"),
            t.link.c.key.in_(sa.bindparam("b_keys", expanding=True)),
        )
        self._by_keys = db.prepare(by_keys)
        self._locked_by_keys = db.prepare(db.lock_rows(by_keys).order_by(t.link.c.key))
        self._insert = db.prepare(
            db.insert(t.link)
            .on_conflict_do_nothing(index_elements=["target", "kind", "key"])
            .returning(t.link, sa.literal_column("0").label("hold_left"))  # what is new has not been sent
        )
        job_alive = (
            sa.select(t.job.c.id)
            .where(
                t.job.c.id == sa.bindparam("b_job"),
                t.job.c.token == sa.bindparam("b_token"),
                t.job.c.state == "running",
                t.job.c.lease_until > db.now,
            )
            .exists()
        )
        self._mark_sent = db.prepare(
            sa.update(t.link)
            .where(
                t.link.c.id.in_(sa.bindparam("b_ids", expanding=True)),
                t.link.c.job_id == sa.bindparam("b_job"),
                t.link.c.token == sa.bindparam("b_token"),
                t.link.c.state != "linked",
                job_alive,
            )
            .values(
                state="sent",
                sent_at=db.now,
                hold_until=db.now + sa.bindparam("b_hold", type_=sa.BigInteger),
                updated_at=db.now,
            )
            .returning(t.link.c.id)
        )
        self._mark_update = db.prepare(
            sa.update(t.link)
            .where(
                t.link.c.id.in_(sa.bindparam("b_ids", expanding=True)),
                (t.link.c.token <= sa.bindparam("b_token")) | (t.link.c.job_id != sa.bindparam("b_job")),
                job_alive,
            )
            .values(
                payload_hash="",
                hold_until=db.now + sa.bindparam("b_hold", type_=sa.BigInteger),
                job_id=sa.bindparam("b_job"),
                token=sa.bindparam("b_token"),
                updated_at=db.now,
            )
            .returning(t.link.c.id)
        )
        # What is there is true whoever says so; in which state it is, only the job's present owner knows.
        sure = (sa.bindparam("b_job", type_=sa.BigInteger) == 0) | job_alive
        self._set_linked = db.prepare(
            sa.update(t.link)
            .where(t.link.c.id.in_(sa.bindparam("b_ids", expanding=True)))
            .values(
                state="linked",
                remote_id=sa.bindparam("b_remote"),
                remote_number=sa.bindparam("b_number"),
                refs=sa.case((sa.bindparam("b_refs") != "", sa.bindparam("b_refs")), else_=t.link.c.refs),
                payload_hash=sa.case((sure, sa.bindparam("b_hash")), else_=""),
                hold_until=sa.case((sure, sa.null()), else_=t.link.c.hold_until),
                # Only what was in doubt is looked at again; how long after, counts from now.
                check_at=sa.case(
                    (t.link.c.check_at.is_(None), sa.null()),
                    else_=db.now + sa.bindparam("b_check", type_=sa.BigInteger),
                ),
                checks=0,
                origin=sa.case((sa.bindparam("b_origin") != "", sa.bindparam("b_origin")), else_=t.link.c.origin),
                updated_at=db.now,
            )
        )
        self._sure = db.prepare(sa.select(sa.literal(1)).where(sure))
        self._wake = db.prepare(
            sa.update(t.job)
            .where(t.job.c.waiting_for.in_(sa.bindparam("b_ids", expanding=True)), t.job.c.state == "waiting")
            .values(due_at=db.now, waiting_for=None)
        )

    # -- looking ---------------------------------------------------------------------------------------------------

    def get(self, target: str, kind: str, key: str) -> Link | None:
        """One link, whatever its state."""
        found = self.find(target, kind, [key])
        return found.get(key)

    def find(self, target: str, kind: str, keys: Sequence[str]) -> dict[str, Link]:
        """Links by key."""
        rows = self.db.rows(self._by_keys, {"b_target": target, "b_kind": kind, "b_keys": list(keys)})
        return {row.key: _link(row) for row in rows}

    def of_key(self, key: str) -> list[Link]:
        """Every link of one record, over all targets."""
        rows = self.db.rows(sa.select(t.link, self._hold_left).where(t.link.c.key == key).order_by(t.link.c.id))
        return [_link(row) for row in rows]

    # -- the protocol ----------------------------------------------------------------------------------------------

    def intend(self, claim: Claim, target: str, kind: str, keys: Sequence[str], *, new_refs: str = "") -> Intent:
        """Commit what we are about to ensure, before anything is looked up or written.

        With several keys (a customer's identities) either all free ones become ours or we wait: whoever comes first
        does the work for all of them.
        """
        ordered = sorted(dict.fromkeys(keys))
        if len(ordered) == 1:
            # The usual case, a new order: one statement, and nobody else's row was touched.
            rows = self.db.execute(self._insert, self._new(claim, target, kind, ordered[0], new_refs))
            if rows:
                return Intent((_link(rows[0]),), ours=True)
        return self.db.transact(lambda connection: self._intend(connection, claim, target, kind, ordered, new_refs))

    def _intend(
        self, connection: Connection, claim: Claim, target: str, kind: str, ordered: list[str], new_refs: str
    ) -> Intent:
        fresh = {
            key: self._insert.on(connection, self._new(claim, target, kind, key, new_refs)).first() is not None
            for key in ordered
        }
        rows = self._locked_by_keys.on(connection, {"b_target": target, "b_kind": kind, "b_keys": ordered}).rows
        links = {row.key: _link(row) for row in rows}
        others = [link for key, link in links.items() if not fresh[key] and not link.linked]
        for link in others:
            wait = self._foreign(connection, link, claim)
            if wait is not None:
                # What we had just created for ourselves would block the other one: take it back.
                self._drop(connection, [links[key].id for key in ordered if fresh[key]])
                return Intent(tuple(links.values()), ours=False, wait=wait, wait_for=link.id)
        self._take(connection, [link.id for link in others], claim)
        return Intent(tuple(links[key] for key in ordered), ours=True)

    def _new(self, claim: Claim, target: str, kind: str, key: str, refs: str) -> dict[str, Any]:
        now = self.db.micros()
        return {
            "target": target,
            "kind": kind,
            "key": key,
            "state": "intended",
            "refs": refs,
            "job_id": claim.id,
            "token": claim.token,
            "created_at": now,
            "updated_at": now,
        }

    def _foreign(self, connection: Connection, link: Link, claim: Claim) -> float | None:
        """Seconds to wait when an unfinished link is not ours to take; None when we may."""
        if link.state == "sent" and link.hold_left > 0:
            # Nobody, not even the job that sent it, looks before the hold is over.
            return link.hold_left
        if link.job_id == claim.id:
            if link.token > claim.token:
                raise LeaseLost(
                    "The job was given to another worker meanwhile. What to do: nothing, the other one carries on.",
                    detail=f"intend with token {claim.token}, the other has {link.token}",
                )
            return None
        owner = connection.execute(
            sa.select(t.job.c.id).where(
                t.job.c.id == link.job_id,
                t.job.c.token == link.token,
                t.job.c.state == "running",
                t.job.c.lease_until > self.db.now,
            )
        ).first()
        return BUSY_WAIT if owner is not None else None

    def _take(self, connection: Connection, ids: Sequence[int], claim: Claim) -> None:
        if ids:
            connection.execute(
                sa.update(t.link)
                .where(t.link.c.id.in_(ids))
                .values(
                    # What another attempt left `sent` is in doubt from now on, whichever way it ends.
                    check_at=sa.case(
                        ((t.link.c.state == "sent") & (t.link.c.token != claim.token), self.db.now),
                        else_=t.link.c.check_at,
                    ),
                    job_id=claim.id,
                    token=claim.token,
                    updated_at=self.db.now,
                )
            )

    @staticmethod
    def _drop(connection: Connection, ids: Sequence[int]) -> None:
        if ids:
            connection.execute(sa.delete(t.link).where(t.link.c.id.in_(ids), t.link.c.state == "intended"))

    def mark_sent(self, claim: Claim, links: Sequence[Link], *, hold: float) -> None:
        """Write down that we are about to write over there. Raises LeaseLost when job or link are not ours any more."""
        ids = [link.id for link in links if not link.linked]
        done = self.db.execute(
            self._mark_sent, {"b_ids": ids, "b_job": claim.id, "b_token": claim.token, "b_hold": int(hold * SECOND)}
        )
        if len(done) != len(ids):
            raise LeaseLost(
                "The job was given to another worker meanwhile. What to do: nothing, the other one carries on.",
                detail=f"mark_sent {len(done)} of {len(ids)}",
            )

    def unsend(self, claim: Claim, links: Sequence[Link]) -> None:
        """The write was certainly refused: nothing arrived, so nobody has to wait for it."""
        ids = [link.id for link in links]
        unsent = (
            sa.update(t.link)
            .where(
                t.link.c.id.in_(ids),
                t.link.c.token == claim.token,
                t.link.c.job_id == claim.id,
                t.link.c.state == "sent",
            )
            .values(state="intended", sent_at=None, hold_until=None, updated_at=self.db.now)
        )

        def work(connection: Connection) -> None:
            connection.execute(unsent)
            self._wake.on(connection, {"b_ids": ids})

        self.db.transact(work)

    def link(  # noqa: PLR0913 - all that one transaction writes down
        self,
        links: Sequence[Link],
        remote_id: str,
        *,
        number: str = "",
        refs: Mapping[str, str] | None = None,
        payload_hash: str = "",
        origin: str = "",
        claim: Claim | None = None,
        recheck: float = 0.0,
        shown: Mapping[str, Any] | None = None,
    ) -> None:
        """Commit the link, and wake whoever waits for it. That the record is over there needs no fence; what it holds does:
        with `claim` the hash is kept only while the job is ours (somebody else may have written since), and so is `shown`,
        what the connector wants to know of it later. `recheck`: seconds after which a link that was in doubt is looked at
        again.
        """
        ids = [link.id for link in links]
        owner = {"b_job": claim.id if claim else 0, "b_token": claim.token if claim else 0}

        def work(connection: Connection) -> None:
            if shown is not None and self._sure.on(connection, owner).rows:
                self._shown.keep_on(connection, ids, shown, payload_hash)
            self._set_linked.on(
                connection,
                {
                    "b_ids": ids,
                    "b_remote": remote_id,
                    "b_number": number,
                    "b_refs": json.dumps(dict(refs)) if refs else "",
                    "b_hash": payload_hash,
                    "b_origin": origin,
                    **owner,
                    "b_check": int(recheck * SECOND),
                },
            )
            self._wake.on(connection, {"b_ids": ids})

        self.db.transact(work)

    def adopt(
        self,
        target: str,
        kind: str,
        keys: Sequence[str],
        remote_id: str,
        *,
        number: str = "",
        refs: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Link keys to a record that was there before us; the keys that are linked now. One that is linked already stays as
        it is, and so does one that a job has in its hands.
        """
        now = self.db.micros()
        insert = self.db.insert(t.link)
        values = {
            "target": target,
            "kind": kind,
            "state": "linked",
            "remote_id": remote_id,
            "remote_number": number,
            "refs": json.dumps(dict(refs)) if refs else "",
            "origin": "adopted",
            "created_at": now,
            "updated_at": now,
        }
        at_work = sa.select(t.job.c.id).where(t.job.c.id == t.link.c.job_id, t.job.c.state == "running").exists()
        free = (t.link.c.state == "intended") & ~at_work
        changed = ("state", "remote_id", "remote_number", "refs", "origin", "updated_at")
        take = insert.on_conflict_do_update(
            index_elements=["target", "kind", "key"],
            set_={name: insert.excluded[name] for name in changed},
            where=free,
        ).returning(t.link.c.key)

        def work(connection: Connection) -> list[str]:
            done = [connection.execute(take.values(key=key, **values)).first() for key in sorted(set(keys))]
            return [row.key for row in done if row is not None]

        return self.db.transact(work)

    def set_refs(self, link: Link, refs: Mapping[str, str]) -> None:
        """Note something else of a linked record."""
        self.db.execute(
            sa.update(t.link).where(t.link.c.id == link.id).values(refs=json.dumps(dict(refs)), updated_at=self.db.now)
        )

    def of_remote(self, target: str, kind: str, remote_ids: Sequence[str]) -> dict[str, list[Link]]:
        """Links to these records, by the record's id."""
        found: dict[str, list[Link]] = {}
        for start in range(0, len(remote_ids), 300):
            query = sa.select(t.link, self._hold_left).where(
                t.link.c.target == target,
                t.link.c.kind == kind,
                t.link.c.remote_id.in_(list(remote_ids[start : start + 300])),
            )
            for row in self.db.rows(query):
                found.setdefault(row.remote_id, []).append(_link(row))
        return found

    def drop(self, target: str, kind: str, keys: Sequence[str], *, origin: str) -> int:
        """Forget links of this origin (a decision that was taken back, a run that was undone). How many."""
        gone = sa.delete(t.link).where(
            t.link.c.target == target, t.link.c.kind == kind, t.link.c.key.in_(list(keys)), t.link.c.origin == origin
        )
        return len(self.db.execute(gone.returning(t.link.c.id)))

    def unlink(self, target: str, kind: str, remote_id: str) -> None:
        """The other record is gone: whoever was linked to it is unknown over there again."""
        self.db.execute(
            sa.delete(t.link).where(
                t.link.c.target == target,
                t.link.c.kind == kind,
                t.link.c.remote_id == remote_id,
                t.link.c.state == "linked",
            )
        )

    def note(self, link: Link, *, refs: Mapping[str, str]) -> None:
        """Keep an intermediate result (a lead that is to be converted) with an unfinished link."""
        self.db.execute(
            sa.update(t.link).where(t.link.c.id == link.id).values(refs=json.dumps(dict(refs)), updated_at=self.db.now)
        )

    def hold_update(self, claim: Claim, link: Link, *, hold: float) -> None:
        """An update is about to be sent: if its fate stays unknown (a lost answer, a crash), nobody touches the record before
        the hold is over, then it is written again. Raises LeaseLost when the job is not ours any more.
        """
        parameters = {"b_ids": [link.id], "b_job": claim.id, "b_token": claim.token, "b_hold": int(hold * SECOND)}
        if not self.db.execute(self._mark_update, parameters):
            raise LeaseLost(
                "The job was given to another worker meanwhile. What to do: nothing, the other one carries on.",
                detail="hold_update",
            )

    # -- looking again ---------------------------------------------------------------------------------------------

    def doubt(self, links: Sequence[Link]) -> None:
        """A second record may be there, or may come: look again once these are linked."""
        ids = [link.id for link in links]
        self.db.execute(sa.update(t.link).where(t.link.c.id.in_(ids)).values(check_at=self.db.now))

    def to_check(self, target: str, limit: int) -> list[Link]:
        """Links of this target that are due to be looked at again, the longest due first."""
        query = (
            sa.select(t.link, self._hold_left)
            .where(t.link.c.check_at <= self.db.now, t.link.c.target == target, t.link.c.state == "linked")
            .order_by(t.link.c.check_at, t.link.c.id)
            .limit(limit)
        )
        return [_link(row) for row in self.db.rows(query)]

    def checked(self, links: Sequence[Link], *, again: float | None) -> None:
        """They were looked at; `again`: seconds until the next time, None when nothing is in doubt any more."""
        due = None if again is None else self.db.now + int(again * SECOND)
        ids = [link.id for link in links]
        self.db.execute(sa.update(t.link).where(t.link.c.id.in_(ids)).values(check_at=due, checks=t.link.c.checks + 1))

    def point(
        self, link: Link, remote_id: str, *, number: str = "", refs: Mapping[str, str] | None = None
    ) -> list[int]:
        """Point every link to the link's record (a customer has several identities) to this one instead, and want their jobs
        again: what it holds is not known. The ids of those jobs.
        """
        same = (t.link.c.target == link.target) & (t.link.c.kind == link.kind) & (t.link.c.state == "linked")
        moved = (
            sa.update(t.link)
            .where(same, t.link.c.remote_id == link.remote_id)
            .values(
                remote_id=remote_id,
                remote_number=number,
                refs=json.dumps(dict(refs)) if refs else t.link.c.refs,
                payload_hash="",
                updated_at=self.db.now,
            )
            .returning(t.link.c.job_id)
        )

        def work(connection: Connection) -> list[int]:
            self._shown.forget_on(connection, link.target, link.kind, link.remote_id)
            jobs = sorted({row.job_id for row in connection.execute(moved) if row.job_id is not None})
            self._want_again(connection, jobs)
            return jobs

        return self.db.transact(work)

    def _want_again(self, connection: Connection, jobs: Sequence[int]) -> None:
        """As when a newer state came in; what a person skipped or has to decide is left alone."""
        if jobs:
            idle = t.job.c.state == "settled"
            connection.execute(
                sa.update(t.job)
                .where(t.job.c.id.in_(jobs))
                .values(
                    wanted=t.job.c.wanted + 1,
                    state=sa.case((idle, "waiting"), else_=t.job.c.state),
                    due_at=sa.case((idle, self.db.now), else_=t.job.c.due_at),
                    updated_at=self.db.now,
                )
            )

    def unhold_update(self, claim: Claim, link: Link) -> None:
        """The update was certainly refused: the record is as it was."""
        self.db.execute(
            sa.update(t.link)
            .where(t.link.c.id == link.id, t.link.c.job_id == claim.id, t.link.c.token == claim.token)
            .values(payload_hash=link.payload_hash, hold_until=None, updated_at=self.db.now)
        )


def _link(row: Row[Any]) -> Link:
    return Link(
        id=row.id,
        target=row.target,
        kind=row.kind,
        key=row.key,
        state=row.state,
        remote_id=row.remote_id,
        remote_number=row.remote_number,
        refs=json.loads(row.refs) if row.refs else {},
        payload_hash=row.payload_hash,
        job_id=row.job_id,
        token=row.token,
        checks=row.checks,
        hold_left=max(float(row.hold_left) / SECOND, 0.0),
        origin=row.origin,
        created_at=from_micros(row.created_at),
        updated_at=from_micros(row.updated_at),
    )

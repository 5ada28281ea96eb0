"""Messages to people: each is kept once under its own key for ever, with the job that sends it.

wanted -> sending (committed before the first byte leaves) -> sent. Whoever finds one that is `sending` does not know whether
it was sent: it becomes doubtful, and only a person has it sent again.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from core.clock import from_micros, to_micros
from core.errors import LeaseLost
from core.keys import Key
from core.letters import Attachment
from core.visible import in_one_line
from ledger import messagetables as m
from ledger import statements
from ledger import tables as t
from ledger.database import SECOND, Database
from ledger.inbox import RANK
from ledger.jobs import Claim

__all__ = [
    "KIND",
    "Attachment",
    "AttachmentView",
    "MessageView",
    "Messages",
    "NewMessage",
    "digest_of",
    "id_of",
    "key_of",
]

KIND: Final = "mail"
"""Of the job's record: `<via>/mail/<id of the message>`."""
LONGEST_KEY: Final = 500
_TOGETHER: Final = 200


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to one person. Nothing in it needs to be clean: what would act in a header is taken out when it is sent."""

    key: str
    """Names this very message for ever (at most 500 characters): wanted again, it is not sent again."""
    flow: str
    """On whose behalf: a flow's name (one that is not live sends nothing, it waits), or a [[stock]]'s, which always sends."""
    via: str
    """The connection that carries it: one that plays the role `Messenger` (smtp, apprise)."""
    to: str
    """E-mail address; "" for whom the connection itself names (the recipients of an smtp connection, a chat room)."""
    subject: str
    text: str
    name: str = ""
    """Of the person."""
    language: str = ""
    attachments: tuple[Attachment, ...] = ()
    concern: str = ""
    """The record that it is about, as text of its key (`shop/order/1001`): it is shown with it."""
    crm: str = ""
    """CRM connection in which a copy is noted once it was sent; "" for none."""
    account: str = ""
    """The account there."""
    not_before: datetime | None = None
    """It waits until then (quiet hours, a digest's time)."""


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """What is attached, without its body."""

    place: int
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as it is kept."""

    id: str
    key: str
    flow: str
    via: str
    to: str
    name: str
    subject: str
    text: str
    language: str
    concern: str
    crm: str
    account: str
    state: str
    """wanted, sending, sent, doubtful."""
    token: int
    created_at: datetime
    not_before: datetime | None
    sent_at: datetime | None
    emptied: bool
    digest: bytes = b""
    """Of what was handed over last (`digest_of`); b"": nothing was. It outlives what it is of."""

    @property
    def sent(self) -> bool:
        """The other side has taken it."""
        return self.state == "sent"


class Messages:
    """Messages and their jobs."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._want_job = db.prepare(statements.want_job(db))
        insert = db.insert(m.message).on_conflict_do_nothing()
        self._insert = db.prepare(insert.returning(m.message.c.id))
        self._one = db.prepare(sa.select(m.message).where(m.message.c.id == sa.bindparam("b_id")))

    # -- wanting ---------------------------------------------------------------------------------------------------

    def want(self, new: NewMessage) -> bool:
        """Keep it with its job, durably. False: a message of this key was wanted before, whatever became of it."""
        return self.db.transact(lambda connection: self.want_on(connection, new))

    def want_on(self, connection: Connection, new: NewMessage) -> bool:
        """The same inside somebody's transaction."""
        if not new.key or len(new.key) > LONGEST_KEY:
            raise ValueError(f"the key of a message has 1 to {LONGEST_KEY} characters, not {len(new.key)}")
        id, now = id_of(new.key), self.db.micros()
        if self._insert.on(connection, _row(new, id, now)).first() is None:
            return False
        if new.attachments:
            connection.execute(
                sa.insert(m.message_part), [_part(id, place, one) for place, one in enumerate(new.attachments)]
            )
        self._want_on(connection, new, id, now)
        return True

    def _want_on(self, connection: Connection, new: NewMessage, id: str, now: int) -> None:
        job = self._want_job.on(
            connection,
            {
                "flow": new.flow,
                "connection": new.via,
                "kind": KIND,
                "record_id": id,
                "target": new.via,
                "queue": "live",  # there are few, and somebody waits for each
                "rank": RANK["live"],
                "state": "waiting",
                "reason": "",
                "error_class": "",
                "number": in_one_line(new.subject)[:120],
                "correlation": uuid.uuid4().hex[:16],
                "created_at": now,
                "updated_at": now,
            },
        ).rows[0]
        if new.not_before is not None and (later := to_micros(new.not_before)) > now:
            connection.execute(sa.update(t.job).where(t.job.c.id == job.id).values(due_at=later))

    # -- sending ---------------------------------------------------------------------------------------------------

    def sending(self, claim: Claim, *, digest: bytes = b"", **said: str) -> str:
        """It is about to leave; to which address. Nobody changes that from now on, and somebody may have done so since it was
        read. `said`: subject, text and language that it leaves with, where they are others than those that were wanted;
        `digest`: of all that leaves. Raises LeaseLost where the job is not ours any more.
        """
        ours = (
            sa.select(sa.literal(1))
            .where(t.job.c.id == claim.id, t.job.c.token == claim.token, t.job.c.state == "running")
            .exists()
        )
        query = sa.update(m.message).where(
            m.message.c.id == claim.key.id, m.message.c.state != "sent", m.message.c.emptied_at.is_(None), ours
        )
        values = {"state": "sending", "token": claim.token, "digest": digest, **said}
        rows = self.db.execute(query.values(**values).returning(m.message.c.address))
        if not rows:
            raise LeaseLost(
                "The job was given to another worker meanwhile. What to do: nothing, the other one carries on.",
                detail=f"message {claim.key.id}",
            )
        return str(rows[0].address)

    def became(self, claim: Claim, state: str) -> None:
        """What became of it: sent, wanted (it certainly did not leave), doubtful. That it did not leave is said of the latest
        sending only; a doubt anybody may have; and what was sent is sent, however late we hear of it.
        """
        mine = (m.message.c.id == claim.key.id) & (m.message.c.state != "sent")
        values: dict[str, Any] = {"state": state}
        if state == "doubtful":
            values["token"] = claim.token
        elif state == "wanted":
            mine &= m.message.c.token == claim.token
        else:
            values["sent_at"] = self.db.now
        self.db.execute(sa.update(m.message).where(mine).values(**values))

    def decided(self, message: MessageView, job_id: int) -> bool:
        """Whether a person has had the job run again after it was held for this doubt."""
        held = (t.attempt.c.job_id == job_id) & (t.attempt.c.token == message.token) & (t.attempt.c.outcome == "held")
        return bool(self.db.rows(sa.select(t.attempt.c.id).where(held).limit(1)))

    def readdress(self, message: MessageView, to: str) -> bool:
        """It was not sent yet, and goes to another address now: its job is due. False: it was sent, or is just being sent."""

        def work(connection: Connection) -> bool:
            mine = (m.message.c.id == message.id) & (m.message.c.state == "wanted") & (m.message.c.address != to[:320])
            query = sa.update(m.message).where(mine).values(address=to[:320]).returning(m.message.c.id)
            if connection.execute(query).first() is None:
                return False
            key = key_of(message)
            job = (
                (t.job.c.flow == message.flow)
                & (t.job.c.connection == key.connection)
                & (t.job.c.kind == key.kind)
                & (t.job.c.record_id == key.id)
            )
            again = {
                "state": "waiting",
                "due_at": self.db.now,
                "failures": 0,
                "reason": "",
                "error_class": "",
                "field": "",
            }
            connection.execute(
                sa.update(t.job).where(job, t.job.c.state == "held").values(**again, updated_at=self.db.now)
            )
            return True

        return self.db.transact(work)

    # -- looking ---------------------------------------------------------------------------------------------------

    def get(self, id: str) -> MessageView | None:
        """One message, without its attachments."""
        rows = self.db.rows(self._one, {"b_id": id})
        return _view(rows[0]) if rows else None

    def of_key(self, key: str) -> MessageView | None:
        """The message of this key."""
        rows = self.db.rows(sa.select(m.message).where(m.message.c.key == key))
        return _view(rows[0]) if rows else None

    def about(self, concern: str, limit: int = 50) -> list[MessageView]:
        """The messages about a record, newest first."""
        # The empty one is written out: a partial index has the others.
        mine = (m.message.c.concern == concern) & (m.message.c.concern != sa.literal_column("''"))
        query = sa.select(m.message).where(mine)
        return [_view(row) for row in self.db.rows(query.order_by(m.message.c.created_at.desc()).limit(limit))]

    def jobs_of(self, messages: Sequence[MessageView]) -> dict[str, int]:
        """The job of each of these messages, where there is one yet."""
        record = t.job.c.record_id
        query = sa.select(record, t.job.c.id).where(
            t.job.c.flow.in_({one.flow for one in messages}),
            t.job.c.connection.in_({one.via for one in messages}),
            t.job.c.kind == KIND,
            record.in_([one.id for one in messages]),
        )
        return {row.record_id: int(row.id) for row in self.db.rows(query)} if messages else {}

    def attachments(self, id: str) -> tuple[Attachment, ...]:
        """What goes with it, whole."""
        query = sa.select(m.message_part).where(m.message_part.c.message == id).order_by(m.message_part.c.place)
        return tuple(Attachment(row.name, row.media_type, bytes(row.body)) for row in self.db.rows(query))

    def attached(self, ids: Sequence[str]) -> dict[str, list[AttachmentView]]:
        """What goes with these, without the bodies."""
        part = m.message_part.c
        query = sa.select(part.message, part.place, part.name, part.media_type, part.size)
        found: dict[str, list[AttachmentView]] = {}
        for row in self.db.rows(query.where(part.message.in_(ids)).order_by(part.message, part.place)):
            found.setdefault(row.message, []).append(AttachmentView(row.place, row.name, row.media_type, row.size))
        return found

    # -- forgetting ------------------------------------------------------------------------------------------------

    def forget(self, older: timedelta, *, held: timedelta = timedelta.max) -> int:
        """Empty address, name, text and attachments of what was wanted longer ago and has ended; of what waits for a person
        (`held`), where it was wanted that long ago. At how many. The rows stay: their keys keep the same message from being
        sent again, and tell with digest, moment and account that it was.
        """
        message, job, count, now = m.message, t.job.c, 0, self.db.micros()
        wanted = message.c.created_at
        old = message.c.emptied_at.is_(None) & (wanted < _before(now, older))
        # The whole key of the job: an index finds it, whatever number of jobs there is.
        its = (
            (job.flow == message.c.flow)
            & (job.connection == message.c.via)
            & (job.kind == KIND)
            & (job.record_id == message.c.id)
        )
        ended = job.state.in_(("settled", "skipped")) | ((job.state == "held") & (wanted < _before(now, held)))
        going = sa.select(sa.literal(1)).where(its, ~ended).correlate(message).exists()
        some = sa.select(message.c.id).where(old, ~going).limit(_TOGETHER)

        def work(connection: Connection) -> int:
            ids = [row.id for row in connection.execute(some)]
            connection.execute(sa.delete(m.message_part).where(m.message_part.c.message.in_(ids)))
            empty = {"address": "", "name": "", "text": "", "emptied_at": self.db.now}
            connection.execute(sa.update(message).where(message.c.id.in_(ids)).values(**empty))
            return len(ids)

        while emptied := self.db.transact(work):
            count += emptied
        return count


def digest_of(subject: str, text: str, attachments: Sequence[Attachment]) -> bytes:
    """Names what was handed over, without whom it was for (pure)."""
    hashed = hashlib.sha256()
    for part in (subject.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass")):
        hashed.update(len(part).to_bytes(8, "big") + part)
    for one in attachments:
        hashed.update(len(one.body).to_bytes(8, "big") + one.body)
    return hashed.digest()


def _before(now: int, ago: timedelta) -> int:
    return max(now - int(ago.total_seconds()) * SECOND, 0)


def id_of(key: str) -> str:
    """The id of the message of this key: the same in a ledger that was set back to an older backup, so that a letter that goes
    out a second time then is at least seen to be the same (its Message-ID is made of this).
    """
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _row(new: NewMessage, id: str, now: int) -> dict[str, Any]:
    return {
        "id": id,
        "key": new.key,
        "flow": new.flow,
        "via": new.via,
        "address": new.to[:320],
        "name": new.name,
        "subject": new.subject,
        "text": new.text,
        "language": new.language[:16],
        "concern": new.concern[:300],
        "crm": new.crm,
        "account": new.account,
        "created_at": now,
        "not_before": to_micros(new.not_before) if new.not_before is not None else None,
    }


def _part(id: str, place: int, attachment: Attachment) -> dict[str, Any]:
    return {
        "message": id,
        "place": place,
        "name": attachment.name,
        "media_type": attachment.media_type,
        "size": len(attachment.body),
        "body": attachment.body,
    }


def _view(row: Row[Any]) -> MessageView:
    return MessageView(
        id=row.id,
        key=row.key,
        flow=row.flow,
        via=row.via,
        to=row.address,
        name=row.name,
        subject=row.subject,
        text=row.text,
        language=row.language,
        concern=row.concern,
        crm=row.crm,
        account=row.account,
        state=row.state,
        token=row.token,
        created_at=from_micros(row.created_at),
        not_before=from_micros(row.not_before) if row.not_before is not None else None,
        sent_at=from_micros(row.sent_at) if row.sent_at is not None else None,
        emptied=row.emptied_at is not None,
        digest=bytes(row.digest or b""),
    )


def key_of(message: MessageView) -> Key:
    """The key of its job."""
    return Key(message.via, KIND, message.id)

"""A letter to one person: sent once, then noted on the customer's account in the CRM."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from connectors.roles import CustomerNote, Letter, Messenger, Noting
from core.errors import Ambiguous, Held, OrderwireError, RetryLater
from core.keys import external_id
from core.letters import Attachment
from core.visible import in_one_line, visible
from ledger.flows import REHEARSED
from ledger.jobs import Claim, Outcome
from ledger.messages import KIND, MessageView, digest_of
from ledger.requests import KIND as REQUEST
from pipelines import papers
from pipelines.context import Context
from pipelines.run import Attempt
from pipelines.standing import UNTIL_LIVE

FORGET_EVERY: Final = 86_400.0
GIVE_UP: Final = timedelta(days=3)
"""How long a server may go on answering "not now" for one recipient."""
LONGEST_WAIT: Final = 3600.0
_QUOTED: Final = 2000
"""Characters of a letter's text that its note in the CRM repeats."""


class MailRun(Attempt):
    """A claimed job of a letter. It writes to the CRM, if anywhere, beside the messenger."""

    def __init__(self, context: Context, claim: Claim) -> None:
        message = context.ledger.messages.get(claim.key.id)
        if message is None:
            raise Held(
                "This message is not in the ledger any more. What to do: skip this job.",
                error_class="missing reference",
            )
        self.message = message
        super().__init__(context, claim, message.crm)

    @property
    def rehearsed(self) -> bool:
        """Its flow is not live. What belongs to no flow (a stock's alerts) always goes."""
        return self.claim.flow in self.context.every_flow and super().rehearsed


def forget(context: Context) -> int:
    """Empty letters and papers that were written long ago, remove alerts of stock that have long been over. At how many."""
    ledger, keep = context.ledger, context.keep
    letters = ledger.messages.forget(timedelta(days=keep.letters), held=timedelta(days=keep.held))
    drawn = ledger.papers.forget(timedelta(days=keep.papers))
    return letters + drawn + ledger.stock.alerts.forget(timedelta(days=keep.stock_alerts))


def carry(run: MailRun) -> Outcome:
    """Send it, unless it was; then note the copy. Raises the taxonomy of core.errors."""
    if run.rehearsed:
        return Outcome(
            "retry",
            f"Written and not sent: the flow {run.claim.flow} is not live. What to do: `orderwire flow live {run.claim.flow}` "
            "sends it.",
            error_class=REHEARSED,
            seconds=UNTIL_LIVE,
            burns=False,
            number=_number(run.message),
        )
    if not run.message.sent:
        _require_text(run.message)
        early = run.message.not_before
        if early is not None and (left := (early - run.ledger.clock.now()).total_seconds()) > 0:
            said = "It waits for its time of day. What to do: nothing."
            return Outcome("retry", said, seconds=left, burns=False, number=_number(run.message))
        _send(run)
    _note(run)
    return Outcome("settled", "Sent.", number=_number(run.message))


def _number(message: MessageView) -> str:
    return in_one_line(message.subject)[:120]


def _require_text(message: MessageView) -> None:
    """Its address went with its text: whom the connection itself names is not whom it was for."""
    if message.emptied:
        raise Held(
            "This letter was not sent in time, and what stood in it was forgotten. What to do: skip this job; if it still "
            "matters, reach them another way.",
            error_class="missing reference",
        )


# -- sending -----------------------------------------------------------------------------------------------------------


def _send(run: MailRun) -> None:
    messenger = _messenger(run)
    _require_certainty(run)
    message, attachments = _as_it_leaves(run)
    letter = Letter(
        message.id, message.to, message.subject, message.text, message.name, message.language, attachments=attachments
    )
    digest = digest_of(message.subject, message.text, attachments)
    said = {"subject": message.subject, "text": message.text, "language": message.language[:16]}
    to = run.ledger.messages.sending(run.claim, digest=digest, **said)
    run.message = message = replace(message, to=to)
    try:
        messenger.deliver(replace(letter, to=to))
    except Ambiguous as error:
        run.ledger.messages.became(run.claim, "doubtful")
        raise _may_have_been_sent(run, error.detail) from error
    except RetryLater as error:
        run.ledger.messages.became(run.claim, "wanted")
        if error.scope == "connection":
            raise
        raise _patient(run, error) from error
    except OrderwireError:
        run.ledger.messages.became(run.claim, "wanted")
        raise
    run.ledger.messages.became(run.claim, "sent")
    run.message = replace(message, state="sent")


def _as_it_leaves(run: MailRun) -> tuple[MessageView, tuple[Attachment, ...]]:
    """A letter that carries a paper says what the paper says: both are made now, of one state of the order, which may have
    changed since the letter was wanted.
    """
    message, attachments = run.message, run.ledger.messages.attachments(run.message.id)
    drawn = papers.drawn(run.context, message.key)
    if drawn is None:
        return message, attachments
    message = replace(message, subject=drawn.subject, text=drawn.text, language=drawn.language)
    return message, (*attachments, drawn.file)


def _messenger(run: MailRun) -> Messenger:
    messenger = run.context.messengers.get(run.message.via)
    if messenger is None:
        raise Held(
            f"The connection {run.message.via} is not in the configuration any more, or carries no letters. "
            "What to do: put it back, or skip this job.",
            error_class="configuration",
        )
    return messenger


def _require_certainty(run: MailRun) -> None:
    """Whoever was sending it before us may have sent it: then only a person has it sent again."""
    message = run.message
    if message.state == "wanted" or (
        message.state == "doubtful" and run.ledger.messages.decided(message, run.claim.id)
    ):
        return
    run.ledger.messages.became(run.claim, "doubtful")
    raise _may_have_been_sent(run, "an earlier attempt ended while it was sending")


def _may_have_been_sent(run: MailRun, detail: str) -> Held:
    whom = run.message.to or f"those whom {run.message.via} names"
    return Held(
        f"This letter to {whom} may have been sent: nobody told us whether it was taken. What to do: see the outgoing mail of "
        f"{run.message.via}, or ask them; retry sends it (again), skip leaves it.",
        error_class="ambiguous write",
        detail=detail,
    )


def _patient(run: MailRun, error: RetryLater) -> RetryLater | Held:
    """Later and later, for days: a full mailbox, a server that wants to see us come back."""
    began = max(run.message.created_at, run.message.not_before or run.message.created_at)
    age = (run.ledger.clock.now() - began).total_seconds()
    if age > GIVE_UP.total_seconds():
        what = error.message.partition(" What to do:")[0]
        return Held(
            f"{what} It did not for {GIVE_UP.days} days. What to do: reach them another way, or retry.",
            error_class="validation/value",
            field="address",
            detail=error.detail,
        )
    seconds = min(max(error.seconds, age / 2), LONGEST_WAIT)
    return RetryLater(
        error.message, seconds=seconds, cause=error.cause, detail=error.detail, burns_attempt=error.burns_attempt
    )


# -- the copy ----------------------------------------------------------------------------------------------------------


def _note(run: MailRun) -> None:
    """The copy on the customer's account. The letter is sent, whatever becomes of this."""
    message = run.message
    if message.emptied or not (message.crm and message.account):
        return
    crm, owner = run.crm, _owner(run)
    if not isinstance(crm, Noting):
        _no_copy(run, f"{message.crm} takes no notes.")
        return
    if not owner:
        _no_copy(run, f"the flow {run.claim.flow} has no owner.")
        return
    try:
        note = _copy(run)
        run.ensure(
            REQUEST,
            str(run.claim.key),
            payload_hash=note.external_id,
            find=lambda: crm.find_request(note, [message.account]),
            create=lambda: crm.log_request(note, message.account, owner),
        )
    except Held as error:
        _no_copy(run, error.message.partition(" What to do:")[0])


def _no_copy(run: MailRun, why: str) -> None:
    run.warn(f"The letter was sent; no copy of it was noted: {why} What to do: note it by hand.", "no copy")


def _copy(run: MailRun) -> CustomerNote:
    message, key = run.message, run.claim.key
    attached = [in_one_line(one.name) for one in run.ledger.messages.attached([message.id]).get(message.id, [])]
    attached += [in_one_line(name) for name in papers.names(run.context, message.key)]
    facts = [f"To: {in_one_line(message.to)}", f"Attached: {', '.join(attached)}" if attached else ""]
    head = "\n".join(fact for fact in facts if fact)
    # The same formula as `pipelines.doubles` looks for.
    id = external_id(key.connection, REQUEST, key.id)
    return CustomerNote(
        id,
        f"Sent: {in_one_line(message.subject)}",
        f"{head}\n\n{visible(message.text)[:_QUOTED]}".strip(),
        message.created_at,
    )


def _owner(run: MailRun) -> str:
    """Whose the order is; else the flow's owner."""
    state = run.ledger.orders.get(run.claim.flow, run.message.concern) if run.message.concern else None
    flow = run.context.flows.get(run.claim.flow)
    return (state.owner if state is not None else "") or (flow.owner if flow is not None else "")


__all__ = ["KIND", "MailRun", "carry", "forget"]

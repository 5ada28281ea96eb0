"""A message is wanted once, sent by one attempt, doubted where nobody knows, and forgotten but for its key."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.errors import LeaseLost
from ledger import Ledger
from ledger import messagetables as m
from ledger import tables as t
from ledger.jobs import Claim, Outcome
from ledger.messages import KIND, Attachment, MessageView, NewMessage, id_of, key_of
from tests.integration.ledger.kit import count, due_in, later, outcomes, together

PDF = Attachment("Rechnung ä.pdf", "application/pdf", b"%PDF-1.7 \x00\xff")
NEW = NewMessage(
    key="shop/order/1001/invoice/R-1",
    flow="orders",
    via="mail",
    to="anna@example.org",
    subject="Rechnung R-1",
    text="Guten Tag",
    name="Anna",
    language="de",
    attachments=(PDF, Attachment("b.txt", "text/plain", b"")),
    concern="shop/order/1001",
    crm="crm",
    account="11x7",
)


def wanted(ledger: Ledger) -> tuple[Claim, MessageView]:
    assert ledger.messages.want(NEW)
    claim = ledger.jobs.claim("w")
    assert claim is not None
    assert (claim.flow, claim.target, claim.key.connection, claim.key.kind) == ("orders", "mail", "mail", KIND)
    return claim, got(ledger, claim)


def got(ledger: Ledger, claim: Claim) -> MessageView:
    found = ledger.messages.get(claim.key.id)
    assert found is not None
    return found


def test_a_message_is_wanted_once_by_its_key_and_kept_whole(ledger: Ledger) -> None:
    assert sorted(together([lambda: ledger.messages.want(NEW)] * 8)) == [False] * 7 + [True]
    assert count(ledger, t.job) == count(ledger, m.message) == 1
    [view] = ledger.messages.about("shop/order/1001")
    assert (view.to, view.name, view.subject, view.state) == ("anna@example.org", "Anna", "Rechnung R-1", "wanted")
    assert ledger.messages.of_key(NEW.key) == view
    assert view.id == id_of(NEW.key) != id_of(f"{NEW.key}1"), "the same after a restore too"
    assert ledger.messages.attachments(view.id) == NEW.attachments
    assert [(one.name, one.size) for one in ledger.messages.attached([view.id])[view.id]] == [
        (PDF.name, len(PDF.body)),
        ("b.txt", 0),
    ]
    with pytest.raises(ValueError, match="500"):
        ledger.messages.want(replace(NEW, key="k" * 501))


def test_one_that_is_not_wanted_in_the_end_leaves_no_trace(ledger: Ledger) -> None:
    def work(connection: sa.Connection) -> None:
        assert ledger.messages.want_on(connection, NEW)
        raise RuntimeError("the stock did not fall after all")

    with pytest.raises(RuntimeError):
        ledger.db.transact(work)
    assert count(ledger, t.job) == count(ledger, m.message) == count(ledger, m.message_part) == 0


def test_it_waits_for_its_moment(ledger: Ledger) -> None:
    soon = ledger.clock.now() + timedelta(hours=6)
    assert ledger.messages.want(replace(NEW, not_before=soon))
    assert ledger.jobs.claim("w") is None
    [job] = ledger.jobs.list()
    assert 6 * 3600 - 60 < due_in(ledger, job.id) <= 6 * 3600
    later(ledger, 6 * 3600)
    assert ledger.jobs.claim("w") is not None


def test_what_was_being_sent_is_sent_by_no_other_attempt_unless_a_person_says_so(ledger: Ledger) -> None:
    claim, message = wanted(ledger)
    ledger.messages.sending(claim)
    later(ledger, 120)  # the worker is gone
    assert ledger.jobs.reap() == 1
    later(ledger, 3600)
    again = ledger.jobs.claim("w2", alone=True)
    assert again is not None
    with pytest.raises(LeaseLost):
        ledger.messages.sending(claim)
    ledger.messages.became(again, "doubtful")
    ledger.messages.became(claim, "wanted")
    assert got(ledger, again).state == "doubtful", "somebody else may be sending it by now"
    message = got(ledger, again)
    assert not ledger.messages.decided(message, again.id)
    ledger.jobs.settle(again, Outcome("held", "It may have been sent."))
    assert ledger.messages.decided(message, again.id)
    assert outcomes(ledger, again)[-1] == "held"
    ledger.messages.became(claim, "sent")
    assert got(ledger, again).sent, "it was, says the attempt that everybody had given up"


def test_what_was_sent_stays_sent(ledger: Ledger) -> None:
    claim, _ = wanted(ledger)
    ledger.messages.sending(claim)
    ledger.messages.became(claim, "sent")
    ledger.messages.became(claim, "wanted")
    ledger.messages.became(claim, "doubtful")
    assert got(ledger, claim).sent
    with pytest.raises(LeaseLost):
        ledger.messages.sending(claim)


def test_contents_are_forgotten_and_keys_are_not(ledger: Ledger) -> None:
    claim, message = wanted(ledger)
    ledger.messages.want(replace(NEW, key="held for ever"))
    ledger.jobs.settle(claim, Outcome("settled"))
    assert ledger.messages.forget(timedelta(days=1)) == 0
    with ledger.db.write() as connection:
        connection.execute(sa.update(m.message).values(created_at=m.message.c.created_at - 2 * 86_400_000_000))
    assert ledger.messages.forget(timedelta(days=1)) == 1, "what still waits for its job keeps its text"
    assert ledger.messages.forget(timedelta(days=1), held=timedelta(days=1)) == 0, "waiting is not held"
    message = got(ledger, claim)
    assert (message.to, message.name, message.text, message.emptied) == ("", "", "", True)
    assert ledger.messages.attachments(message.id) == ()
    assert ledger.messages.forget(timedelta(days=1)) == 0
    assert not ledger.messages.want(NEW), "it would be the second mail of this invoice"
    assert str(key_of(message)) == str(claim.key)


def test_what_nobody_decides_is_not_kept_for_ever(ledger: Ledger) -> None:
    claim, message = wanted(ledger)
    ledger.jobs.settle(claim, Outcome("held", "No such user. What to do: x."))
    with ledger.db.write() as connection:
        connection.execute(sa.update(m.message).values(created_at=m.message.c.created_at - 2 * 86_400_000_000))
    assert ledger.messages.forget(timedelta(days=1), held=timedelta(days=3)) == 0
    assert ledger.messages.forget(timedelta(days=1), held=timedelta(days=1)) == 1
    message = got(ledger, claim)
    assert (message.to, message.text, message.emptied) == ("", "", True)
    with pytest.raises(LeaseLost):  # whoever began to send it just then
        ledger.messages.sending(claim)

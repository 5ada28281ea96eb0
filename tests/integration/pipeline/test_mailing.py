"""A letter is sent once whatever breaks, waits while its flow is not live, and leaves a copy on the account in the CRM."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.roles import Letter
from core.errors import Ambiguous, Held, LeaseLost, RetryLater
from ledger.jobs import JobView
from ledger.messages import Attachment, MessageView, NewMessage
from pipelines import mailing
from tests.integration.ledger import kit
from tests.orders import order
from tests.world import SkippingClock, World

PDF = Attachment("R-1.pdf", "application/pdf", b"%PDF")
DAY = 86_400.0


class Letters:
    """A messenger. `fails`: what the next deliveries end in; an Ambiguous one may have left."""

    name = "mail"

    def __init__(self) -> None:
        self.sent: list[Letter] = []
        self.fails: list[Exception] = []

    def deliver(self, letter: Letter) -> None:
        error = self.fails.pop(0) if self.fails else None
        if error is None or isinstance(error, Ambiguous):
            self.sent.append(letter)
        if error is not None:
            raise error

    def check(self) -> list[Any]:
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The statements are tested on both engines in tests/integration/ledger/test_messages.py."""
    return kit.sqlite_copy(sqlite_template, tmp_path)


class Post:
    def __init__(self, world: World) -> None:
        self.world, self.letters = world, Letters()
        world.context.messengers = {"mail": self.letters}

    def want(self, **values: Any) -> JobView:
        facts = {
            "key": "k1", "flow": "shop-orders", "via": "mail", "to": "ada@office.example", "subject": "R-1", "text": "Hello",
        }  # fmt: skip
        assert self.world.ledger.messages.want(NewMessage(**(facts | values)))
        return self.run()

    def run(self) -> JobView:
        self.world.drain()
        return self.job

    @property
    def job(self) -> JobView:
        [job] = [job for job in self.world.ledger.jobs.list() if "/mail/" in job.key]
        return job

    @property
    def message(self) -> MessageView:
        found = self.world.ledger.messages.get(self.job.key.rpartition("/")[2])
        assert found is not None
        return found

    @property
    def clock(self) -> SkippingClock:
        assert isinstance(self.world.clock, SkippingClock)
        return self.world.clock


@pytest.fixture
def post(world: World) -> Post:
    return Post(world)


def test_a_letter_is_sent_and_its_copy_noted_on_the_account(post: Post) -> None:
    post.world.carry(order(1))
    state = post.world.ledger.orders.get("shop-orders", "shop/order/1")
    assert state is not None
    facts = {"concern": "shop/order/1", "crm": "crm", "account": state.account}
    job = post.want(attachments=(PDF,), name="Ada", language="de", **facts)
    assert (job.state, job.reason, job.number) == ("settled", "Sent.", "R-1")
    [letter] = post.letters.sent
    assert (letter.to, letter.name, letter.text, letter.attachments) == ("ada@office.example", "Ada", "Hello", (PDF,))
    [comment] = post.world.records("ModComments")
    assert comment["related_to"] == state.account
    assert comment["commentcontent"].splitlines()[0].startswith("Sent: R-1 [")
    assert {"To: ada@office.example", "Attached: R-1.pdf", "Hello"} <= set(comment["commentcontent"].splitlines())

    post.world.ledger.jobs.retry(job.id)
    assert post.run().state == "settled"
    assert len(post.letters.sent) == len(post.world.records("ModComments")) == 1, "whoever runs it again sends nothing"


def test_a_copy_that_cannot_be_noted_does_not_send_the_letter_again(post: Post) -> None:
    job = post.want(crm="crm", account="11x999999")
    assert (job.state, len(post.letters.sent)) == ("settled", 1)
    assert "no copy of it was noted" in job.warnings[-1]


def test_a_flow_that_is_not_live_sends_nothing_and_what_belongs_to_none_goes(post: Post) -> None:
    flows = post.world.ledger.flows
    flows.set("shop-orders", "rehearse")
    job = post.want()
    assert (job.state, job.error_class, post.letters.sent) == ("waiting", "rehearsal", [])
    flows.set("shop-orders", "live")
    flows.wake_rehearsed("shop-orders")
    assert post.run().state == "settled"
    post.world.ledger.messages.want(NewMessage("k2", "goods", "mail", "b@office.example", "Low", "2 left"))
    post.world.drain()
    assert [letter.to for letter in post.letters.sent] == ["ada@office.example", "b@office.example"]


def test_quiet_hours_are_kept_also_when_somebody_presses_retry(post: Post) -> None:
    job = post.want(not_before=post.clock.now() + timedelta(hours=5))
    post.world.ledger.jobs.retry(job.id)
    assert post.run().state == "waiting"
    assert post.letters.sent == []
    post.clock.skip(5 * 3600 + 1)
    assert post.run().state == "settled"


def test_a_server_that_says_later_is_asked_for_three_days_then_a_person(post: Post) -> None:
    later = RetryLater("mail: not now (450). What to do: nothing.", seconds=60, burns_attempt=False)
    post.letters.fails = [later] * 1000
    job, tries, waited = post.want(), 1, []
    while job.state == "waiting":
        assert post.message.state == "wanted"
        waited.append(post.world.ledger.jobs.next_due() or 0.0)
        post.clock.skip(waited[-1] + 0.1)
        job, tries = post.run(), tries + 1
    assert waited[0] == pytest.approx(60, abs=2)
    assert max(waited) == pytest.approx(3600, abs=2)
    assert 3 * DAY < sum(waited) < 3 * DAY + 3700
    assert (job.state, job.field, job.failures) == ("held", "address", 0)
    assert "3 days" in job.reason


def test_a_server_that_is_out_makes_all_letters_wait(post: Post) -> None:
    out = RetryLater("mail: out. What to do: nothing.", seconds=60, scope="connection", connection="mail")
    post.letters.fails = [out]
    assert post.want().state == "waiting"
    post.world.ledger.messages.want(NewMessage("k2", "goods", "mail", "b@office.example", "Low", "2 left"))
    post.world.drain()
    assert post.letters.sent == []
    post.clock.skip(61)
    post.world.drain()
    assert len(post.letters.sent) == 2


def test_what_may_have_been_sent_is_sent_again_by_a_person_only(post: Post) -> None:
    post.letters.fails = [Ambiguous("mail: nobody answered."), Held("mail: refused. What to do: x.", field="address")]
    job = post.want()
    assert (job.state, job.error_class) == ("held", "ambiguous write")
    assert "may have been sent" in job.reason
    assert "ada@office.example" in job.reason
    assert post.message.state == "doubtful"
    post.clock.skip(7 * DAY)
    post.world.drain()
    assert len(post.letters.sent) == 1
    post.world.ledger.jobs.retry(job.id)
    assert (post.run().field, post.message.state) == ("address", "wanted")
    post.world.ledger.jobs.retry(job.id)
    assert post.run().state == "settled"
    assert len({letter.id for letter in post.letters.sent}) == 1, "the receiver's mail program sees that it is the same"


def test_a_crash_while_sending_is_a_doubt_too(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    post.world.ledger.messages.want(NewMessage("k1", "goods", "mail", "b@office.example", "Low", "2 left"))
    with monkeypatch.context() as patch:
        patch.setattr(post.letters, "deliver", crash)
        with pytest.raises(KeyboardInterrupt):
            post.world.drain()
    assert post.message.state == "sending"
    post.clock.skip(120)
    job = post.run()
    assert (job.state, job.error_class, post.letters.sent) == ("held", "ambiguous write", [])

    # A crash before that was written down: the next attempt holds again, and does not take the reaped job for a decision.
    post.world.ledger.jobs.retry(job.id)
    with monkeypatch.context() as patch:
        patch.setattr(mailing, "_may_have_been_sent", crash)
        patch.setattr(post.letters, "deliver", crash)
        with pytest.raises(KeyboardInterrupt):
            post.world.drain()
    post.clock.skip(120)
    assert (post.run().state, post.letters.sent) == ("held", [])


def test_who_lost_the_job_sends_nothing(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = post.world.ledger.messages

    def lost(*_: Any) -> None:
        raise LeaseLost("Lost. What to do: nothing.")

    with monkeypatch.context() as patch:
        patch.setattr(messages, "sending", lost)
        assert post.want().state == "waiting"
    assert (post.letters.sent, post.message.state) == ([], "wanted")


def test_a_letter_whose_text_was_forgotten_goes_to_nobody(post: Post) -> None:
    """Its address is gone, too: to whom the connection names it must not go."""
    post.letters.fails = [Held("mail: refused. What to do: x.", field="address")]
    job = post.want(attachments=(PDF,))
    post.clock.skip(200 * DAY)
    assert mailing.forget(post.world.context) == 0
    post.clock.skip(200 * DAY)
    assert mailing.forget(post.world.context) == 1
    post.world.ledger.jobs.retry(job.id)
    job = post.run()
    assert (job.state, post.letters.sent) == ("held", [])
    assert "What to do: skip this job" in job.reason
    assert job.number == "R-1"


def test_an_address_that_is_corrected_at_the_last_moment_counts(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker carries the order, and corrects it, between our look at the letter and its sending."""
    messages = post.world.ledger.messages
    read = messages.attachments

    def corrected(id: str) -> Any:
        assert messages.readdress(post.message, "ada@new.example")
        return read(id)

    monkeypatch.setattr(messages, "attachments", corrected)
    assert post.want().state == "settled"
    assert [letter.to for letter in post.letters.sent] == ["ada@new.example"]


def test_who_may_only_see_does_not_read_whom_it_went_to(post: Post) -> None:
    job = post.want()
    assert "office.example" not in job.reason + str(post.world.ledger.jobs.attempts(job.id)[-1]["message"])


def test_a_connection_that_is_gone_holds_the_letter(post: Post) -> None:
    post.world.context.messengers = {}
    job = post.want()
    assert (job.state, job.error_class) == ("held", "configuration")

"""Cards reach the portals of a flow: each state once, the latest, whatever breaks on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors import kommerce
from connectors.kommerce.folder import HIDDEN, Folder
from connectors.push import PushPortal
from core.errors import LeaseLost
from ledger.publications import Publications
from mapping.kommerce.columns import FileName
from pipelines import publishing
from tests.integration.pipeline.conftest import Maker
from tests.receiver import SECRET, Receiver
from tests.repworld import RepWorld


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_TEST_PUSH", SECRET)


def told_by(make: Maker, portal: Any, **more: Any) -> RepWorld:
    world = RepWorld(make, **{"target": "", **more}, portals=(portal.name,))
    world.context.publishers = {portal.name: portal}
    for code, name in (("R7", "Anna Rossi"), ("R9", "Bea Kim")):
        world.erp.rep(code, name, email=f"{code.lower()}@firm.example", mobile="+39 333 1")
    return world


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def pushed(make: Maker, receiver: Receiver) -> RepWorld:
    return told_by(make, receiver.portal())


# -- card by card ------------------------------------------------------------------------------------------------------


def test_a_card_is_pushed_when_it_changes_and_only_then(pushed: RepWorld, receiver: Receiver) -> None:
    pushed.erp.customer("10017", "R7", "R9")
    pushed.turn()
    (message,) = receiver.messages
    assert message["type"] == "portal.card"
    data = message["data"]
    assert (data["source"], data["customer"]) == ("erp", "10017")
    assert [rep["name"] for rep in data["card"]["reps"]] == ["Anna Rossi", "Bea Kim"]
    assert "+39 333 1" not in str(data)  # a private mobile is not released

    pushed.erp.customer("10017", "R7", "R9", phone="+39 1")  # nothing of the card
    pushed.turn()
    assert len(receiver.messages) == 1

    pushed.erp.customer("10017", "R9")
    pushed.turn()
    assert receiver.shown() == {"10017": ["Bea Kim"]}
    first, second = (message["data"]["version"] for message in receiver.messages)
    assert first < second
    job = pushed.world.job("extranet/card/10017")
    assert (job.state, job.queue, job.number, job.target) == ("settled", "sync", "10017", "extranet")


def test_a_rep_who_changes_reaches_every_card(pushed: RepWorld, receiver: Receiver) -> None:
    for number in ("1", "2", "3"):
        pushed.erp.customer(number, "R7")
    pushed.turn()
    pushed.erp.rep("R7", "Anna Bianchi")
    pushed.turn()
    assert receiver.shown() == {number: ["Anna Bianchi"] for number in ("1", "2", "3")}
    assert len(receiver.messages) == 6


def test_a_customer_who_is_gone_is_taken_out_once(pushed: RepWorld, receiver: Receiver) -> None:
    pushed.erp.customer("10017", "R7")
    pushed.turn()
    pushed.erp.customer("10017", "R7", business="agency")
    pushed.turn()
    pushed.turn()
    assert [message["type"] for message in receiver.messages] == ["portal.card", "portal.card.removed"]
    pushed.erp.customer("10017", "R7")
    pushed.turn()
    assert receiver.shown() == {"10017": ["Anna Rossi"]}


def test_a_customer_who_was_never_told_is_not_taken_out(pushed: RepWorld, receiver: Receiver) -> None:
    pushed.erp.customer("10017", "R7", business="agency")
    pushed.turn()
    assert receiver.messages == []


@pytest.mark.parametrize("status", [500, 503, 429, 404, 599])
def test_what_was_not_taken_is_told_again_until_it_is(make: Maker, status: int) -> None:
    receiver = Receiver(answer=lambda number: status if number < 4 else 204)
    world = told_by(make, receiver.portal())
    world.erp.customer("10017", "R7")
    world.turn()
    assert world.world.job("extranet/card/10017").state == "waiting"
    world.world.finish(fill=False)
    assert receiver.shown() == {"10017": ["Anna Rossi"]}
    assert len(set(receiver.ids)) == 1  # the same state under the same id, however often it was told
    assert world.world.job("extranet/card/10017").failures == 0  # an outage is no failure of this customer's


def test_a_refused_card_is_held_and_the_others_go_on(make: Maker) -> None:
    receiver = Receiver(answer=lambda number: 422 if number == 0 else 204)
    world = told_by(make, receiver.portal())
    world.erp.customer("1", "R7")
    world.erp.customer("2", "R7")
    world.turn()
    states = {number: world.world.job(f"extranet/card/{number}") for number in ("1", "2")}
    (held,) = [job for job in states.values() if job.state == "held"]
    assert "refused the card of this customer. What to do:" in held.reason
    assert len(receiver.shown()) == 1


def test_a_receiver_that_has_a_later_state_is_content(make: Maker) -> None:
    world = told_by(make, Receiver(answer=lambda _number: 409).portal())
    world.erp.customer("10017", "R7")
    world.turn()
    assert world.world.job("extranet/card/10017").state == "settled"


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Publications, "want"), (PushPortal, "publish"), (Publications, "told")],
    ids=["want", "send", "told"],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_leaves_no_card_behind(
    pushed: RepWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, when: str
) -> None:
    """`want` before: the card is kept and the portal was not told that it is another one."""
    pushed.turn()
    pushed.erp.customer("10017", "R7")
    real = getattr(owner, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, deadly)
        with pytest.raises(Killed):
            pushed.turn()
    pushed.world.finish(fill=False)
    assert receiver.shown() == {"10017": ["Anna Rossi"]}
    assert len(set(receiver.ids)) == 1


def test_nothing_is_told_before_the_flow_is_live(make: Maker, receiver: Receiver) -> None:
    world = told_by(make, receiver.portal(), live=False)
    world.erp.customer("10017", "R7")
    world.turn()
    assert receiver.seen == 0
    assert world.world.job("extranet/card/10017").error_class == "rehearsal"
    world.ledger.flows.set("reps", "live")
    world.ledger.flows.wake_rehearsed("reps")
    world.turn()
    assert receiver.shown() == {"10017": ["Anna Rossi"]}


def test_a_portal_that_comes_later_is_filled_by_the_look_over_everything(make: Maker, receiver: Receiver) -> None:
    world = told_by(make, receiver.portal())
    flow = world.context.reps["reps"]
    world.context.reps = {"reps": flow.model_copy(update={"portals": ()})}
    for number in ("1", "2"):
        world.erp.customer(number, "R7")
    world.turn()
    assert receiver.messages == []
    world.context.reps = {"reps": flow}
    assert publishing.look_over(world.context, flow, "extranet") == 2
    world.world.drain()
    assert set(receiver.shown()) == {"1", "2"}
    assert publishing.look_over(world.context, flow, "extranet") == 0


def test_everything_is_told_anew_on_request_as_a_later_version(pushed: RepWorld, receiver: Receiver) -> None:
    for number in ("1", "2"):
        pushed.erp.customer(number, "R7")
    pushed.turn()
    publishing.publish_all(pushed.context, pushed.context.reps["reps"], "extranet")
    pushed.world.drain()
    for number in ("1", "2"):
        told = [one["data"]["version"] for one in receiver.messages if one["data"]["customer"] == number]
        assert len(told) == 2
        assert told[0] < told[1]


# -- what the portal has is not always what it said --------------------------------------------------------------------


@pytest.mark.parametrize("status", [599, 500])
def test_a_state_that_comes_back_after_a_lost_answer_is_told(make: Maker, status: int) -> None:
    """A, then B whose answer is lost, then A again: the portal may show B."""
    receiver = Receiver(answer=lambda number: status if number == 1 else 204)
    world = told_by(make, receiver.portal())
    for code in ("R7", "R9", "R7"):
        world.erp.customer("10017", code)
        world.turn()
    world.world.finish(fill=False)
    assert receiver.shown() == {"10017": ["Anna Rossi"]}


def test_whoever_is_gone_after_a_lost_answer_is_taken_out(make: Maker) -> None:
    """The card may have arrived."""
    receiver = Receiver(answer=lambda number: 599 if number == 0 else 204)
    world = told_by(make, receiver.portal())
    world.erp.customer("10017", "R7")
    world.turn()
    world.erp.customer("10017", "R7", business="agency")
    world.turn()
    world.world.finish(fill=False)
    assert receiver.shown() == {}


def test_whoever_is_gone_while_everything_is_told_anew_is_taken_out(pushed: RepWorld, receiver: Receiver) -> None:
    pushed.erp.customer("10017", "R7")
    pushed.turn()
    publishing.publish_all(pushed.context, pushed.context.reps["reps"], "extranet")
    pushed.ledger.reps.forget_card("erp", "10017")
    pushed.world.drain()
    assert receiver.shown() == {}


def test_a_newer_card_than_was_wanted_is_a_version_of_its_own(make: Maker) -> None:
    """The answer to the wanted one was lost, and before it is told again the card is another one already."""
    receiver = Receiver(answer=lambda number: 599 if number == 0 else 204)
    world = told_by(make, receiver.portal())
    world.erp.customer("10017", "R7")
    world.turn()
    with pytest.MonkeyPatch.context() as patch:  # the worker that keeps the card is slower with the rest
        patch.setattr(publishing, "want", lambda *_args: 0)
        world.erp.customer("10017", "R9")
        world.turn()
        world.world.finish(fill=False)
    told = {one["data"]["card"]["reps"][0]["name"]: one["data"]["version"] for one in receiver.messages}
    assert told["Anna Rossi"] < told["Bea Kim"]


def test_a_request_for_everything_is_not_lost_to_a_card_on_its_way(pushed: RepWorld, receiver: Receiver) -> None:
    pushed.erp.customer("10017", "R7")
    pushed.turn()
    book = pushed.ledger.publications
    row = book.get("extranet", "erp", "10017")
    assert row is not None
    publishing.publish_all(pushed.context, pushed.context.reps["reps"], "extranet")
    book.told(row, row.wanted)  # the answer to what was sent before
    pushed.world.drain()
    assert len(receiver.messages) == 2


def test_a_ledger_from_an_older_backup_tells_later_versions(pushed: RepWorld, receiver: Receiver) -> None:
    from ledger import tables as t

    pushed.erp.customer("10017", "R7")
    pushed.turn()
    with pushed.ledger.db.write() as connection:
        before = connection.execute(t.publication.select()).mappings().one()
    for code in ("R9", "R7", "R9"):
        pushed.erp.customer("10017", code)
        pushed.turn()
    last = receiver.messages[-1]["data"]["version"]
    pushed.clock.skip(3600)
    with pushed.ledger.db.write() as connection:
        connection.execute(t.publication.delete())
        connection.execute(t.publication.insert().values(**before))
    publishing.publish_all(pushed.context, pushed.context.reps["reps"], "extranet")
    pushed.world.drain()
    assert receiver.messages[-1]["data"]["version"] >= last
    assert receiver.shown() == {"10017": ["Bea Kim"]}


def test_whoever_went_while_the_portal_was_not_told_is_found(pushed: RepWorld, receiver: Receiver) -> None:
    for number in ("1", "2", "3"):
        pushed.erp.customer(number, "R7")
    pushed.turn()
    flow = pushed.context.reps["reps"]
    pushed.context.reps = {"reps": flow.model_copy(update={"portals": ()})}
    for number in ("1", "3"):
        pushed.erp.customer(number, "R7", business="agency")
    pushed.turn()
    pushed.context.reps = {"reps": flow}
    assert publishing.look_over(pushed.context, flow, "extranet") == 2
    pushed.world.drain()
    assert set(receiver.shown()) == {"2"}
    assert publishing.look_over(pushed.context, flow, "extranet") == 0


def spoil(world: RepWorld, number: str) -> None:
    """The card that is kept cannot be read."""
    from ledger import tables as t

    with world.ledger.db.write() as connection:
        connection.execute(t.rep_card.update().where(t.rep_card.c.customer == number).values(card="{", digest="x"))


def test_a_card_that_cannot_be_read_stops_nobody_else(pushed: RepWorld, receiver: Receiver) -> None:
    for number in ("1", "2"):
        pushed.erp.customer(number, "R7")
    pushed.turn()
    spoil(pushed, "1")
    flow = pushed.context.reps["reps"]
    assert publishing.look_over(pushed.context, flow, "extranet") == 0
    publishing.publish_all(pushed.context, flow, "extranet")
    pushed.world.drain()
    assert pushed.world.job("extranet/card/1").state == "held"
    assert "cannot be read. What to do: " in pushed.world.job("extranet/card/1").reason
    assert pushed.world.job("extranet/card/2").state == "settled"


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "import"
    made.mkdir()
    return made


@pytest.fixture
def filed(make: Maker, folder: Path) -> RepWorld:
    return told_by(make, ks(folder))


def ks(folder: Path, **more: Any) -> kommerce.KommercePortal:
    facts = {"name": "ks", "folder": str(folder), "rep_column": 25, "own_business": "900", "gather": 0, **more}
    return kommerce.build(kommerce.KommerceSettings.model_validate(facts))


def files(folder: Path) -> dict[str, list[list[str]]]:
    """By name, in the order in which the portal takes them: rows as cells."""
    return {
        path.name: [row.split("\t") for row in path.read_bytes().decode().split("\r\n")[:-1]]
        for path in sorted(folder.iterdir())
        if path.name != HIDDEN
    }


def numbers(folder: Path) -> list[int]:
    found = [FileName.parse(name) for name in files(folder)]
    return [name.sequence for name in found if name is not None]


def reps_of(folder: Path) -> dict[str, str]:
    """Customer -> rep ids, after all files."""
    return {row[0]: row[24] for name, rows in files(folder).items() if "CUSTOMERS" in name for row in rows}


def everything(filed: RepWorld) -> None:
    filed.turn()
    filed.world.finish(fill=False)


def test_customers_come_first_then_who_serves_them(filed: RepWorld, folder: Path) -> None:
    filed.erp.customer("10017", "R7", "R9", phone="+39 1")
    everything(filed)
    found = files(folder)
    assert list(found) == ["OW_0000001_KS_CUSTOMERS.NET", "OW_0000002_KS_CONTACTS.NET"]
    customers, contacts = found.values()
    assert [(row[0], row[3], row[11], row[24]) for row in customers] == [("10017", "Customer 10017", "+39 1", "R7,R9")]
    assert [(row[0], row[2], row[5], row[11], row[16] if len(row) > 16 else "") for row in contacts] == [
        ("REP-R7", "Anna Rossi", "r7@firm.example", "900", ""),
        ("REP-R9", "Bea Kim", "r9@firm.example", "900", ""),
    ]


def test_a_change_comes_in_the_next_file_alone(filed: RepWorld, folder: Path) -> None:
    for number in ("1", "2", "3"):
        filed.erp.customer(number, "R7")
    everything(filed)
    before = set(files(folder))
    filed.erp.customer("2", "R9")
    everything(filed)
    (fresh,) = set(files(folder)) - before
    assert fresh.endswith("_KS_CUSTOMERS.NET")  # no rep changed
    assert [row[0] for row in files(folder)[fresh]] == ["2"]
    filed.erp.rep("R7", "Anna Bianchi")
    everything(filed)
    name, rows = list(files(folder).items())[-1]
    assert name.endswith("_KS_CONTACTS.NET")  # no customer's rep ids changed: they are not told again
    assert [row[2] for row in rows] == ["Anna Bianchi"]
    assert numbers(folder) == list(range(1, len(numbers(folder)) + 1))
    assert reps_of(folder) == {"1": "R7", "2": "R9", "3": "R7"}


def test_an_address_that_changed_is_told_though_the_card_is_the_same(filed: RepWorld, folder: Path) -> None:
    filed.erp.customer("1", "R7")
    everything(filed)
    filed.erp.customer("1", "R7", phone="+39 2")
    everything(filed)
    assert list(files(folder).values())[-1][0][11] == "+39 2"


def test_changes_that_follow_closely_are_gathered(make: Maker, folder: Path) -> None:
    world = told_by(make, ks(folder, gather=60.0))
    world.erp.customer("1", "R7")
    everything(world)
    count = len(files(folder))
    for number in ("2", "3", "4"):
        world.erp.customer(number, "R9")
        world.turn()
    assert len(files(folder)) == count
    world.clock.skip(61)
    world.world.drain()
    assert len(files(folder)) == count + 1
    assert [row[0] for row in list(files(folder).values())[-1]] == ["2", "3", "4"]


def test_everything_on_request_is_a_full_pair(filed: RepWorld, folder: Path) -> None:
    for number in ("1", "2"):
        filed.erp.customer(number, "R7")
    everything(filed)
    flow = filed.context.reps["reps"]
    publishing.publish_all(filed.context, flow, "ks")
    filed.world.drain()
    customers, contacts = list(files(folder))[-2:]
    assert (customers[-4:], contacts[-4:]) == ("FULL", "FULL")
    assert [row[0] for row in files(folder)[customers]] == ["1", "2"]
    assert len(files(folder)[contacts]) == 2
    filed.erp.customer("1", "R9")
    everything(filed)
    assert list(files(folder))[-1].endswith("KS_CUSTOMERS.NET")


def test_a_full_file_that_would_empty_the_portal_is_held(filed: RepWorld, folder: Path) -> None:
    for number in range(10):
        filed.erp.customer(str(number), "R7")
    everything(filed)
    flow = filed.context.reps["reps"]
    for left in ("0", "1"):
        filed.ledger.reps.forget_card("erp", left)
    publishing.publish_all(filed.context, flow, "ks")
    filed.world.drain()
    held = filed.world.job("ks/files/erp")
    assert held.state == "held"
    assert "would hold 8 customers, and 10 are shown there" in held.reason
    assert not any(name.endswith("FULL") for name in files(folder))
    filed.erp.customer("5", "R9")  # what changes goes on
    everything(filed)
    assert list(files(folder).values())[-1][0][0] == "5"
    publishing.publish_all(filed.context, flow, "ks", confirmed=True)
    filed.world.drain()
    assert [len(rows) for name, rows in files(folder).items() if name.endswith("CUSTOMERS.FULL")] == [8]


def test_a_full_file_is_held_where_too_many_cannot_be_told(filed: RepWorld, folder: Path) -> None:
    """They have cards, but those are not for the file: the portal would lose them."""
    for number in range(10):
        filed.erp.customer(str(number), "R7")
    everything(filed)
    for spoilt in ("0", "1"):
        spoil(filed, spoilt)
    publishing.publish_all(filed.context, filed.context.reps["reps"], "ks")
    filed.world.drain()
    held = filed.world.job("ks/files/erp")
    assert held.state == "held"
    assert "would hold 8 customers, and 10 are shown there" in held.reason
    assert "`orderwire reps publish ks --confirm`" in held.reason


def test_whoever_a_full_file_left_out_comes_back_with_a_later_one(filed: RepWorld, folder: Path) -> None:
    for number in range(20):
        filed.erp.customer(f"{number:02}", "R7")
    everything(filed)
    kept = filed.card("07")
    spoil(filed, "07")
    flow = filed.context.reps["reps"]
    publishing.publish_all(filed.context, flow, "ks")
    filed.world.drain()
    full = next(rows for name, rows in files(folder).items() if name.endswith("CUSTOMERS.FULL"))
    assert "07" not in [row[0] for row in full]
    count = len(files(folder))
    filed.erp.customer("08", "R7")  # the same as before: nothing to tell, and no empty file either
    everything(filed)
    assert len(files(folder)) == count

    from ledger import tables as t

    with filed.ledger.db.write() as connection:
        mended = t.rep_card.update().where(t.rep_card.c.customer == "07")
        connection.execute(mended.values(card=kept.card, digest=kept.digest))
    filed.erp.customer("08", "R9")
    everything(filed)
    assert [row[0] for row in list(files(folder).values())[-1]] == ["07", "08"]


def test_a_customer_whose_rep_cannot_be_written_is_held_alone(filed: RepWorld, folder: Path) -> None:
    filed.erp.rep("R7,X", "Two In One")
    filed.erp.customer("1", "R7,X")
    filed.erp.customer("2", "R7")
    everything(filed)
    assert filed.world.job("erp/customer/1").state == "held"
    assert "rep_separator" in filed.world.job("erp/customer/1").reason
    assert reps_of(folder) == {"2": "R7"}


def test_what_a_portal_cannot_take_keeps_no_owner_from_following(make: Maker, folder: Path) -> None:
    filed = told_by(make, ks(folder), target="crm")
    account = filed.account("1")
    filed.erp.rep("R7,X", "Two In One")
    filed.erp.customer("1", "R9", "R7,X")
    everything(filed)
    assert filed.world.job("erp/customer/1").state == "held"
    assert filed.owner(account) == "R9"


def test_tabs_and_line_ends_in_a_name_move_nothing(filed: RepWorld, folder: Path) -> None:
    filed.erp.customer("1", "R7", name="Blue\tLtd\r\nof Essen")
    everything(filed)
    ((row,), _) = files(folder).values()
    assert (row[0], row[3], row[24]) == ("1", "Blue Ltd of Essen", "R7")


STEPS = {
    "begin": (Publications, "begin_file"),
    "gather": (Publications, "gather"),
    "write": (Folder, "write"),
    "note": (Folder, "note"),
    "staged": (Publications, "staged"),
    "give": (Folder, "give"),
    "given": (Publications, "given"),
}


@pytest.mark.parametrize("taken", [False, True], ids=["there", "taken"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_step_no_number_is_skipped_or_used_twice(
    filed: RepWorld, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str, taken: bool
) -> None:
    """`taken`: the portal is quicker than we come back."""
    filed.erp.customer("1", "R7")
    everything(filed)
    archive: list[tuple[str, bytes]] = []
    _take(folder, archive)
    filed.erp.customer("2", "R9")
    owner, name = STEPS[step]
    real = getattr(owner, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, deadly)
        with pytest.raises(Killed):
            filed.turn()
    if taken:
        _take(folder, archive)
    filed.clock.skip(filed.ledger.jobs.lease + 1)
    filed.erp.customer("3", "R7")
    everything(filed)
    _take(folder, archive)
    found = [FileName.parse(name) for name, _ in archive]
    assert [one.sequence for one in found if one is not None] == list(range(1, len(archive) + 1))
    last = {row.split("\t")[0]: row.split("\t")[24] for name, raw in archive if "CUST" in name for row in _rows(raw)}
    assert last == {"1": "R7", "2": "R9", "3": "R7"}
    assert not filed.ledger.publications.untold("ks", "erp", gone=False)
    assert filed.ledger.publications.unfinished("ks") is None


def _take(folder: Path, archive: list[tuple[str, bytes]]) -> None:
    """As the portal does: in the order of their numbers, and away."""
    for path in sorted(folder.iterdir()):
        if path.name != HIDDEN:
            archive.append((path.name, path.read_bytes()))
            path.unlink()


def _rows(raw: bytes) -> list[str]:
    return raw.decode().split("\r\n")[:-1]


def test_a_ledger_from_an_older_backup_uses_no_number_again(filed: RepWorld, folder: Path) -> None:
    filed.erp.customer("1", "R7")
    everything(filed)
    with filed.ledger.db.write() as connection:
        from ledger import tables as t

        connection.execute(t.portal_file.delete())
        connection.execute(t.publication.delete())
        connection.execute(t.portal_contact.delete())
    filed.erp.customer("1", "R9")
    filed.turn()
    held = filed.world.job("ks/files/erp")
    assert held.state == "held"
    assert "write first = 3 into this connection" in held.reason
    filed.context.publishers = {"ks": ks(folder, first=3)}
    filed.ledger.jobs.retry(held.id)
    everything(filed)
    assert numbers(folder) == [1, 2, 3, 4]
    assert reps_of(folder) == {"1": "R9"}


def test_a_folder_that_is_away_loses_nothing(filed: RepWorld, folder: Path) -> None:
    away = folder.rename(folder.with_name("away"))
    filed.erp.customer("1", "R7")
    filed.turn()
    assert filed.world.job("ks/files/erp").state == "waiting"
    away.rename(folder)
    filed.world.finish(fill=False)
    assert reps_of(folder) == {"1": "R7"}


def test_a_hundred_customers_are_one_file_in_pages(
    filed: RepWorld, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "PAGE", 7)
    for number in range(40):
        filed.erp.customer(f"{number:03}", "R7")
    filed.turn()
    publishing.publish_all(filed.context, filed.context.reps["reps"], "ks")
    filed.world.drain()
    full = [rows for name, rows in files(folder).items() if name.endswith("CUSTOMERS.FULL")]
    assert [row[0] for row in full[0]] == [f"{number:03}" for number in range(40)]
    assert not filed.ledger.publications.untold("ks", "erp", gone=False)


def test_a_worker_that_comes_back_late_finishes_no_file_again(filed: RepWorld, folder: Path) -> None:
    """It was taken for dead; another one has given the file meanwhile."""
    filed.erp.customer("1", "R7")
    everything(filed)
    last = filed.ledger.publications.last_file("ks")
    assert last is not None
    assert last.state == "given"
    with pytest.raises(LeaseLost):
        filed.ledger.publications.staged(last, 1)
    assert filed.ledger.publications.unfinished("ks") is None

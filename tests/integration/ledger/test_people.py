"""People, links, sessions and tokens in the ledger: what holds when several do the same at once, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa

from core.errors import OrderwireError
from core.rights import Role, Scope
from ledger import Ledger
from ledger import tables as t
from ledger.people import Person


def begun(ledger: Ledger, name: str, role: Role = Role.ADMIN) -> Person:
    person = ledger.people.add(name, role, by="test")
    ledger.people.set_password(person.id, "kept", by="test")
    return person


def together(*works: Callable[[], object]) -> list[object]:
    """Begun at the same moment; what each gave or raised."""
    start, ended = Barrier(len(works)), dict.fromkeys(range(len(works)), object())

    def run(place: int) -> None:
        start.wait()
        try:
            ended[place] = works[place]()
        except OrderwireError as error:
            ended[place] = error

    threads = [Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(ended.values())


def test_two_first_links_at_the_same_moment_make_one_administrator(open_ledger: Callable[..., Ledger]) -> None:
    one, other = open_ledger(), open_ledger()
    first, second = one.people.first_link(), other.people.first_link()
    made = together(
        lambda: one.people.use(first, "kept", name="Anna"), lambda: other.people.use(second, "kept", name="Bert")
    )
    assert sum(person is not None for person in made) == 1
    assert len(one.people.list()) == 1
    assert one.audit.verify().intact


def test_one_link_used_twice_at_the_same_moment(open_ledger: Callable[..., Ledger]) -> None:
    one, other = open_ledger(), open_ledger()
    token = one.people.link(begun(one, "Anna").id, by="test")
    made = together(lambda: one.people.use(token, "mine"), lambda: other.people.use(token, "theirs"))
    assert sum(person is not None for person in made) == 1


def test_two_administrators_cannot_shut_each_other_out(open_ledger: Callable[..., Ledger]) -> None:
    one, other = open_ledger(), open_ledger()
    anna, bert = begun(one, "Anna"), begun(one, "Bert")
    together(
        lambda: one.people.set_disabled(anna.id, True, by="Bert"),
        lambda: other.people.set_role(bert.id, Role.VIEWER, by="Anna"),
    )
    able = [p for p in one.people.list() if p.role is Role.ADMIN and p.disabled_at is None]
    assert len(able) == 1


def test_the_same_name_twice_at_the_same_moment(open_ledger: Callable[..., Ledger]) -> None:
    one, other = open_ledger(), open_ledger()
    made = together(
        lambda: one.people.add("Anna", Role.VIEWER, by="test"), lambda: other.people.add("ANNA", Role.VIEWER, by="test")
    )
    assert sum(isinstance(one_, OrderwireError) for one_ in made) == 1
    assert len(one.people.list()) == 1


def test_no_secret_is_kept(ledger: Ledger) -> None:
    person = begun(ledger, "Anna")
    secrets = [
        ledger.people.link(person.id, by="test"),
        ledger.sessions.open(person),
        ledger.sessions.make_token(person, "nightly", [Scope.READ]),
    ]
    everything = "".join(
        str(tuple(row))
        for table in (t.person, t.session, t.one_time_link, t.api_token, t.audit)
        for row in ledger.db.rows(sa.select(table))
    )
    assert all(len(secret) >= 43 for secret in secrets)
    assert not any(secret in everything for secret in secrets)


def test_links_of_a_disabled_person_are_over(ledger: Ledger) -> None:
    begun(ledger, "Anna")
    bert = begun(ledger, "Bert", Role.VIEWER)
    token = ledger.people.link(bert.id, by="test")
    ledger.people.set_disabled(bert.id, True, by="test")
    assert ledger.people.look(token) is None
    with pytest.raises(OrderwireError, match="disabled"):
        ledger.people.link(bert.id, by="test")
    ledger.people.set_disabled(bert.id, False, by="test")
    assert ledger.people.look(token) is None, "they stay over"


def test_sessions_that_are_over_are_forgotten(ledger: Ledger) -> None:
    person = begun(ledger, "Anna")
    ledger.sessions.open(person)
    ledger.db.execute(sa.update(t.session).values(seen_at=1))
    ledger.sessions.open(person)
    assert len(ledger.db.rows(sa.select(t.session))) == 1


def test_reading_pages_does_not_write(ledger: Ledger) -> None:
    person = begun(ledger, "Anna")
    secret = ledger.sessions.open(person)
    [before] = ledger.db.rows(sa.select(t.session.c.seen_at))
    for _ in range(3):
        assert ledger.sessions.find(secret)
    assert ledger.db.rows(sa.select(t.session.c.seen_at)) == [before]


@pytest.mark.parametrize("login", ["", "\x00", "x" * 10_000, "@", "' OR 1=1 --", "machine"])
def test_odd_names_are_nobody(ledger: Ledger, login: str) -> None:
    begun(ledger, "Anna")
    ledger.people.add("Bert", Role.VIEWER, by="test")
    assert ledger.people.named(login) is None


def test_two_without_an_address_are_fine_and_two_with_one_are_not(ledger: Ledger) -> None:
    for name in ("Anna", "Bert"):
        ledger.people.add(name, Role.VIEWER, by="test")
    ledger.people.add("Carl", Role.VIEWER, email="C@example.com", by="test")
    with pytest.raises(OrderwireError, match="already"):
        ledger.people.add("Dora", Role.VIEWER, email="c@EXAMPLE.com", by="test")

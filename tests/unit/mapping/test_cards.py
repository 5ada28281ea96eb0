"""What leaves the house of a resolution: released fields alone, nothing that acts, and never why."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import Key
from mapping.canonical import Absence, Agency, ErpCustomer, RepAssignment, SalesRep
from mapping.cards import LONGEST, MOST, Card, CardRep, card_of, mailto_of, shown, team_card, tel_of
from mapping.reps import Directory, resolve
from tests import hostile

DAY = date(2026, 11, 22)
LATER = DAY + timedelta(days=9)


def rep(code: str, **over: Any) -> SalesRep:
    facts = {
        "name": f"Rep {code}",
        "email": f"{code}@us.example",
        "phone": "+49 30 1",
        "mobile": "+49 151 12345",
        **over,
    }
    return SalesRep(key=Key("erp", "rep", code), **{"photo": "https://us.example/p.jpg", "languages": ("de",), **facts})


def serves(code: str, **over: Any) -> RepAssignment:
    return RepAssignment(**{"subject": "customer", "subject_id": "10017", "rep": code, **over})


def card(directory: Directory, *assignments: RepAssignment, day: date = DAY) -> Card:
    customer = ErpCustomer(key=Key("erp", "customer", "10017"), name="Office Ltd", assignments=assignments)
    return card_of(resolve(directory, customer, day), directory, customer, day)


def test_several_with_their_roles_the_nearest_first() -> None:
    directory = Directory(reps=(rep("R1"), rep("R2", title="Innendienst")))
    made = card(directory, serves("R2", role="inside", rank=0), serves("R1", rank=3), serves("R1", role="field"))
    assert [(one.code, one.roles) for one in made.reps] == [("R1", ("primary", "field")), ("R2", ("inside",))]
    assert [one["title"] for one in shown(made)["reps"]] == ["Your contact, Field sales", "Innendienst"]
    assert (made.customer, made.name, made.team) == ("10017", "Office Ltd", False)


EVERYTHING = frozenset({"email", "phone", "mobile", "photo", "languages", "title"})


SOME: Final = ((), tuple(sorted(EVERYTHING)), *((one,) for one in sorted(EVERYTHING)))


@pytest.mark.parametrize("released", SOME, ids="-".join)
def test_only_what_is_released_leaves(released: tuple[Any, ...]) -> None:
    directory = Directory(reps=(rep("R1", title="Boss", released=frozenset(released)),))
    (one,) = card(directory, serves("R1")).reps
    assert {name for name in EVERYTHING if getattr(one, name)} == set(released)


def test_a_private_mobile_stays_unless_released() -> None:
    text = json.dumps(shown(card(Directory(reps=(rep("R1"),)), serves("R1"))))
    assert "15112345" not in text.replace(" ", "")
    assert "p.jpg" not in text


def test_what_only_systems_need_is_not_shown() -> None:
    directory = Directory(
        reps=(rep("R-SECRET", agency="AG-SECRET", name="Anna"),),
        agencies=(Agency(code="AG-SECRET", name="Partner Ltd", own=False),),
    )
    made = card(directory, serves("R-SECRET", agency="AG-SECRET"))
    assert (made.reps[0].code, made.reps[0].agency) == ("R-SECRET", "AG-SECRET")
    told = shown(made)
    told["reps"][0].update(email="", mailto="")
    assert "SECRET" not in json.dumps(told)
    assert "Office Ltd" not in json.dumps(told)
    assert (told["reps"][0]["partner"], told["reps"][0]["firm"]) == (True, "Partner Ltd")


def test_the_own_companys_agency_is_no_partner() -> None:
    directory = Directory(reps=(rep("R1", agency="US"),), agencies=(Agency(code="US", name="Us", own=True),))
    assert card(directory, serves("R1", agency="US")).reps[0].partner is False


def away(first: date, last: date | None, deputy: str = "R2") -> Absence:
    return Absence(rep="R1", first=first, last=last, deputy=deputy)


@pytest.mark.parametrize(
    ("absences", "until"),
    [
        ((away(DAY, LATER),), LATER),
        ((away(DAY, DAY), away(DAY + timedelta(1), LATER)), LATER),
        ((away(DAY, DAY), away(DAY + timedelta(2), LATER)), DAY),
        ((away(DAY - timedelta(9), DAY - timedelta(1)), away(DAY, LATER)), LATER),
        ((away(DAY, None),), None),
        ((away(DAY, DAY), away(DAY + timedelta(1), None)), None),
        ((away(DAY, date.max),), None),
    ],
    ids=["once", "one after the other", "a day between", "one is over", "open", "open at last", "for ever"],
)
def test_who_is_away_is_named_as_long_as_they_come_back(absences: tuple[Absence, ...], until: date | None) -> None:
    made = card(Directory(reps=(rep("R1"), rep("R2")), absences=absences), serves("R1"))
    assert [one.code for one in made.reps] == ["R2"]
    assert made.reps[0].away_until == until
    assert made.reps[0].stands_in_for == ("Rep R1" if until else "")


def test_who_has_left_is_named_nowhere() -> None:
    directory = Directory(reps=(rep("R1", active=False, name="Leaver"), rep("R2")), absences=(away(DAY, LATER),))
    made = card(directory, serves("R1"))
    assert [one.name for one in made.reps] == ["Rep R2"]
    assert "Leaver" not in made.model_dump_json()


def test_nobody_is_named_where_it_is_not_clear_who_is_away() -> None:
    reps = (rep("R1", agency="A", name="Anna A"), rep("R1", agency="B", name="Bert B"), rep("R2"))
    absences = tuple(Absence(rep="R1", agency=agency, first=DAY, last=LATER, deputy="R2") for agency in "AB")
    made = card(Directory(reps=reps, absences=absences), serves("R1", agency="A"))
    assert [(one.name, one.stands_in_for) for one in made.reps] == [("Rep R2", "")]


def test_why_is_not_told() -> None:
    directory = Directory(reps=(rep("R1"), rep("R2")), absences=(away(DAY, LATER),))
    found = resolve(directory, ErpCustomer(key=Key("erp", "customer", "10017"), assignments=(serves("R1"),)), DAY)
    assert found.reps[0].why
    assert found.reps[0].why not in card(directory, serves("R1")).model_dump_json()


def test_an_unknown_customer_gets_the_teams_card_as_one_without_reps_does() -> None:
    team = RepAssignment(subject="team", rep="T1", role="team")
    directory = Directory(reps=(rep("T1", name="Our team"),), assignments=(team,))
    known, unknown = card(directory), team_card(directory, DAY)
    assert known.team
    assert shown(known, customer="1") == shown(unknown, customer="1")
    assert card(Directory()) == Card(customer="10017", name="Office Ltd", reps=(), team=True)


def test_a_department_is_cut() -> None:
    reps = tuple(rep(f"R{n}") for n in range(MOST + 5))
    assert len(card(Directory(reps=reps), *(serves(one.code) for one in reps)).reps) == MOST


@pytest.mark.parametrize(
    ("phone", "tel"),
    [
        ("+49 (0)30 123-45", "tel:+493012345"),
        ("030/123 45 67", "tel:0301234567"),
        ("+1 (212) 555-0100 ext. 12", "tel:+12125550100;ext=12"),
        ("+1 212.555.0100x7", "tel:+12125550100;ext=7"),
        ("110", "tel:110"),
        ("12", ""),
        ("ask Mia", ""),
        ("+49 30 12 / +49 30 13", ""),
        ("javascript:alert(1)", ""),
        ("123;phone-context=evil", ""),
        ("\N{ARABIC-INDIC DIGIT ONE}" * 5, ""),
        ("1" * 40, ""),
        ("", ""),
    ],
)
def test_what_can_be_dialled(phone: str, tel: str) -> None:
    assert tel_of(phone) == tel


@pytest.mark.parametrize(
    ("email", "link"),
    [
        ("mia@us.example", "mailto:mia@us.example?subject=Customer%2010017"),
        ("mia+vip@us.example", "mailto:mia%2Bvip@us.example?subject=Customer%2010017"),
        ("jörg@müller.example", "mailto:j%C3%B6rg@m%C3%BCller.example?subject=Customer%2010017"),
        ("a@b.example?bcc=all@evil.example", ""),
        ("a@b.example,c@evil.example", ""),
        ("a@b.example\r\nBcc: c@evil.example", ""),
        ("Mia <mia@us.example>", ""),
        ("mia", ""),
        ("", ""),
    ],
)
def test_whom_one_can_write_to(email: str, link: str) -> None:
    assert mailto_of(email, "Customer 10017") == link


def test_a_subject_stays_a_subject() -> None:
    link = mailto_of("mia@us.example", "1&bcc=all@evil.example#x\r\nBcc: y")
    fields = parse_qs(urlsplit(link).query)
    assert list(fields) == ["subject"]
    assert "\n" not in fields["subject"][0]


HARMLESS_LINK = re.compile(
    r"tel:\+?[0-9]+(;ext=[0-9]+)?|mailto:[^\s?&<>\"']+@[^\s?&<>\"']+(\?subject=[A-Za-z0-9._~%-]+)?"
)


def harmless(made: Card) -> None:
    for one in shown(made)["reps"]:
        links = [one[name] for name in ("tel", "mobile_tel", "mailto") if one[name]]
        assert all(HARMLESS_LINK.fullmatch(link) for link in links), links
        assert not one["photo"] or re.fullmatch(r"https://[^\s\"'<>]+", one["photo"])
        texts = [text for value in one.values() for text in (value if isinstance(value, list) else [value])]
        assert all(len(text) <= LONGEST + 400 and not re.search(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text)
                   for text in texts if isinstance(text, str))  # fmt: skip
    json.dumps(shown(made)).encode("ascii")
    assert Card.model_validate_json(made.model_dump_json()) == made


def of_text(text: str) -> Card:
    text = text.encode("utf-8", "replace").decode()  # halves of characters get into no canonical model
    facts = dict.fromkeys(("name", "title", "email", "phone", "mobile", "photo"), text)
    reps = (
        rep("R1", **{**facts, "languages": (text,), "released": EVERYTHING, "agency": "A"}),
        rep("R2", **{**facts, "released": EVERYTHING}),
    )
    agencies = (Agency(code="A", name=text, own=False),)
    absences = (Absence(rep="R2", first=DAY, last=LATER, deputy="R1"),)
    directory = Directory(reps=reps, agencies=agencies, absences=absences)
    return card(directory, serves("R1", agency="A", role=text or "x"), serves("R2", role="service"))


@pytest.mark.parametrize("at", range(len(hostile.KINDS)), ids=list(hostile.KINDS))
def test_hostile_names_are_harmless(at: int) -> None:
    texts = hostile.texts(20 * len(hostile.KINDS))[at :: len(hostile.KINDS)]
    assert len(texts) == 20
    for text in texts:
        harmless(of_text(text))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_any_name_is_harmless(text: str) -> None:
    harmless(of_text(text))


def test_a_card_says_what_it_is_made_of() -> None:
    """Whoever adds a field thinks of who will see it."""
    names = {"name", "roles", "title", "email", "phone", "mobile", "photo", "languages", "partner", "firm"}
    assert set(CardRep.model_fields) == names | {"stands_in_for", "away_until", "code", "agency"}
    links = {"mailto", "tel", "mobile_tel"}
    assert set(shown(Card(customer="1", reps=(CardRep(name="x"),)))["reps"][0]) == names | links | {
        "stands_in_for",
        "away_until",
    }

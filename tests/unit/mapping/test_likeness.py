"""Customers of the store and rows of the ERP against accounts and contacts of the CRM; accounts that are doubles."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import Key
from mapping.canonical import Address, Customer, Party, Person
from mapping.identity import MatchKind
from mapping.likeness import Doubles, Likeness, LikenessRules, Parties, doubles, erp_customer
from mapping.matching import Candidate

VAT, OTHER_VAT = "DE136695976", "DE129274202"


def customer(company: str = "Müller & Co KG", **changes: Any) -> Customer:
    own = {"first_name": "Jörg", "last_name": "Müller", "email": "einkauf@mueller.example"}
    address = Address(country="DE", postal_code=changes.pop("code", ""))
    person = Person(**{**own, **{name: changes.pop(name) for name in list(changes) if name in Person.model_fields}})
    return Customer(key=Key("shop", "customer", "1"), company=company, person=person, billing=address, **changes)


def account(id: str, name: str = "Anders AG", **fields: Any) -> Candidate:
    return Candidate.of(Party(kind="account", id=id, name=name, country="DE", **fields), "DE")


def contact(id: str, at: str, email: str) -> Candidate:
    return Candidate.of(Party(kind="contact", id=id, account_id=at, name="X", emails=(email,)), "DE")


def ask(who: Customer, *parties: Candidate, codes: dict[str, str] | None = None, **rules: Any) -> Likeness:
    return Parties(parties, region="DE", postal_codes=codes, rules=LikenessRules(**rules)).like(who)


CERTAIN: dict[str, tuple[Customer, Candidate, str]] = {
    "name and phone": (
        customer(phone="030 1234567"),
        account("1", "Müller KG", phones=("+49 30 1234567",)),
        "same phone number",
    ),
    "VAT number in another notation": (
        customer(vat_number=VAT),
        account("1", "Mueller und Co", vat_number="DE 136 695 976"),
        "same VAT number",
    ),
    "customer number": (
        customer(erp_number="k-7"),
        account("1", "MÜLLER & CO", erp_number="K-7"),
        "same customer number",
    ),
    "e-mail, another spelling of the name": (
        customer(),
        account("1", "Müller Co.", emails=("Einkauf@Mueller.example",)),
        "same e-mail address",
    ),
    "VAT number, only a similar name": (
        customer(vat_number=VAT),
        account("1", "Mueler & Co", vat_number=VAT),
        "similar name: muler",
    ),
}


@pytest.mark.parametrize("case", CERTAIN)
def test_certain(case: str) -> None:
    who, there, reason = CERTAIN[case]
    verdict = ask(who, there, account("2", "Ganz anders"))
    assert verdict.grade == "certain"
    assert verdict.found is not None
    assert verdict.found.account == "1"
    assert reason in verdict.found.reasons


DOUBTFUL: dict[str, tuple[Customer, Candidate, str, str]] = {
    "the name alone": (customer(), account("1", "MUELLER UND CO."), "same company name", ""),
    "a similar name": (
        customer("Druckerei Sonnenberg GmbH"),
        account("1", "Sonneberg Druckerei"),
        "similar name: sonneberg druckerei",
        "",
    ),
    "a longer name": (
        customer("Druckerei Sonnenberg GmbH"),
        account("1", "Druckerei Sonnenberg Niederlassung Ost"),
        "similar name: druckerei sonnenberg niederlassung ost",
        "",
    ),
    "e-mail, but another company": (
        customer(),
        account("1", "Anders AG", emails=("einkauf@mueller.example",)),
        "same e-mail address",
        "company is called anders",
    ),
    "e-mail, but another VAT number": (
        customer(vat_number=VAT),
        account("1", "Müller", emails=("einkauf@mueller.example",), vat_number=OTHER_VAT),
        "same e-mail address",
        f"VAT number is {OTHER_VAT}, not {VAT}",
    ),
    "VAT number, but another customer number": (
        customer(vat_number=VAT, erp_number="K-1"),
        account("1", "Müller", vat_number=VAT, erp_number="K-2"),
        "same VAT number",
        "customer number is K-2, not K-1",
    ),
    "the phone alone": (
        customer("Neu", phone="030 1234567"),
        account("1", "", phones=("+49 30 1234567",)),
        "same phone number",
        "",
    ),
    "a colleague's e-mail": (
        customer(),
        account("1", "", emails=("office@mueller.example",)),
        "same domain of the e-mail address",
        "",
    ),
    "a person's name": (customer(""), account("1", "Müller Jörg"), "similar name: muller iorg", ""),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_doubtful(case: str) -> None:
    who, there, reason, against = DOUBTFUL[case]
    verdict = ask(who, there, account("2", "Ganz anders"))
    assert verdict.grade == "doubtful"
    assert verdict.found is None
    assert [one.account for one in verdict.candidates] == ["1"]
    assert reason in verdict.candidates[0].reasons
    assert verdict.candidates[0].against == ((against,) if against else ())


NONE: dict[str, tuple[Customer, Candidate]] = {
    "nothing": (customer(), account("1")),
    "a name of the same trade": (customer("Druckerei Sonnenberg"), account("1", "Druckerei Mondtal")),
    "the name, but another VAT number": (customer(vat_number=VAT), account("1", "Müller", vat_number=OTHER_VAT)),
    "the same provider of mail": (customer(email="a@gmx.de"), account("1", "", emails=("b@gmx.de",))),
    "a first name": (customer("", last_name="", email=""), account("1", "Jörg GmbH")),
    "a mandatory field without sense": (customer("privat", email="x@y.example"), account("1", "Privat")),
}


@pytest.mark.parametrize("case", NONE)
def test_none(case: str) -> None:
    verdict = ask(*NONE[case])
    assert (verdict.grade, verdict.candidates) == ("none", ())


def test_the_contact_is_told() -> None:
    verdict = ask(customer(), account("1", "Müller"), contact("9", "1", "einkauf@mueller.example"))
    assert verdict.found is not None
    assert (verdict.found.account, verdict.found.contact) == ("1", "9")
    two = ask(customer(), *(contact(id, "1", "einkauf@mueller.example") for id in "89"))
    assert two.found is not None
    assert (two.found.account, two.found.contact) == ("1", "")


def test_a_contact_of_nobody() -> None:
    verdict = ask(customer(""), contact("9", "", "einkauf@mueller.example"))
    assert verdict.found is not None
    assert verdict.found.name == "contact/9"
    assert verdict.accounts == frozenset()


def test_two_are_never_resolved_silently() -> None:
    rivals = [account("1", "Müller", emails=("einkauf@mueller.example",)), account("2", "Anders", vat_number=VAT)]
    verdict = ask(customer(vat_number=VAT), *rivals)
    assert verdict.grade == "doubtful"
    assert {one.account for one in verdict.candidates} == {"1", "2"}


def test_one_who_shares_the_name_alone_is_no_rival() -> None:
    verdict = ask(customer(vat_number=VAT), account("1", "Müller", vat_number=VAT), account("2", "MUELLER GmbH"))
    assert verdict.grade == "certain"


def test_doubles_are_all_candidates() -> None:
    """The second has nothing in common with the customer but its double."""
    first = account("1", "Müller & Co", vat_number=VAT, phones=("030 1234567",))
    second = account("2", "MUELLER GmbH", phones=("030/1234567",))
    who = customer("Neuer Name", vat_number=VAT, email="neu@neu.example")
    assert ask(who, first).candidates[0].account == "1"
    verdict = ask(who, first, second)
    assert verdict.grade == "doubtful"
    assert [one.account for one in verdict.candidates] == ["1", "2"]
    assert verdict.candidates[1].reasons == ("looks like a double of 1",)
    assert "more than once" in verdict.note


def test_the_postal_code_helps_a_name() -> None:
    with_code = ask(customer(code="10 115"), account("1", "Müller"), codes={"1": "10115"})
    without = ask(customer(code="10115"), account("1", "Müller"), codes={"1": "50667"})
    assert with_code.candidates[0].score == without.candidates[0].score + 10
    assert "same postal code" in with_code.candidates[0].reasons


def test_rules_can_be_set() -> None:
    there = account("1", "Müller", emails=("einkauf@mueller.example",))
    assert ask(customer(), there).grade == "certain"
    assert ask(customer(), there, email=10, certain_from=60).grade == "doubtful"
    assert ask(customer(), account("1", "Müller"), doubtful_from=50).grade == "none"
    sloppy = customer("Druckerei Sonnenberg"), account("1", "Druckerei Sonnental")
    assert ask(*sloppy, similar_from=0.95).grade == "none"
    assert ask(*sloppy, similar_from=0.6).grade == "doubtful"


def test_a_row_of_the_erp() -> None:
    who = erp_customer(
        "erp", "K-7", name="Müller KG", vat="DE 136695976", email="einkauf@mueller.example", phone="030 1234567"
    )
    assert str(who.key) == "erp/customer/K-7"
    verdict = ask(who, account("1", "Müller", erp_number="k-7", vat_number=VAT, phones=("+49301234567",)))
    assert verdict.found is not None
    assert verdict.found.score == 100
    assert verdict.found.reasons == (
        "same customer number",
        "same VAT number",
        "same phone number",
        "same company name",
    )


def test_a_domain_that_many_have_is_a_providers() -> None:
    many = [account(str(n), "", emails=(f"a{n}@mueller.example",)) for n in range(4)]
    who = customer("Neu", email="b@mueller.example")
    assert ask(who, *many).grade == "none"
    assert ask(who, *many[:3]).grade == "doubtful"


# -- doubles -----------------------------------------------------------------------------------------------------------

PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "VAT number": ({"vat_number": VAT}, {"name": "X", "vat_number": "136 695 976"}, f"same VAT number: {VAT}"),
    "customer number": ({"erp_number": "K-7"}, {"name": "X", "erp_number": "k-7"}, "same customer number: K-7"),
    "e-mail": (
        {"emails": ("a@b.example",)},
        {"name": "X", "emails": ("A@B.example",)},
        "same e-mail address: a@b.example",
    ),
    "name and phone": (
        {"phones": ("030 1234567",)},
        {"phones": ("+49 30 1234567",)},
        "same name and phone number: muller, +49301234567",
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_doubles(case: str) -> None:
    first, second, reason = PAIRS[case]
    found = doubles(
        [
            account("1", "Müller"),
            account("2", **{"name": "Müller GmbH", **first}),
            account("3", **{"name": "MUELLER", **second}),
        ]
    )
    assert found == [Doubles(("2", "3"), (reason,))]


def test_doubles_by_a_similar_name() -> None:
    pair = [
        account("1", "Druckerei Sonnenberg"),
        account("2", "Sonneberg Druckerei GmbH"),
        account("3", "Bäckerei Mond"),
    ]
    assert doubles(pair) == []
    (found,) = doubles(pair, dict.fromkeys("123", "10115"))
    assert found == Doubles(("1", "2"), ("similar name and same postal code: 10115",))


def test_doubles_by_postal_code() -> None:
    pair = [account("1", "Müller"), account("2", "MUELLER GmbH"), account("3", "Müller AG")]
    assert doubles(pair) == []
    (found,) = doubles(pair, {"1": "10115", "2": "10 115", "3": "50667"})
    assert found.accounts == ("1", "2")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"emails": ("a@b.example",), "vat_number": VAT}, {"emails": ("a@b.example",), "vat_number": OTHER_VAT}),
        ({"phones": ("030 1234567",), "erp_number": "1"}, {"phones": ("030 1234567",), "erp_number": "2"}),
        ({"phones": ("030 1234567",)}, {"name": "Anders", "phones": ("030 1234567",)}),
    ],
)
def test_no_doubles(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert doubles([account("1", **{"name": "Müller", **first}), account("2", **{"name": "Müller", **second})]) == []


def test_a_chain_does_not_join_two_vat_numbers() -> None:
    """Something without a VAT number resembles two companies: it is put to one of them, not both to each other."""
    middle = account("2", "Anders", emails=("a@b.example", "c@d.example"))
    found = doubles(
        [
            account("1", vat_number=VAT, emails=("a@b.example",)),
            middle,
            account("3", vat_number=OTHER_VAT, emails=("c@d.example",)),
        ]
    )
    assert [one.accounts for one in found] == [("1", "2")]


def test_the_address_of_a_contact_counts_for_its_account() -> None:
    (found,) = doubles(
        [account("1", "A", emails=("a@b.example",)), account("2", "B"), contact("9", "2", "a@b.example")]
    )
    assert found.accounts == ("1", "2")


# -- what holds for anybody --------------------------------------------------------------------------------------------

_ENTRIES = [
    ("erp_number", "K-1"),
    ("erp_number", "K-2"),
    ("vat", VAT),
    ("vat", OTHER_VAT),
    ("email", "einkauf@mueller.example"),
    ("phone", "+49301234567"),
    ("company", "muller"),
    ("company", "muler"),
]


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    is_account, number = draw(st.booleans()), draw(st.sampled_from("123"))
    entries = draw(st.frozensets(st.sampled_from(cast("list[tuple[MatchKind, str]]", _ENTRIES)), max_size=4))
    if is_account:
        return Candidate("account", number, number, entries)
    return Candidate("contact", number, draw(st.sampled_from(["", "1", "2"])), entries)


@given(st.lists(candidates(), max_size=6), st.randoms())
def test_whoever_they_are(found: list[Candidate], dice: random.Random) -> None:
    who = customer("Müller", vat_number=VAT, erp_number="K-1", phone="030 1234567")
    parties = Parties(found, region="DE")
    verdict = parties.like(who)
    shuffled = list(found)
    dice.shuffle(shuffled)
    assert Parties(shuffled, region="DE").like(who) == verdict
    assert (verdict.grade == "none") == (not verdict.candidates)
    assert all(one.reasons and 0 <= one.score <= 100 for one in verdict.candidates)
    if verdict.found is not None:
        assert not verdict.found.against
        told = set(verdict.found.reasons)
        strong = told & {"same customer number", "same VAT number", "same e-mail address"}
        assert strong or {"same company name", "same phone number"} <= told
        assert not any(verdict.found.account in one.accounts for one in parties.doubles)
    grouped = [account for one in parties.doubles for account in one.accounts]
    assert len(grouped) == len(set(grouped)), "an account is in one group"
    for one in parties.doubles:
        assert len(one.accounts) > 1
        assert one.reasons

from __future__ import annotations

from typing import Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import Key
from ledger.parties import Entry
from mapping.canonical import Address, Customer, Party, Person
from mapping.identity import MatchKind
from mapping.matching import Candidate, Match, rank

RULES: tuple[MatchKind, ...] = ("erp_number", "vat", "email", "phone", "company")


def customer(**fields: object) -> Customer:
    base: dict[str, object] = {
        "key": Key("shop", "customer", "1"),
        "company": "Müller & Co KG",
        "person": Person(email="einkauf@mueller.example", phone="030 1234567"),
        "billing": Address(country="DE"),
    }
    return Customer.model_validate(base | fields)


def account(id: str, **fields: object) -> Candidate:
    return Candidate.of(Party.model_validate({"kind": "account", "id": id, "country": "DE"} | fields))


def contact(id: str, at: str, *emails: str, phone: str = "") -> Candidate:
    phones = (phone,) if phone else ()
    return Candidate.of(Party(kind="contact", id=id, account_id=at, emails=emails, phones=phones, country="DE"))


def test_nobody() -> None:
    match = rank(customer(), [], RULES)
    assert match == Match()
    assert not match.found
    assert not match.is_ambiguous


@pytest.mark.parametrize(
    ("fields", "rule", "reason"),
    [
        ({"erp_number": "k-1"}, "erp_number", "same customer number"),
        ({"vat_number": "136695976"}, "vat", "same VAT number"),
        ({"emails": ("EINKAUF@Mueller.example",)}, "email", "same e-mail address"),
        ({"phones": ("+49 (30) 1234567",)}, "phone", "same phone number"),
        ({"name": "Mueller und Co. KG"}, "company", "same company name"),
    ],
)
def test_each_rule_finds(fields: dict[str, object], rule: str, reason: str) -> None:
    match = rank(customer(erp_number="K-1", vat_number="DE136695976"), [account("1", **fields)], RULES)
    assert (match.account, match.rule, match.reason) == ("1", rule, reason)
    assert match.found


def test_a_postal_code_finds_nobody_and_rules_out_nobody() -> None:
    asked = customer(billing=Address(country="DE", postal_code="10115"))
    assert rank(asked, [account("1", postal_code="10115")], RULES) == Match()
    one, other = account("1", name="Müller KG", postal_code="10115"), account("2", name="Müller", postal_code="50667")
    assert rank(asked, [one, other], RULES).ambiguous == ("account/1", "account/2")
    assert rank(asked, [other], RULES).account == "2"


def test_the_first_rule_decides() -> None:
    candidates = [account("1", emails=("einkauf@mueller.example",)), account("2", erp_number="K-1")]
    assert rank(customer(erp_number="K-1"), candidates, RULES).account == "2"
    assert rank(customer(erp_number="K-1"), candidates, ("email", "erp_number")).account == "1"


def test_a_rule_that_is_not_configured_does_not_count() -> None:
    assert rank(customer(), [account("1", phones=("030 1234567",))], ("email",)) == Match()


def test_several_are_ambiguous_and_a_weaker_rule_does_not_choose() -> None:
    candidates = [
        account("2", emails=("einkauf@mueller.example",), phones=("030 1234567",)),
        account("1", emails=("einkauf@mueller.example",)),
    ]
    match = rank(customer(), candidates, RULES)
    assert match.is_ambiguous
    assert not match.found
    assert match.ambiguous == ("account/1", "account/2")
    assert match.rule == "email"


def test_account_and_its_contact_are_one() -> None:
    candidates = [
        account("1", emails=("einkauf@mueller.example",)),
        contact("9", "1", "einkauf@mueller.example"),
    ]
    match = rank(customer(), candidates, RULES)
    assert (match.account, match.contact) == ("1", "9")


def test_a_contact_leads_to_its_account() -> None:
    match = rank(customer(), [contact("9", "1", "einkauf@mueller.example")], RULES)
    assert (match.account, match.contact, match.rule) == ("1", "9", "email")


def test_two_contacts_with_one_address_name_the_account_but_no_contact() -> None:
    candidates = [contact("8", "1", "einkauf@mueller.example"), contact("9", "1", "einkauf@mueller.example")]
    match = rank(customer(), candidates, RULES)
    assert (match.account, match.contact) == ("1", "")


def test_a_colleague_with_the_same_phone_is_not_the_contact() -> None:
    match = rank(customer(), [contact("9", "1", "other@mueller.example", phone="030 1234567")], RULES)
    assert (match.account, match.contact, match.rule) == ("1", "", "phone")


def test_a_contact_of_nobody() -> None:
    match = rank(customer(), [contact("9", "", "einkauf@mueller.example")], RULES)
    assert (match.account, match.contact, match.found) == ("", "9", True)


@pytest.mark.parametrize("rule", ["company", "phone"])
def test_a_different_vat_number_overrules_a_weak_rule(rule: str) -> None:
    other = account("1", name="Mueller und Co. KG", phones=("030 1234567",), vat_number="DE129274202")
    match = rank(customer(vat_number="DE136695976"), [other], (cast("MatchKind", rule),))
    assert not match.found
    assert not match.is_ambiguous
    assert match.overruled == ("account/1",)


def test_a_different_customer_number_overrules_the_name() -> None:
    other = account("1", name="Müller", erp_number="K-2")
    assert not rank(customer(erp_number="K-1"), [other], RULES).found
    assert rank(customer(), [other], RULES).account == "1"


def test_the_account_speaks_for_its_contact() -> None:
    candidates = [account("1", vat_number="DE129274202"), contact("9", "1", "x@y.example", phone="030 1234567")]
    assert not rank(customer(vat_number="DE136695976"), candidates, RULES).found


def test_candidates_from_rows_of_the_index() -> None:
    rows = [
        Entry("email", "einkauf@mueller.example", "contact", "9", "1"),
        Entry("company", "muller", "account", "1", ""),
        Entry("vat", "DE136695976", "account", "1", ""),
    ]
    gathered = Candidate.gather(rows)
    assert gathered == [
        Candidate("contact", "9", "1", frozenset({("email", "einkauf@mueller.example")})),
        Candidate("account", "1", "1", frozenset({("company", "muller"), ("vat", "DE136695976")})),
    ]
    match = rank(customer(), gathered, RULES)
    assert (match.account, match.contact, match.rule) == ("1", "9", "email")


def test_a_different_vat_number_does_not_overrule_an_e_mail_address() -> None:
    other = account("1", emails=("einkauf@mueller.example",), vat_number="DE129274202")
    assert rank(customer(vat_number="DE136695976"), [other], RULES).account == "1"


def test_of_two_of_the_same_name_the_uncontradicted_one() -> None:
    candidates = [account("1", name="Müller", vat_number="DE129274202"), account("2", name="Müller GmbH")]
    match = rank(customer(vat_number="DE136695976"), candidates, RULES)
    assert (match.account, match.overruled) == ("2", ("account/1",))


_ENTRIES = st.frozensets(
    st.sampled_from(
        cast(
            "list[tuple[MatchKind, str]]",
            [
                ("erp_number", "K-1"),
                ("erp_number", "K-2"),
                ("vat", "DE136695976"),
                ("vat", "DE129274202"),
                ("email", "einkauf@mueller.example"),
                ("phone", "+49301234567"),
                ("company", "muller"),
            ],
        )
    ),
    max_size=4,
)
_KIND: st.SearchStrategy[Literal["account", "contact"]] = st.sampled_from(["account", "contact"])


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    kind, number = draw(_KIND), draw(st.sampled_from("123"))
    at = number if kind == "account" else draw(st.sampled_from(["", "1", "2"]))
    return Candidate(kind, number, at, draw(_ENTRIES))


@given(st.lists(candidates(), max_size=5), st.permutations(RULES), st.randoms())
def test_the_order_of_candidates_does_not_matter(found: list[Candidate], rules: list[MatchKind], dice: object) -> None:
    probe = customer(erp_number="K-1", vat_number="DE136695976")
    match = rank(probe, found, rules)
    shuffled = list(found)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rank(probe, shuffled + shuffled[:1], rules) == match
    assert not (match.found and match.is_ambiguous)
    if match.found or match.is_ambiguous:
        assert match.rule

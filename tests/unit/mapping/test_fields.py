"""Configured custom fields: path, steps, default, required, and how each value came about."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from core.errors import ConfigurationProblem, Held
from core.jsontext import loads
from mapping.fields import STEPS, CustomFields, FieldRule, compile_path

RECORD = loads(
    """{"id": 13, "number": " w-13 ", "total": 10.50, "paid": true, "phone": "030 1234567", "day": "2026-11-22T23:30:00-02:00",
        "meta_data": [{"key": "cost_centre", "value": " a 44-00 "}, {"key": "list", "value": [1]}], "empty": "", "none": null,
        "nul": "a\\u0000b", "note": "two\\n  lines"}"""
)
META = "meta_data[?key=='{}'].value | [0]"


def fields(region: str = "", **rules: dict[str, object]) -> CustomFields:
    return CustomFields({name: FieldRule.model_validate(rule) for name, rule in rules.items()}, region=region)


@pytest.mark.parametrize(
    ("path", "via", "text"),
    [
        ("number", ["strip", "upper"], "W-13"),
        ("number", [], " w-13 "),
        ("id", [], "13"),
        ("total", [], "10.50"),
        ("paid", [], "true"),
        ("phone", ["e164"], "+49301234567"),
        ("phone", ["digits"], "0301234567"),
        ("number", ["e164", "strip"], "w-13"),
        ("day", ["date"], "2026-11-23"),
        ("note", ["one_line"], "two lines"),
        ("nul", [], "ab"),
        (META.format("cost_centre"), ["strip", "lower"], "a 44-00"),
    ],
)
def test_a_value_through_its_steps(path: str, via: list[str], text: str) -> None:
    custom = fields("DE", cf_1={"path": path, "via": via})
    assert custom.pairs(RECORD) == (("cf_1", text),)
    (mapped,) = custom.explained(RECORD)
    assert (mapped.path, mapped.rule) == (path, " > ".join(via))


@pytest.mark.parametrize("path", ["missing", "empty", "none", "a.b.c", META.format("nobody")])
def test_nothing_there_takes_the_default_or_no_field_at_all(path: str) -> None:
    assert fields(cf_1={"path": path}).pairs(RECORD) == ()
    (mapped,) = fields(cf_1={"path": path, "via": ["strip"], "default": "NONE"}).explained(RECORD)
    assert (mapped.text, mapped.rule) == ("NONE", "default")


def test_a_required_field_without_a_value_is_held_by_its_name() -> None:
    with pytest.raises(Held, match=r"cf_1 is required.*missing.*What to do: ") as held:
        fields(cf_1={"path": "missing", "required": True}).pairs(RECORD)
    assert held.value.field == "cf_1"
    assert fields(cf_1={"path": "missing", "required": True, "default": "x"}).pairs(RECORD) == (("cf_1", "x"),)


@pytest.mark.parametrize(
    ("path", "via"), [(META.format("list"), []), ("meta_data", []), ("number", ["date"]), ("sum(meta_data)", [])]
)
def test_what_cannot_be_a_field_is_held_with_its_path(path: str, via: list[str]) -> None:
    with pytest.raises(Held, match="What to do: ") as held:
        fields(cf_1={"path": path, "via": via}).pairs(RECORD)
    assert path in held.value.message
    assert "44-00" not in held.value.message, "no value in a message"


def test_order_and_length_are_kept() -> None:
    custom = fields(b={"path": "number", "max_length": 2}, a={"path": "id"})
    assert custom.pairs(RECORD) == (("b", " w"), ("a", "13"))
    assert custom
    assert not fields()


@pytest.mark.parametrize("path", ["a.[", "meta_data[?", "", "a b"])
def test_a_path_that_is_none_is_a_configuration_error(path: str) -> None:
    with pytest.raises(ValidationError, match="JMESPath"):
        FieldRule(path=path)
    with pytest.raises(ConfigurationProblem, match=r"cf_1.*What to do: "):
        compile_path(path, "cf_1")


def test_unknown_steps_and_keys_are_configuration_errors() -> None:
    with pytest.raises(ValidationError, match=r"unknown step 'trim'.*strip"):
        FieldRule.model_validate({"path": "id", "via": ["trim"]})
    with pytest.raises(ValidationError, match="Extra inputs"):
        FieldRule.model_validate({"path": "id", "requird": True})


@pytest.mark.parametrize("step", sorted(STEPS))
def test_every_step_leaves_nothing_as_nothing(step: str) -> None:
    assert STEPS[step]("", "") == ""


def test_amounts_are_never_floats() -> None:
    assert fields(a={"path": "total"}).pairs({"total": Decimal("0.10")}) == (("a", "0.10"),)

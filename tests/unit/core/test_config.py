from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from core import config
from core.config import ConfigProblems, Kind, Reading, parse
from core.errors import ConfigurationProblem
from core.secrets import SecretRef
from core.settings import ConnectionSettings
from core.values import values


class ShopSettings(ConnectionSettings):
    connector: Literal["shop"] = "shop"
    url: str
    key: SecretRef
    webhook_secrets: tuple[SecretRef, ...] = ()
    mode: Literal["fast", "slow"] = "fast"


class CrmSettings(ConnectionSettings):
    connector: Literal["crm"] = "crm"
    access_key: SecretRef
    owners: dict[str, str] = Field(default_factory=dict)


KINDS = {"shop": Kind("shop", "store", ShopSettings), "crm": Kind("crm", "crm", CrmSettings)}

GOOD = """\
[worker]
threads = 4

[[connection]]
name = "web-shop"
connector = "shop"
url = "https://shop.example"
key = "env:SHOP_KEY"

[[connection]]
name = "crm"
connector = "crm"
access_key = "env:CRM_KEY"
owners = { anna = "19x5" }

[[flow]]
name = "orders"
source = "web-shop"
target = "crm"
owner = "anna"
[flow.rules]
minimum = 10.10
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret-of-the-shop")
    monkeypatch.setenv("CRM_KEY", "s3cret-of-the-crm")


def said(reading: Reading) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.path, problem.message) for problem in reading.problems]


def hints(reading: Reading) -> list[str]:
    return [problem.hint for problem in reading.problems]


def origins(reading: Reading) -> Mapping[str, tuple[str, str]]:
    return {value.path: (value.value, value.origin) for value in values(reading)}


def test_a_good_file() -> None:
    reading = parse(GOOD, KINDS)
    assert reading.problems == []
    settings = reading.required()
    assert settings.worker.threads == 4
    shop = settings.connection("web-shop")
    assert isinstance(shop, ShopSettings)
    assert shop.key.get() == "s3cret-of-the-shop"
    assert settings.flows[0].rules.minimum == Decimal("10.10")
    assert str(settings.flows[0].rules.minimum) == "10.10", "never through a float"
    assert settings.ledger.url == "sqlite:///orderwire.db"


def test_an_empty_file_is_a_configuration() -> None:
    assert parse("", KINDS).required().connections == ()


def test_everything_at_once_with_its_line() -> None:
    reading = parse(
        """\
[worker]
thraeds = 4
tick = "soon"

[[connection]]
name = "Shop"
connector = "shopp"

[[connection]]
name = "crm"
connector = "crm"
access_key = "env:NOT_SET_ANYWHERE"
owners = { anna = "19x5" }

[[flow]]
name = "orders"
source = "shp"
target = "crn"
owner = "ana"
matsch = ["email"]
guests = "helt"
[flow.rules]
status = []

[wep]
port = 1
""",
        KINDS,
    )
    assert said(reading) == [
        (2, "worker.thraeds", "there is no key `thraeds` here"),
        (3, "worker.tick", "`tick` must be a number, not 'soon'"),
        (7, "connection.Shop.connector", "there is no connector 'shopp'"),
        (
            12,
            "connection.crm.access_key",
            "A secret is missing: the environment variable NOT_SET_ANYWHERE is empty or not set",
        ),
        (17, "flow.orders.source", "there is no connection named 'shp'"),
        (18, "flow.orders.target", "there is no connection named 'crn'"),
        (20, "flow.orders.matsch", "there is no key `matsch` here"),
        (21, "flow.orders.guests", "`guests` cannot be 'helt': it is one of 'match', 'lead' or 'hold'"),
        (23, "flow.orders.rules.status", "there is no key `status` here"),
        (25, "wep", "there is no section `wep`"),
    ]
    assert hints(reading) == [
        'did you mean "threads"?',
        "",
        'did you mean "shop"?',
        "set it, then start again.",
        "",
        'did you mean "crm"?',
        'did you mean "match"?',
        "",
        'did you mean "statuses"?',
        'did you mean "web"?',
    ]
    assert reading.settings is None
    with pytest.raises(ConfigProblems) as raised:
        reading.required()
    assert raised.value.message.startswith("The configuration has 10 problems:\n  orderwire.toml:2: worker.thraeds: ")
    assert "What to do: " in raised.value.message.splitlines()[-1]


def test_a_mistake_elsewhere_in_a_section_hides_nothing() -> None:
    reading = parse(GOOD.replace('owner = "anna"', 'owner = "ana"\nnonsense = 1'), KINDS)
    assert [problem.path for problem in reading.problems] == ["flow.orders.owner", "flow.orders.nonsense"]
    assert reading.problems[0].message == "the owners table of 'crm' has no 'ana'"
    assert reading.problems[0].hint == 'did you mean "anna"?'


def test_missing_secrets_of_a_broken_section_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_KEY")
    reading = parse(GOOD.replace('url = "https://shop.example"', "url = 1"), KINDS)
    assert [problem.path for problem in reading.problems] == ["connection.web-shop.url", "connection.web-shop.key"]


def test_missing_secrets_leave_the_settings_usable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHOP_KEY")
    text = GOOD.replace("env:CRM_KEY", f"file:{tmp_path}/none")
    reading = parse(text, KINDS)
    assert [problem.missing_secret for problem in reading.problems] == [True, True]
    assert "No such file" in reading.problems[1].message
    assert reading.settings is not None
    assert parse(text, KINDS, with_secrets=False).problems == []


def test_a_secret_typed_directly_is_refused_and_not_repeated() -> None:
    for typed in ('"hunter2"', "12345678", '{ a = "hunter2" }', '["hunter2"]'):
        reading = parse(GOOD.replace('"env:SHOP_KEY"', typed), KINDS)
        [problem] = reading.problems
        assert "given by reference" in problem.message
        assert "hunter2" not in str(problem)
        assert "12345678" not in str(problem)
    reading = parse(GOOD.replace('key = "env', 'webhook_secrets = ["hunter2"]\nkey = "env', 1), KINDS)
    assert [problem.path for problem in reading.problems] == ["connection.web-shop.webhook_secrets.#1"]
    assert "hunter2" not in str(reading.problems[0])


@pytest.mark.parametrize(
    "text",
    [
        '[ledger]\nurl = "postgresql+psycopg://orderwire:hunter2@db/orderwire"\n',
        '[worker]\nbroker = "redis://:hunter2@valkey:6379/0"\n',
        '[ledger]\nurl = "postgresql+psycopg://db/ow?user=ow&password=hunter2"\n',
        '[ledger]\nurl = "postgresql+psycopg://db/ow?passfile=/etc/hunter2"\n',
        '[ledger]\nurl = "postgresql+psycopg://db/ow?ssl%70assword=hunter2"\n',
        '[worker]\nbroker = "redis://r:6379/0?Password=hunter2"\n',
        '[alerts]\nheartbeat = "https://beat.example/ping?user=x&passwd=hunter2"\n',
    ],
)
def test_no_password_in_an_address(text: str) -> None:
    [problem] = parse(text, KINDS).problems
    assert problem.line == 2
    assert "carries no password" in problem.message
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://ow@db/ow?sslmode=require", "sqlite:///what?pass-through.db", "sqlite:///password.db"]
)
def test_an_address_without_a_password_is_fine(url: str) -> None:
    assert not parse(f'[ledger]\nurl = "{url}"\n', KINDS).problems


def test_an_address_is_shown_without_user_and_query() -> None:
    text = """
[ledger]
url = "postgresql+psycopg://ow:s3/cr@et@db:5432/ow?password=s3cret"
[worker]
broker = "redis://:s3cret@r:6379/0?password=s3cret"
[alerts]
heartbeat = "https://user:s3cret@beat.example"
"""
    shown = {value.path: value.value for value in values(parse(text, KINDS))}
    assert shown["ledger.url"] == "postgresql+psycopg://db:5432/ow"
    assert shown["worker.broker"] == "redis://r:6379/0"
    assert shown["alerts.heartbeat"] == "https://beat.example"


def test_duplicate_names_and_ways() -> None:
    extra = '\n[[connection]]\nname = "crm"\nconnector = "crm"\naccess_key = "env:CRM_KEY"\n'
    extra += '\n[[flow]]\nname = "orders"\nsource = "web-shop"\ntarget = "crm"\n'
    reading = parse(GOOD + extra, KINDS)
    assert said(reading) == [
        (25, "connection.crm.name", "the name 'crm' is taken by the connection on line 11"),
        (29, "flow.orders", "the flow 'orders' goes from web-shop to crm already"),
        (30, "flow.orders.name", "the name 'orders' is taken by the flow on line 17"),
    ]


def test_a_flow_goes_from_a_store_to_a_crm() -> None:
    reading = parse(GOOD.replace('source = "web-shop"\ntarget = "crm"', 'source = "crm"\ntarget = "web-shop"'), KINDS)
    assert said(reading)[:2] == [
        (18, "flow.orders.source", "the source of a flow must be a store, and 'crm' is not"),
        (19, "flow.orders.target", "the target of a flow must be a CRM, and 'web-shop' is not"),
    ]
    assert hints(reading)[0] == "a store configured here is: web-shop"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('name = "crm"\n', 'name = "Crm!"\n', "`name` cannot be 'Crm!': it must look like a short name in lower case"),
        ('name = "crm"\n', "", "`name` is missing"),
        ('connector = "crm"\n', "", "`connector` is missing: what kind of system it is, one of crm, shop"),
        ("threads = 4", "threads = 4.5", "`threads` must be a whole number, not 4.5"),
        ("threads = 4", "threads = 0", "`threads` must be at least 1, not 0"),
        ("threads = 4", "[[worker]]", "this is not TOML"),
        ('owners = { anna = "19x5" }', "owners = 3", "`owners` must be a table"),
        ('target = "crm"', 'target = "crm"\nmatch = "email"', "`match` must be a list"),
        ('target = "crm"', 'target = "crm"\nmatch = ["emial"]', "`match` cannot be 'emial'"),
        (
            "[flow.rules]",
            '[flow.ownership]\nstatus = "shop"\n[flow.rules]',
            "`status` cannot be 'shop': it is one of 'store'",
        ),
        ("[flow.rules]", '[flow.ownership]\nstatsu = "crm"\n[flow.rules]', "there is no key `statsu` here"),
        ("[flow.rules]", '[flow.adopt]\nfields = ["title"]\n[flow.rules]', "`fields` cannot be 'title': it is one of"),
        ("[flow.rules]", "[flow.adopt]\ntolerance = -1\n[flow.rules]", "`tolerance` must be at least 0, not -1"),
        ("[flow.rules]", '[flow.promise]\ncutoff = "2pm"\n[flow.rules]', "`cutoff` must be a time of day like"),
        ("[[flow]]", "[flow]", "`flow` is written in double brackets"),
        ("[worker]", "[worker", "this is not TOML"),
        ("threads = 4", "threads = 4\nthreads = 5", "this is not TOML"),
    ],
)
def test_in_plain_words(before: str, after: str, message: str) -> None:
    reading = parse(GOOD.replace(before, after, 1), KINDS)
    assert any(problem.message.startswith(message) for problem in reading.problems), [str(p) for p in reading.problems]
    assert all(problem.line or problem.variable for problem in reading.problems)


@pytest.mark.parametrize(
    ("secrets", "words"),
    [("[]", "`secrets` needs at least 1 in its list"), ('["hunter2"]', "a secret is given by reference")],
)
def test_a_wrong_entry_is_told_once_and_not_that_its_list_is_too_short(secrets: str, words: str) -> None:
    section = (
        f'\n[[portal]]\nname = "shop"\nsource = "erp"\nsecrets = {secrets}\nteam = {{ name = "T", phone = "1" }}\n'
    )
    found = [str(one) for one in parse(GOOD + section, KINDS).problems if "secrets" in one.path]
    assert len(found) == 1, found
    assert words in found[0]
    assert "hunter2" not in found[0]


def test_toml_errors_have_their_line() -> None:
    assert said(parse("[worker]\nthreads 4\n", KINDS))[0][0] == 2
    assert said(parse('[worker]\nx = "', KINDS))[0][0] == 2


def test_values_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_WORKER__THREADS", "7")
    monkeypatch.setenv("ORDERWIRE_LEDGER__URL", "sqlite:///other.db")
    monkeypatch.setenv("ORDERWIRE_CONNECTION__WEB_SHOP__READ_TIMEOUT", "9")
    monkeypatch.setenv("ORDERWIRE_CONNECTION__CRM__OWNERS", '{"anna": "19x5", "bob": "19x6"}')
    monkeypatch.setenv("ORDERWIRE_FLOW__ORDERS__MATCH", '["email", "vat"]')
    monkeypatch.setenv("ORDERWIRE_FLOW__ORDERS__RULES__MINIMUM", "0.10")
    reading = parse(GOOD, KINDS)
    settings = reading.required()
    assert settings.worker.threads == 7
    assert settings.ledger.url == "sqlite:///other.db"
    assert settings.connection("web-shop").read_timeout == 9
    assert settings.flows[0].match == ("email", "vat")
    assert str(settings.flows[0].rules.minimum) == "0.10", "never through a float"
    shown = origins(reading)
    assert shown["worker.threads"] == ("7", "env:ORDERWIRE_WORKER__THREADS")
    assert shown["connection.crm.owners.bob"] == ("19x6", "env:ORDERWIRE_CONNECTION__CRM__OWNERS")
    assert shown["flow.orders.rules.minimum"] == ("0.10", "env:ORDERWIRE_FLOW__ORDERS__RULES__MINIMUM")


def test_mistakes_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERWIRE_WORKER__THREADS", "many")
    monkeypatch.setenv("ORDERWIRE_WORKER__THRAEDS", "3")
    monkeypatch.setenv("ORDERWIRE_WROKER__THREADS", "3")
    monkeypatch.setenv("ORDERWIRE_CONNECTION__SHPO__READ_TIMEOUT", "3")
    monkeypatch.setenv("ORDERWIRE_SEED", "has no section and is not ours")
    found = {problem.variable: problem for problem in parse(GOOD, KINDS).problems}
    assert found.keys() == {
        "ORDERWIRE_WORKER__THREADS",
        "ORDERWIRE_WORKER__THRAEDS",
        "ORDERWIRE_WROKER__THREADS",
        "ORDERWIRE_CONNECTION__SHPO",
    }
    assert str(found["ORDERWIRE_WORKER__THREADS"]).startswith("environment variable ORDERWIRE_WORKER__THREADS: ")
    assert found["ORDERWIRE_WORKER__THRAEDS"].hint == 'did you mean "threads"?'
    assert found["ORDERWIRE_WROKER__THREADS"].hint == 'did you mean "worker"?'
    assert "no connection named shpo" in found["ORDERWIRE_CONNECTION__SHPO"].message


def test_where_values_come_from() -> None:
    shown = origins(parse(GOOD, KINDS))
    assert shown["worker.threads"] == ("4", "file:2")
    assert shown["worker.tick"] == ("1.0", "default")
    assert shown["connection.web-shop.key"] == ("env:SHOP_KEY", "file:8")
    assert shown["connection.crm.owners.anna"] == ("19x5", "file:14")
    assert shown["flow.orders.rules.minimum"] == ("10.10", "file:22")
    assert shown["flow.orders.rules.channels"] == ("", "default")
    assert not any("s3cret" in value for value, _ in shown.values())


def test_reading_files(tmp_path: Path) -> None:
    file = tmp_path / "orderwire.toml"
    with pytest.raises(ConfigProblems, match="orderwire init"):
        config.load(file, KINDS)
    file.write_text(GOOD, encoding="utf-8")
    assert config.load(file, KINDS).worker.threads == 4
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigProblems, match="not UTF-8"):
        config.load(file, KINDS)


def test_an_unknown_connection_is_a_sentence() -> None:
    with pytest.raises(ConfigurationProblem, match="What to do: use one of web-shop, crm"):
        parse(GOOD, KINDS).required().connection("other")

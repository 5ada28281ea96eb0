"""The files of deploy/ keep their promises: nothing listens to the outside, nothing runs as root, the three units agree."""

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import LedgerSettings, WebSettings, WorkerSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def sections(unit: Path) -> configparser.ConfigParser:
    # SystemCallFilter may stand twice, and a name that systemd knows is written as it is.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


def test_compose_publishes_on_the_loopback_alone() -> None:
    ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_our_containers_may_write_nothing_but_their_volumes(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "environment" not in service, "secrets come as files"


def test_valkey_never_evicts() -> None:
    command = compose()["services"]["valkey"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--appendonly") + 1] == "yes"


def test_the_image_runs_as_an_ordinary_user_on_hashed_dependencies() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    users = re.findall(r"^USER (\S+)", dockerfile, flags=re.MULTILINE)
    assert users
    assert not users[-1].startswith(("0", "root"))
    assert "--require-hashes" in dockerfile


def test_the_image_holds_what_the_program_imports() -> None:
    copied = set(
        re.findall(r"^COPY (\w+) \w+$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    packages = {init.parent.name for init in DEPLOY.parent.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages
    assert packages <= copied
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{name}" for name in copied} <= set(allowed)


def test_the_settings_for_compose_are_settings() -> None:
    given = tomllib.loads((DEPLOY / "orderwire.compose.toml").read_text(encoding="utf-8"))
    assert LedgerSettings.model_validate(given["ledger"]).url.endswith("@postgres/orderwire")
    assert WorkerSettings.model_validate(given["worker"]).broker == "redis://valkey:6379/0"
    assert f":{WebSettings.model_validate(given['web']).port}" in compose()["services"]["web"]["ports"][0]


def test_the_three_units_differ_only_in_what_they_start() -> None:
    assert [unit.name for unit in UNITS] == ["orderwire-web.service", "orderwire-worker@.service", "orderwire.service"]
    services = [dict(sections(unit)["Service"]) for unit in UNITS]
    started = [service.pop("execstart").split("cli.py ")[1].split()[0] for service in services]
    assert started == ["web", "worker", "up"]
    assert services[0] == services[1] == services[2]
    assert services[0]["killsignal"] == "SIGTERM"
    assert services[0]["timeoutstopsec"] == "90"
    assert services[0]["user"] == "orderwire"

"""`init`, `check`, `config show` and `config validate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.opening import DEFAULT, OK, PROBLEM, USAGE, AsJson, File, open_ledger
from console.output import print_findings, print_json, print_table, say
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from connectors.roles import Finding
    from core.settings import Settings


def validate(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Say everything that is wrong with the configuration, secrets that are not there included."""
    from core import config
    from pipelines import wiring

    reading = config.read(file, wiring.kinds())
    if as_json:
        print_json({"ok": not reading.problems, "problems": [asdict(problem) for problem in reading.problems]})
        raise typer.Exit(USAGE if reading.problems else OK)
    settings = reading.required()
    say(f"{file}: all is well ({len(settings.connections)} connections, {len(settings.flows)} flows).")


def show(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Show every setting and where its value comes from. Secrets are shown as references, never by value."""
    from core import config
    from core.values import values
    from pipelines import wiring

    reading = config.read(file, wiring.kinds(), with_secrets=False)
    shown = values(reading)
    if as_json:
        print_json([asdict(value) for value in shown])
    else:
        print_table(("setting", "value", "from"), [(value.path, value.value, value.origin) for value in shown])
    reading.required()


def check(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Look at every connection: address, login, rights and fields. Writes nothing; says what to do."""
    from console import setup
    from core import config
    from pipelines import wiring

    settings = config.load(file, wiring.kinds(), with_secrets=False)
    found = [("ledger", finding) for finding in _check_ledger(settings)]
    found += [(one.name, finding) for one in settings.connections for finding in setup.look(one)]
    if as_json:
        print_json([{"connection": name, **asdict(finding)} for name, finding in found])
    else:
        print_findings(found)
    if any(finding.level == "problem" for _, finding in found):
        raise typer.Exit(PROBLEM)


def _check_ledger(settings: Settings) -> list[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from connectors.roles import Finding
    from pipelines import wiring
    from pipelines.broker import eviction_policy

    try:
        with open_ledger(settings):
            found = [Finding("database", "ok", "The database answers and has the right schema.")]
    except ConfigurationProblem as error:
        message, _, advice = error.message.partition(" What to do: ")
        found = [Finding("database", "problem", message, advice)]
    except SQLAlchemyError as error:
        advice = "see whether it runs, and [ledger] in the configuration."
        found = [Finding("database", "problem", f"The database does not answer ({type(error).__name__}).", advice)]
    if settings.worker.broker:
        policy = eviction_policy(wiring.worker_settings(settings.worker).broker)
        if policy == "noeviction":
            found.append(Finding("broker", "ok", "The broker answers and evicts nothing."))
        else:
            message = f"The broker evicts by {policy!r}." if policy else "The broker does not answer."
            found.append(
                Finding("broker", "warning", message, "see [worker] broker, and set maxmemory-policy noeviction.")
            )
    return found


def init(
    file: File = DEFAULT,
    connector: Annotated[str, typer.Option(help="Kind of system: orderform, vtiger or woocommerce.")] = "",
    name: Annotated[str, typer.Option(help="What to call the connection: lower case, it stands in addresses.")] = "",
    given: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, key=value, instead of the question. May be repeated.")
    ] = None,
    test: Annotated[bool, typer.Option(help="Connect and check before writing.")] = True,
    flow: Annotated[bool, typer.Option(help="Also add the flow from store to CRM, once there is one of each.")] = True,
) -> None:
    """Add a connection: asks for its settings, tests it, writes the configuration. Secrets are never written down."""
    from console import setup
    from pipelines import wiring

    kinds = wiring.kinds()
    connector = connector or _ask(f"Kind of system ({', '.join(kinds)})")
    if connector not in kinds:
        raise ConfigurationProblem(f"There is no connector {connector!r}. What to do: use one of {', '.join(kinds)}.")
    name = name or _ask("Name of the connection", connector)
    values: dict[str, Any] = {"name": name, "connector": connector}
    values |= {key: setup.answer(text) for key, _, text in (pair.partition("=") for pair in given or ())}
    exports = setup.fill(kinds[connector], values, _ask, attended=sys.stdin.isatty())
    text, reading = setup.added(file, setup.table("connection", values))
    if test:
        _test(name, setup.look(setup.connection(reading, name)))
    way = setup.flow_for(reading, name) if flow else None
    if way is not None:
        text, reading = setup.added(file, setup.table("connection", values), setup.table("flow", way))
    setup.connection(reading, name)
    file.write_text(text, encoding="utf-8")
    say(f"{file}: added the connection {name}" + (f" and the flow {way['name']}." if way else "."))
    for variable in exports:
        say(f"export {variable}=...   # the secret itself, in the environment of Orderwire")
    if way is not None:
        name = way["name"]
        say(f"{name} begins in rehearsal: nothing is written before `orderwire flow live {name}` (docs/going-live.md).")
    say("What to do next: `orderwire check`, then `orderwire up`.")


def _ask(question: str, default: str | None = None, *, hidden: bool = False) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationProblem(
            f"There is nobody to ask: {question}? What to do: give it as an option, see `orderwire init --help`."
        )
    return str(typer.prompt(question, default=default, hide_input=hidden, show_default=bool(default)))


def _test(name: str, found: Sequence[Finding]) -> None:
    print_findings([(name, finding) for finding in found])
    if not any(finding.level == "problem" for finding in found):
        return
    if not (sys.stdin.isatty() and typer.confirm("There are problems. Write the configuration all the same?")):
        say("Nothing was written. What to do: mend the problems, or use --no-test.", err=True)
        raise typer.Exit(PROBLEM)

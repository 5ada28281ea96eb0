"""`people list`, `add`, `link`, `role`, `disable`, `enable`, and `audit`: who may come into the dashboard, who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from console.noting import actor
from console.opening import DEFAULT, PROBLEM, AsJson, File, load, open_ledger
from console.output import print_json, print_table, say, when
from core.errors import ConfigurationProblem
from core.rights import Role

if TYPE_CHECKING:
    from core.settings import Settings
    from ledger import Ledger
    from ledger.people import Person

people_app = typer.Typer(
    help="Who may come into the dashboard, and what they may do there.", no_args_is_help=True, rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(help="Name or e-mail.", metavar="NAME")]
RoleName = Annotated[str, typer.Argument(help="viewer (sees), operator (acts too), admin (people and settings too).")]
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - shown, not opened


def address(settings: Settings) -> str:
    """Where the dashboard is, as far as this machine knows."""
    host = f"[{settings.web.host}]" if ":" in settings.web.host else settings.web.host
    return _openable(f"http://{host}:{settings.web.port}")


def _openable(at: str) -> str:
    """Who listens everywhere is reached here."""
    for everywhere, here in ANYWHERE.items():
        at = at.replace(f"//{everywhere}:", f"//{here}:")
    return at


def tell_first_link(ledger: Ledger, at: str) -> None:
    """While nobody can log in: how the first user begins. Anybody with the link becomes it, so it is good for a day, once."""
    token = ledger.people.first_link()
    if token:
        say(f"The first user: {_openable(at)}/welcome/{token}   (good for 24 hours, once; makes an administrator)")


@people_app.command("list")
def list_people(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Everybody, with their role."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        found = ledger.people.list()
    if as_json:
        print_json([{"name": p.name, "email": p.email, "role": p.role, "state": _state(p)} for p in found])
        return
    if not found:
        say("There is nobody yet. What to do: `orderwire people link` shows how the first user begins.")
        return
    print_table(("name", "e-mail", "role", ""), [(p.name, p.email, p.role.value, _state(p)) for p in found])


def _state(person: Person) -> str:
    if person.disabled_at is not None:
        return f"disabled since {when(person.disabled_at)} UTC"
    return "may log in" if person.has_password else "has not begun yet"


@people_app.command()
def add(name: Name, role: RoleName = "viewer", email: str = "", file: File = DEFAULT) -> None:
    """Somebody new; shows the link by which they choose a password."""
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        person = ledger.people.add(name, _role(role), email=email, by=actor())
        _tell_link(settings, person, ledger.people.link(person.id, by=actor()))


@people_app.command()
def link(
    name: Annotated[str, typer.Argument(help="Name or e-mail; left out: for the first user.", metavar="NAME")] = "",
    file: File = DEFAULT,
) -> None:
    """A link by which somebody chooses a (new) password: good for 24 hours, once."""
    settings = load(file, with_secrets=False)
    with open_ledger(settings) as ledger:
        if name:
            person = _known(ledger, name)
            _tell_link(settings, person, ledger.people.link(person.id, by=actor()))
        elif ledger.people.any():
            raise ConfigurationProblem(
                "There is a first user already. What to do: `orderwire people link NAME`; `orderwire people list` has the names."
            )
        else:
            tell_first_link(ledger, address(settings))


def _tell_link(settings: Settings, person: Person, token: str) -> None:
    say(f"Link for {person.name}, good for 24 hours, once: {address(settings)}/welcome/{token}")
    say("Behind a proxy put its address in the place of this machine's.")


@people_app.command()
def role(name: Name, role: RoleName, file: File = DEFAULT) -> None:
    """Give somebody another role, from their next click on."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        person = _known(ledger, name)
        ledger.people.set_role(person.id, _role(role), by=actor())
    say(f"{person.name} is {role} now.")


@people_app.command()
def disable(name: Name, file: File = DEFAULT) -> None:
    """Shut somebody out at once: sessions end, their API tokens rest."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        person = _known(ledger, name)
        ledger.people.set_disabled(person.id, True, by=actor())
    say(f"{person.name} is shut out. `orderwire people enable {person.name}` lets them in again.")


@people_app.command()
def enable(name: Name, file: File = DEFAULT) -> None:
    """Let somebody in again, with the password they had."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        person = _known(ledger, name)
        ledger.people.set_disabled(person.id, False, by=actor())
    say(f"{person.name} may come in again.")


def _known(ledger: Ledger, name: str) -> Person:
    person = ledger.people.named(name)
    if person is None:
        raise ConfigurationProblem(f"There is nobody named {name!r}. What to do: see `orderwire people list`.")
    return person


def _role(text: str) -> Role:
    if text not in set(Role):
        raise ConfigurationProblem(f"There is no role {text!r}. What to do: use one of {', '.join(Role)}.")
    return Role(text)


def audit(
    verify: Annotated[
        bool, typer.Option("--verify", help="Compute every hash anew: was a row changed or taken out?")
    ] = False,
    known: Annotated[str, typer.Option(help="With --verify: NUMBER:HASH as it was shown before, kept elsewhere.")] = "",
    who: Annotated[str, typer.Option(help="Only what this person did.")] = "",
    subject: Annotated[str, typer.Option(help="Only what was done to this, like job/17.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    file: File = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Who did what, the newest first; or whether what is written there is still what was written. Exit code 1: it is not."""
    with open_ledger(load(file, with_secrets=False)) as ledger:
        if verify:
            _verify(ledger, known)
            return
        found = ledger.audit.list(actor=who, subject=subject, limit=limit)
    if as_json:
        names = ("id", "at", "actor", "action", "subject", "facts", "ip", "hash")
        print_json([{name: getattr(one, name) for name in names} for one in found])
        return
    rows = [
        (str(n.id), when(n.at), n.actor, n.action, n.subject, ", ".join(f"{k}: {v}" for k, v in n.facts.items()))
        for n in found
    ]
    print_table(("no.", "when (UTC)", "who", "action", "subject", "facts"), rows)


def _verify(ledger: Ledger, known: str) -> None:
    number, _, hash_ = known.partition(":")
    if known and not (number.isascii() and number.isdigit() and hash_):
        raise typer.BadParameter("--known is NUMBER:HASH as --verify showed it")
    verdict = ledger.audit.verify((int(number), hash_) if known else None)
    if not verdict.intact:
        say(
            f"The audit is not what was written: {verdict.problem}. What to do: find out who may write into the database, and "
            "compare with a backup.",
            err=True,
        )
        raise typer.Exit(PROBLEM)
    say(f"{verdict.count} rows, every hash is right. The last one, to be kept elsewhere: {verdict.last}:{verdict.hash}")

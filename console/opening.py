"""What commands share: options, exit codes, and opening the configuration, the ledger and the connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from core.settings import Settings
    from ledger import Ledger
    from pipelines.context import Context

OK: Final = 0
PROBLEM: Final = 1
USAGE: Final = 2

DEFAULT: Final = Path("orderwire.toml")
File = Annotated[Path, typer.Option("--config", "-c", envvar="ORDERWIRE_CONFIG", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def load(file: Path, *, with_secrets: bool = True) -> Settings:
    """The configuration; raises with everything that is wrong. What only reads the ledger needs no shop's secrets."""
    from pipelines import wiring

    return wiring.load(file, with_secrets=with_secrets)


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger, with the schema that this program needs."""
    from ledger import Ledger, migrate
    from pipelines import wiring

    url = wiring.ledger_url(settings.ledger)
    migrate.require_file(url)
    ledger = Ledger.open(url, lease=settings.ledger.lease)
    try:
        migrate.require_current(ledger.db)
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_context(settings: Settings) -> Iterator[Context]:
    """Connections and ledger, for a command that asks a store."""
    from pipelines import wiring

    with open_ledger(settings) as ledger:
        wired = wiring.build(settings, budget=wiring.budgets(settings, ledger))
        try:
            yield wiring.context(settings, ledger, wired)
        finally:
            wired.close()

"""Bring the schema to the present version, and tell which it is."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.errors import ConfigurationProblem
from ledger.database import Database

_HERE = Path(__file__).parent / "migrations"


def config(db: Database) -> Config:
    """Alembic's configuration for this database (no ini file, the address never written down)."""
    settings = Config()
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    settings.attributes["engine"] = db.engine
    return settings


def upgrade(db: Database, revision: str = "head") -> None:
    """Run what is missing; safe to repeat, and safe when two processes start at once."""
    command.upgrade(config(db), revision)


def current(db: Database) -> str | None:
    """The schema's version; None for an empty database."""
    with db.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The version this program needs."""
    settings = Config()
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    found = ScriptDirectory.from_config(settings).get_current_head()
    return str(found)


def require_current(db: Database) -> None:
    """Raise ConfigurationProblem when the schema is not the one this program needs."""
    present = current(db)
    if present != head():
        raise ConfigurationProblem(
            f"The database's schema is {present or 'empty'}, this program needs {head()}. What to do: run `orderwire db upgrade`."
        )

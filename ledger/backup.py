"""Copies of the ledger while it works: SQLite's online backup, `pg_dump` for PostgreSQL."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url

from core.errors import ConfigurationProblem

PAGES: Final = 2000
"""Copied in one go; between two goes writers get their turn."""
TIMEOUT: Final = 3600.0


def backup(url: str | URL, target: Path) -> None:
    """Write a consistent copy to `target` (must not exist). It appears only when it is complete."""
    if target.exists():
        raise ConfigurationProblem(
            f"{target} exists already. What to do: choose another name; a backup replaces nothing."
        )
    half = target.with_name(target.name + ".part")
    half.unlink(missing_ok=True)
    where = make_url(url)
    os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # customers' data: for its owner's eyes only
    try:
        if where.get_backend_name() == "sqlite":
            _backup_sqlite(Path(where.database or ""), half)
        else:
            _run(where, "pg_dump", "--format=custom", "--no-owner", f"--file={half}", f"--dbname={where.database}")
        half.rename(target)
    finally:
        half.unlink(missing_ok=True)


def restore(url: str | URL, source: Path) -> None:
    """Put a copy in the place of a ledger that is empty or absent. Nothing may run on it meanwhile.

    What happened after the copy is not lost: stores are polled again, and everything is looked for in the CRM before it
    is created.
    """
    if not source.is_file():
        raise ConfigurationProblem(f"{source} is not there. What to do: name a file that `orderwire backup` wrote.")
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        _restore_sqlite(source, Path(where.database or ""))
    else:
        _run(
            where,
            "pg_restore",
            "--exit-on-error",
            "--single-transaction",
            "--no-owner",
            f"--dbname={where.database}",
            str(source),
        )


def _backup_sqlite(source: Path, target: Path) -> None:
    if not source.is_file():
        raise ConfigurationProblem(
            f"There is no ledger at {source}. What to do: see [ledger] url in the configuration."
        )
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as origin, sqlite3.connect(target) as copy:
        origin.backup(copy, pages=PAGES)
    _check(target)
    origin.close()
    copy.close()


def _check(file: Path) -> None:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        answer = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        answer = (str(error),)
    finally:
        connection.close()
    if answer != ("ok",):
        raise ConfigurationProblem(f"{file} is damaged. What to do: use another copy.", detail=str(answer))


def _restore_sqlite(source: Path, target: Path) -> None:
    if target.exists() and target.stat().st_size:
        raise ConfigurationProblem(
            f"There is a ledger at {target} already. What to do: stop Orderwire and move it (and its -wal and -shm files) away."
        )
    _check(source)
    half = target.with_name(target.name + ".part")
    shutil.copyfile(source, half)
    with half.open("rb") as file:
        os.fsync(file.fileno())
    for tail in ("-wal", "-shm"):
        target.with_name(target.name + tail).unlink(missing_ok=True)
    half.rename(target)


def _run(where: URL, program: str, *arguments: str) -> None:
    """PostgreSQL's own tools; the password goes by the environment, never by the command line."""
    found = shutil.which(program)
    if found is None:
        raise ConfigurationProblem(
            f"{program} is not on this machine. What to do: install PostgreSQL's client programs."
        )
    environment = dict(os.environ)
    for name, value in (
        ("PGHOST", where.host),
        ("PGPORT", where.port),
        ("PGUSER", where.username),
        ("PGPASSWORD", where.password),
    ):
        if value:
            environment[name] = str(value)
    for name in ("host", "port"):
        if name in where.query:
            environment[f"PG{name.upper()}"] = str(where.query[name])
    done = subprocess.run(
        [found, *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        raise ConfigurationProblem(
            f"{program} failed. What to do: see its message: {done.stderr.strip()[-300:]}", detail=str(done.returncode)
        )

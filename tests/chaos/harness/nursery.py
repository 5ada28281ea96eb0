"""Forks the product's processes: they run `cli.py`'s own `main`, and a start costs no two seconds of imports.

Run as `python -m tests.chaos.harness.nursery`. It reads orders from its standard input, one JSON object a line, and answers
each with a line. When its standard input ends, so do all its children (the kernel sees to it, however it ended itself).
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import random
import select
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
WARM = (
    *("cli", "worker", "alembic.command", "uvicorn", "psycopg", "sqlalchemy.dialects.sqlite", "ledger.migrate"),
    *("sqlalchemy.dialects.postgresql.psycopg", "connectors.vtiger", "connectors.woocommerce", "connectors.orderform"),
    *("pipelines.wiring", "pipelines.engine", "pipelines.metrics", "web.app", "web.serve", "core.logs"),
    *("sandbox.__main__", "sandbox.store.woo", "uvicorn.protocols.http.auto", "uvicorn.loops.auto", "asyncio"),
)


def warm_up() -> None:
    """What the processes load when they start, loaded before anything is forked."""
    for name in WARM:
        importlib.import_module(name)


def serve() -> dict[str, Any] | None:
    """Obey until the standard input ends (None), or until this is the child that shall do something (what it shall do)."""
    ended: dict[int, int] = {}
    parent = os.getpid()
    for line in iter(sys.stdin.readline, ""):
        wanted = json.loads(line)
        _reap(ended)
        if "ended" in wanted:
            answer: dict[str, Any] = {"status": ended.get(wanted["ended"])}
        else:
            pid = os.fork()
            if pid == 0:
                _become(wanted, parent)
                return dict(wanted)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return None


def _reap(ended: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        ended[pid] = os.waitstatus_to_exitcode(status)


def _become(wanted: dict[str, Any], parent: int) -> None:
    """A process of its own: ends with the nursery, writes to its log, shares no dice with its siblings."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.setpgid(0, 0)
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)
    os.environ.update(wanted.get("environment", {}))
    random.seed()


def main() -> int:
    """The nursery, or (in a child) the command that was asked for."""
    warm_up()
    sys.stdout.write(json.dumps({"warm": True}) + "\n")
    sys.stdout.flush()
    wanted = serve()
    if wanted is None:
        return 0
    entry = importlib.import_module(wanted["module"])
    result = entry.main(wanted["arguments"])
    return int(result or 0)


if __name__ == "__main__":
    if not hasattr(select, "poll"):
        raise SystemExit("The chaos suite needs Linux.")
    sys.exit(main())

"""Processes by pid, safely: a signal never hits another process that got the same number."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Child:
    """One process that the nursery forked."""

    name: str
    pid: int
    log: Path
    fd: int

    def send(self, number: signal.Signals) -> None:
        """A signal; nothing happens when it has ended already."""
        try:
            signal.pidfd_send_signal(self.fd, number)
        except ProcessLookupError:
            return

    def ended(self, within: float = 0.0) -> bool:
        """Whether it has ended, waiting at most so many seconds."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(within * 1000))

    def kill(self) -> None:
        """`kill -9`, and it is gone."""
        self.send(signal.SIGKILL)
        assert self.ended(60), f"{self.name} survived SIGKILL"

    def terminate(self, within: float = 90.0) -> bool:
        """SIGTERM; True when it ended by itself in time. Afterwards it is gone in any case."""
        self.send(signal.SIGTERM)
        by_itself = self.ended(within)
        if not by_itself:
            self.kill()
        return by_itself

    def close(self) -> None:
        self.send(signal.SIGKILL)
        self.ended(60)
        os.close(self.fd)

    def tail(self, size: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""


class Nursery:
    """The process that forks all others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.harness.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C ends the tests, and they end everything else
        )
        assert self._answer().get("warm"), "the nursery did not start"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def start(self, name: str, module: str, arguments: Sequence[str], log: Path, **environment: str) -> Child:
        """`python -m <module> <arguments>`, or what comes to the same."""
        wanted = {"module": module, "arguments": list(arguments), "log": str(log), "environment": environment}
        pid = int(self._ask(wanted)["pid"])
        return Child(name, pid, log, os.pidfd_open(pid))

    def status(self, child: Child, within: float = 60.0) -> int | None:
        """How an ended child ended: its exit code, or minus the signal; None while it runs."""
        deadline = time.monotonic() + within
        while True:
            status = self._ask({"ended": child.pid})["status"]
            if status is not None or time.monotonic() > deadline:
                return None if status is None else int(status)
            time.sleep(0.02)

    def _ask(self, wanted: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(wanted) + "\n")
            self._process.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery has ended"
        found: dict[str, Any] = json.loads(line)
        return found

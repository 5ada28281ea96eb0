"""What Python's garbage collector looks through."""

from __future__ import annotations

import gc


def settled() -> None:
    """Called once, when a process has all that it works with. Modules, models and statements stay until it ends: the collector
    need not look through them again and again, which costs a tenth of a second each time, in the middle of somebody's work.
    """
    gc.collect()
    gc.freeze()

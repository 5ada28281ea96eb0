"""The operator's command line: `orderwire`, or `python cli.py`.

Exit codes: 0 all is well, 1 a problem was found, 2 wrong usage or configuration.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from console import config, jobs, stores
from console.opening import DEFAULT, PROBLEM, USAGE, File, load, load_settings_of
from core import logs
from core.errors import ConfigurationProblem, OrderwireError
from core.redaction import redact

if TYPE_CHECKING:
    from core.settings import Settings
    from ledger import Ledger
    from pipelines.context import Context
    from pipelines.metrics import Metrics

app = typer.Typer(
    name="orderwire",
    help="Orderwire carries orders from web stores into the CRM. Begin with `init`, then `check`, then `up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

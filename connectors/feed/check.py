"""What `orderwire check` tells of a place where files are dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from connectors.feed.settings import FeedSettings
from connectors.roles import Dropped, ErpKind, Finding
from core.errors import OrderwireError


def run(
    settings: FeedSettings, kinds: frozenset[ErpKind], dropped: Callable[[], Sequence[Dropped]]
) -> Sequence[Finding]:
    """The place, what lies there, and what the settings leave open."""
    return [*_place(settings, dropped), *_columns(settings, kinds)]


def _place(settings: FeedSettings, dropped: Callable[[], Sequence[Dropped]]) -> Iterator[Finding]:
    where = f"{settings.host}:{settings.folder}" if settings.host else settings.folder
    try:
        files = dropped()
    except OrderwireError as error:
        message, _, advice = error.message.partition("What to do: ")
        yield Finding("place", "problem", message.strip(), advice)
        return
    yield Finding("place", "ok", f"{where} can be read; {len(files)} files there concern us.")
    counts = Counter(one.series for one in files)
    for series, count in sorted(counts.items()):
        newest = max((one for one in files if one.series == series), key=lambda one: (one.sequence or 0, one.modified))
        read = "" if newest.kind else "; this kind is not read, its numbers count"
        yield Finding(series, "ok", f"{count} files, the newest is {newest.name}{read}.")
    if not files:
        yield Finding(
            "files", "warning", "No file there has a name that is known here.",
            "see that the ERP drops its files there, and that their names fit (docs/connectors/feed.md)",
        )  # fmt: skip


def _columns(settings: FeedSettings, kinds: frozenset[ErpKind]) -> Iterator[Finding]:
    own = settings.columns.get("KS_CUSTOMERS", {})
    sheets = [one for one in settings.files if one.kind == "customer"]
    if "customer" in kinds and "reps" not in own and not any("reps" in one.columns for one in sheets):
        yield Finding(
            "reps", "warning", "No column of customers is named for their rep ids: they are read without.",
            "write the place of that column into `columns`, like columns.KS_CUSTOMERS = { reps = 27 }",
        )  # fmt: skip
    if not (settings.own or settings.agencies) and not any(one.kind == "rep" for one in settings.files):
        yield Finding(
            "agencies", "warning", "No business is named whose contacts are reps: no file tells who reps are.",
            "name them in `own` and `agencies`, or enter reps by hand or from CSV",
        )  # fmt: skip

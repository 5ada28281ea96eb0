"""Walking through a listing by time, so that nothing is missed while orders change under our feet.

Page numbers shift when a listed order is modified between two requests, and MySQL orders rows of one second as it
likes. So only first pages are asked for: the next request starts from the newest time of the last page, less one
second, because `modified_after` and `after` are exclusive (WordPress compares with `>`) and a second may be half
seen. Rows that come twice are dropped here.

A page that lies wholly within one second cannot be passed like that. That second is read as a closed window, by id
and page number. It counts as read when the last page was reached and no row left meanwhile, which would have moved the
rows behind it to pages already read: the number of rows stayed the same or, where the shop tells no numbers, a second
reading found nothing else. That proves something only of a second that was over before, because then rows can only
leave it (by being modified again; they turn up later in the walk). While a second lasts, one row may come into a page
already read as another one leaves, and the number tells nothing. A second is over once a later time is listed; one that
is not is read as far as it has come and never passed: the next run begins with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.woocommerce.changes import content_of, id_of, moment_of
from connectors.woocommerce.client import Answer, Client
from core.errors import RetryLater

SECOND: Final = timedelta(seconds=1)
MAX_PAGES: Final = 2_000
MAX_RESTARTS: Final = 5
AHEAD: Final = timedelta(minutes=5)
"""So far a shop's clock may be before ours. A row with a later time was made for a day to come: it is read, but what changes
until then has earlier times, and a place behind it would pass all that by.
"""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class By:
    """Which time a walk goes by, and how the interface calls it."""

    orderby: str
    after: str
    before: str
    field: str


BY_MODIFIED: Final = By("modified", "modified_after", "modified_before", "date_modified_gmt")
BY_CREATED: Final = By("date", "after", "before", "date_created_gmt")


@dataclass(frozen=True, slots=True)
class Step:
    """Rows not seen before in this walk, and the time up to which everything was seen."""

    rows: Sequence[Row]
    seen_to: datetime | None
    asked_at: datetime
    total: int | None


def wire_time(moment: datetime) -> str:
    """As the interface wants it: UTC, whole seconds, no offset (`dates_are_gmt=true`)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


@dataclass
class Walk:
    """One run through one listing; make a new one for every run. `now` tells when a request begins."""

    client: Client
    by: By
    status: str
    after: datetime
    """Exclusive."""
    before: datetime | None
    per_page: int
    now: Any
    path: str = "orders"
    more: Mapping[str, str] = field(default_factory=dict)
    """Parameters besides."""
    _pages: int = 0
    _seen: set[tuple[int, str]] = field(default_factory=set)
    _total: int | None = None

    def steps(self) -> Iterator[Step]:
        """The listing, oldest first. Ends after `MAX_PAGES` requests: what is left comes with the next run."""
        after = self.after.replace(microsecond=0)
        while self._pages < MAX_PAGES:
            asked_at = self.now()
            answer = self._ask(after, self.before, self.by.orderby, 1)
            if self._total is None:
                self._total = answer.total
            newest = self._newest(answer)
            yield self._step(answer, newest, asked_at)
            if self._is_last(answer, 1):
                return
            if newest is None:
                raise self._no_times()
            newest = newest.replace(microsecond=0)
            if newest - SECOND > after:
                after = newest - SECOND
                continue
            second = max(newest, after + SECOND)
            over = self._is_over(second)
            yield from self._drain(second)
            if over:
                after = second
            elif not self._is_over(second):
                return

    def _is_over(self, second: datetime) -> bool:
        """Whether something later is listed, so that nothing more can come into this second."""
        return bool(self._ask(second, None, self.by.orderby, 1).body)

    def _drain(self, second: datetime) -> Iterator[Step]:
        """Everything within one second. Until it is complete, only the time before it counts as seen."""
        read: set[int | None] | None = None
        for _ in range(MAX_RESTARTS):
            former, read, page, expected = read, set[int | None](), 0, None
            while self._pages < MAX_PAGES:
                page += 1
                asked_at = self.now()
                answer = self._ask(second - SECOND, second + SECOND, "id", page)
                read.update(id_of(row) for row in answer.body)
                expected = answer.total if expected is None else expected
                last = self._is_last(answer, page)
                moved = answer.total != expected or (last and expected is None and read != former)
                yield self._step(answer, second if last and not moved else second - SECOND, asked_at)
                if moved:
                    break
                if last:
                    return
            if self._pages >= MAX_PAGES:
                return
        raise RetryLater(
            f"The store's {self.path} change faster than they can be read. What to do: nothing, it is tried again by itself.",
            seconds=60,
            cause="busy",
            detail=f"{self.by.orderby}: second {wire_time(second)}",
        )

    def _step(self, answer: Answer, seen_to: datetime | None, asked_at: datetime) -> Step:
        if seen_to is not None and seen_to > asked_at + AHEAD:
            seen_to = asked_at
        return Step(self._fresh(answer), seen_to, asked_at, self._total)

    def _ask(self, after: datetime, before: datetime | None, orderby: str, page: int) -> Answer:
        self._pages += 1
        params: dict[str, str | int] = {
            self.by.after: wire_time(after),
            "dates_are_gmt": "true",
            "orderby": orderby,
            "order": "asc",
            "status": self.status,
            "per_page": self.per_page,
            "page": page,
            **self.more,
        }
        if before is not None:
            params[self.by.before] = wire_time(before)
        return self.client.get_rows(f"{self.path}.list", self.path, params)

    def _fresh(self, answer: Answer) -> list[Row]:
        fresh = []
        for row in answer.body:
            record_id = id_of(row)
            if record_id is not None:
                mark = (record_id, content_of(row))  # not its time: it may change twice within a second
                if mark in self._seen:
                    continue
                self._seen.add(mark)
            fresh.append(row)
        return fresh

    def _newest(self, answer: Answer) -> datetime | None:
        times = (moment_of(row, self.by.field) for row in answer.body if isinstance(row, dict))
        return max((moment for moment in times if moment is not None), default=None)

    def _is_last(self, answer: Answer, page: int) -> bool:
        """By the count of pages where the shop tells it: it may leave rows out that our key may not read."""
        if answer.pages is not None:
            return page >= answer.pages
        return len(answer.body) < self.per_page

    def _no_times(self) -> RetryLater:
        return RetryLater(
            f"The store lists {self.path} without {self.by.field}. "
            "What to do: look for a plugin that changes its REST answers.",
            seconds=600,
            scope="connection",
            cause="remote 5xx",
        )

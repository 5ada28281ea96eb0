"""Sales reps: who is in the directory, what was answered for each customer, and who has to be looked at again.

What the ERP tells and what people enter stand beside each other: people's fields win, whatever comes first. Every change of
the directory notes in its own transaction what it touched (`rep_touched`) and raises the directory's version; `wake` turns
the notes into due jobs. A card is kept only if the directory is still the one it was resolved with, so that no change
falls between a look and its record. `pipelines.repbook` gives the same in the common language.
"""

from __future__ import annotations

from ledger.database import Database
from ledger.repcards import RepCards
from ledger.repdirectory import RepDirectory
from ledger.reprows import (
    AbsenceRow,
    Answer,
    AssignmentRow,
    Concern,
    Entry,
    Facts,
    OrderRep,
    Owned,
    StoredCard,
)
from ledger.repsync import RepSync

__all__ = [
    "AbsenceRow",
    "Answer",
    "AssignmentRow",
    "Concern",
    "Entry",
    "Facts",
    "OrderRep",
    "Owned",
    "RepBook",
    "StoredCard",
]


class RepBook(RepDirectory, RepCards, RepSync):
    """The directory, the cards and who has to be looked at again. Safe to share between threads."""

    def __init__(self, db: Database) -> None:
        RepDirectory.__init__(self, db)
        RepCards.__init__(self, db)
        RepSync.__init__(self, db)

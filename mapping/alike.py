"""Names that are nearly the same: a slip of the fingers, words in another order, a word more. Pure, on folded names.

Similar names only ever raise a question for a person; they decide nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

SIMILAR: Final = 0.84
"""From here on (0-1) two names are called similar."""


def _tokens(name: str) -> str:
    """Words in order of the alphabet: `berlin druckerei` = `druckerei berlin`."""
    return " ".join(sorted(name.split()))


class Measure:
    """How alike other names are to this one. Both are folded. Each customer's is made once: it keeps what it counted."""

    def __init__(self, name: str, least: float) -> None:
        self.name = name
        self.least = least
        self._plain = SequenceMatcher(None, "", name, autojunk=False)
        self._sorted = SequenceMatcher(None, "", _tokens(name), autojunk=False)

    def of(self, theirs: str) -> float:
        """0-1, as they stand or with their words sorted, whichever is more; 0 where it is less than `least`."""
        found = max(self._ratio(self._plain, theirs), self._ratio(self._sorted, _tokens(theirs)))
        return found or (self.least if _contained(self.name, theirs) else 0.0)

    def _ratio(self, matcher: SequenceMatcher[str], theirs: str) -> float:
        matcher.set_seq1(theirs)
        # The bounds cost little, and most pairs are far apart.
        if matcher.real_quick_ratio() < self.least or matcher.quick_ratio() < self.least:
            return 0.0
        ratio = matcher.ratio()
        return ratio if ratio >= self.least else 0.0


def _contained(ours: str, theirs: str) -> bool:
    """All words of the shorter name (two at least, or one long one) stand in the longer."""
    short, long = sorted((set(ours.split()), set(theirs.split())), key=len)
    return short <= long and (len(short) > 1 or len("".join(short)) >= 6)


def nearest(ours: Iterable[Measure], theirs: frozenset[str]) -> str:
    """The name of theirs that is most like one of ours, "" where none is."""
    pairs = ((one.of(name), name) for one in ours for name in theirs)
    return max((pair for pair in pairs if pair[0]), default=(0.0, ""))[1]


def _grams(name: str) -> set[str]:
    joined = f" {_tokens(name)} "
    return {"".join(pair) for pair in zip(joined, joined[1:], joined[2:], strict=False)} | {
        f"{first}|{second}" for first, second in pairwise(sorted(name.split()))
    }


class Names:
    """Names of accounts by groups of three letters, so that only those with much in common are compared."""

    def __init__(self, names: Iterable[frozenset[str]]) -> None:
        self.table: dict[str, list[int]] = defaultdict(list)
        self.names: dict[int, frozenset[str]] = {}
        for place, own in enumerate(names):
            self.names[place] = own
            for name in self.names[place]:
                for gram in _grams(name):
                    self.table[gram].append(place)

    def similar(self, measure: Measure, most: int = 30) -> list[int]:
        """Groups (by place) with a name like this one, of the `most` that have most in common with it."""
        grams = _grams(measure.name)
        common: Counter[int] = Counter(place for gram in grams for place in self.table.get(gram, ()))
        need = max(2, len(grams) // 3)
        likely = [place for place, number in common.most_common(most) if number >= need]
        return [place for place in likely if nearest([measure], self.names[place])]

"""Count an incident log in the plainest way, to compare the import with."""

import csv
import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_TIERS = {"L1": 1, "L2": 2, "L3": 3}


@dataclass(frozen=True)
class Counted:
    """What a reader with a pencil would find."""

    rows: int
    cases: dict[str, list[dict[str, str]]]
    moves: Counter[tuple[int, int]]

    @property
    def climbs(self) -> int:
        return sum(count for (before, after), count in self.moves.items() if after > before)

    @property
    def falls(self) -> int:
        return sum(count for (before, after), count in self.moves.items() if after < before)


def count(path: Path) -> Counted:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cases: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    moves: Counter[tuple[int, int]] = Counter()
    for told in cases.values():
        for before, after in itertools.pairwise(told):
            if before["level"] != after["level"]:
                moves[_TIERS[before["level"]], _TIERS[after["level"]]] += 1
    return Counted(len(rows), cases, moves)

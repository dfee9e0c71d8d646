"""What every row of the bench needs: how large, and how figures of alternating runs are summed up."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is measured; DESIGN 7 speaks of the full size."""

    quick: bool = False
    # Where the engine's row leaves a profile of Belay's side (pstats).
    profile: Path | None = None

    @property
    def open(self) -> int:
        return 50_000 if self.quick else 1_000_000

    @property
    def small(self) -> int:
        """The other database that growth is measured against."""
        return 2_000 if self.quick else 10_000

    @property
    def due(self) -> int:
        return self.open // 10


def rounded(value: float) -> float:
    """Return three digits that mean something."""
    return float(f"{value:.3g}")


def spread(values: Sequence[float]) -> list[float]:
    """Return the smallest and the largest."""
    return [rounded(min(values)), rounded(max(values))]


def median(values: Sequence[float]) -> float:
    return rounded(statistics.median(values))


def percentile(values: Sequence[float], share: int) -> float:
    """Return the value that `share` percent do not exceed (nearest rank)."""
    ordered = sorted(values)
    return rounded(ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)])

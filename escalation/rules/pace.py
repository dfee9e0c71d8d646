"""How many tickets one batch of the engine takes, so that it holds their locks for a fraction of a second only."""

from dataclasses import dataclass

# What a batch never exceeds (DESIGN 7), and what it is never cut below: the cost per batch would outgrow its work.
LARGEST, SMALLEST = 500, 100
# What a batch should take from claim to commit, in seconds; DESIGN 7 asks for 0.25 in 95 of 100.
WANTED_SECONDS = 0.17
# A batch that was quick by chance must not make the next one slow.
GROWTH = 1.25


@dataclass(slots=True)
class Pace:
    """The size of the next batch, learnt from what the last ones took on this machine at this load."""

    size: int = LARGEST

    def learn(self, *, claimed: int, seconds: float) -> None:
        """Adapt to a batch of so many that took so long: shrink at once, grow by a quarter.

        Less than a whole batch says nothing when it was quick, for large ones share their fixed costs among more; a
        handful says nothing at all.
        """
        if claimed < SMALLEST or (claimed < self.size and seconds <= WANTED_SECONDS):
            return
        fitting = round(claimed * WANTED_SECONDS / max(seconds, 0.001))
        self.size = max(SMALLEST, min(LARGEST, fitting, int(self.size * GROWTH)))

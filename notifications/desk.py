"""Where the senders of a process settle what they have sent and hold on to what they send next.

Each sender comes once a message. Whoever finds nobody at the desk is served at once and serves all who have come
meanwhile: one statement and one commit for several messages, none of which waits for a later one. A sender goes on only
when its outcome is on record, so that what is in flight when a worker is killed stays one message a sender.
"""

import logging
import threading
from dataclasses import dataclass

from core.db import lacks_database
from notifications import leasing
from notifications.leasing import Hold, Leased, Outcome

log = logging.getLogger("belay.delivery")


@dataclass(slots=True, eq=False)
class _Visit:
    outcome: Outcome | None
    wanted: Leased | None
    served: bool = False
    # What became of the outcome; None when it has to be settled alone.
    settled: str | None = None
    hold: Hold | None = None
    error: Exception | None = None


class Desk:
    """One desk for all senders of a process."""

    def __init__(self) -> None:
        self._serving = threading.Lock()
        self._queueing = threading.Lock()
        self._queue: list[_Visit] = []

    def visit(self, outcome: Outcome | None, wanted: Leased | None) -> Hold | None:
        """Settle what the caller has sent and tell whether the row it wants to send next is still its own.

        Raises what the database does; then the outcome may not be on record, and its lease runs out.
        """
        if outcome is None and wanted is None:
            return None
        visit = _Visit(outcome, wanted)
        with self._queueing:
            self._queue.append(visit)
        with self._serving:
            if not visit.served:
                with self._queueing:
                    visits, self._queue = self._queue, []
                self._serve(visits)
        if visit.error is not None:
            raise visit.error
        if outcome is not None:
            if visit.settled is not None:
                leasing.note_settled(outcome, visit.settled)
            else:
                # Locked by somebody else, lost, or not to be written together with the others': in its own time.
                leasing.settle(outcome)
        if wanted is not None and visit.hold is None:
            return leasing.hold(wanted)
        return visit.hold

    @staticmethod
    def _serve(visits: list[_Visit]) -> None:
        """Serve all who have come, with the connection of the one who does it."""
        try:
            settled, held = leasing.exchange(
                [visit.outcome for visit in visits if visit.outcome is not None],
                [visit.wanted for visit in visits if visit.wanted is not None],
            )
        except Exception as error:  # noqa: BLE001 raised by whoever is alone with it
            if len(visits) > 1 and not lacks_database(error):
                log.warning("%d senders are served one by one: %s", len(visits), error)
            for visit in visits:
                # Alone each may have better luck, on its own connection; the last in line has just tried that.
                visit.served = True
                visit.error = error if len(visits) == 1 else None
            return
        for visit in visits:
            visit.served = True
            if visit.outcome is not None:
                visit.settled = settled.get(visit.outcome.leased.row.pk)
            if visit.wanted is not None:
                visit.hold = held[visit.wanted.row.pk]

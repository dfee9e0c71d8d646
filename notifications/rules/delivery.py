"""Decisions about delivery, pure."""

import datetime as dt

# Seconds until the next attempt; after the last one the row is a dead letter. About half an hour in all: whoever
# waits for an acknowledgement is escalated long before, and a mail server's restart is survived.
_BACKOFF = (2, 5, 15, 60, 180, 600, 900)


# Of a pause: many messages that failed together are not to come back together.
_JITTER = 0.2
# A server may ask for more; what it is about has gone elsewhere by then.
LONGEST_WAIT = dt.timedelta(hours=1)


def retry_after(attempts: int, *, jitter: float = 0.5, asked: float | None = None) -> dt.timedelta | None:
    """Return how long to wait after the given number of failed attempts, None when it is to be given up.

    `jitter` (0 to 1, drawn by the caller) spreads it by a fifth either way. `asked` are the seconds that the server
    wants to be left alone for: never less than these, up to an hour.
    """
    if attempts < 1:
        raise ValueError("attempts are counted from 1")
    if attempts > len(_BACKOFF):
        return None
    pause = dt.timedelta(seconds=_BACKOFF[attempts - 1] * (1 - _JITTER + 2 * _JITTER * jitter))
    return max(pause, min(dt.timedelta(seconds=asked or 0), LONGEST_WAIT))


def how_many_singly(repetitions: int, *, above: int, others: int) -> int:
    """Return how many of an address's due repetitions still go singly when `others` went or go there this minute.

    The rest goes into a digest (DESIGN 3, exactly once).
    """
    return min(repetitions, max(0, above - others))

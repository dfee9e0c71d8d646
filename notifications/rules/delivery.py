"""Decisions about delivery, pure."""

import datetime as dt

# Seconds until the next attempt; after the last one the row is a dead letter. About half an hour in all: whoever
# waits for an acknowledgement is escalated long before, and a mail server's restart is survived.
_BACKOFF = (2, 5, 15, 60, 180, 600, 900)


def retry_after(attempts: int) -> dt.timedelta | None:
    """Return how long to wait after the given number of failed attempts, None when it is to be given up."""
    if attempts < 1:
        raise ValueError("attempts are counted from 1")
    return dt.timedelta(seconds=_BACKOFF[attempts - 1]) if attempts <= len(_BACKOFF) else None


def how_many_singly(repetitions: int, *, above: int, others: int) -> int:
    """Return how many of an address's due repetitions still go singly when `others` went or go there this minute.

    The rest goes into a digest (DESIGN 3, exactly once).
    """
    return min(repetitions, max(0, above - others))

"""The few things asked of PostgreSQL directly."""

import datetime as dt

from django.db import DatabaseError, InterfaceError, OperationalError, connection


def database_now() -> dt.datetime:
    """Return the database's clock as an aware UTC instant (DESIGN 2: time comes from the database's clock).

    It is `clock_timestamp()`, which goes on inside a transaction; entrances read it once and pass it on.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now.astimezone(dt.UTC)


# Classes of SQLSTATE that say something of the server, not of the statement: connection, out of resources, system.
_SERVER = ("08", "53", "58", "57P")
# Not got within lock_timeout, deadlock, could not serialise: the same again, later, works.
_LOCK = ("55P03", "40")


def lacks_lock(error: BaseException) -> bool:
    """Tell whether a statement failed only because somebody else held a lock."""
    return isinstance(error, DatabaseError) and _code(error).startswith(_LOCK)


def lacks_database(error: BaseException) -> bool:
    """Tell whether a statement failed because the database was lost, restarted or out of resources."""
    if isinstance(error, InterfaceError):
        return True
    code = _code(error)
    return isinstance(error, DatabaseError) and (
        code.startswith(_SERVER) or (not code and isinstance(error, OperationalError))
    )


def _code(error: BaseException) -> str:
    return getattr(error.__cause__, "pgcode", None) or ""

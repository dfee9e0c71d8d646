"""The few things asked of PostgreSQL directly."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg2.errors
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connection
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def database_now() -> dt.datetime:
    """Return the database's clock as an aware UTC instant (DESIGN 2: time comes from the database's clock).

    It is `clock_timestamp()`, which goes on inside a transaction; entrances read it once and pass it on.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now.astimezone(dt.UTC)


def along(rows: QuerySet[Row], field: str, value: Any, *, rising: bool = False) -> QuerySet[Row]:
    """Return the rows of one value, the newest first (`rising`: the oldest), along the index on (field, -id).

    Asked with an equality, PostgreSQL may walk all rows by their id instead, until it has met enough of this value: it
    takes them to be spread evenly, and reads millions where they are many but old. A range is no equality to it, and
    only that index has the order.
    """
    ranged = rows.filter(**{f"{field}__gte": value, f"{field}__lte": value})
    return ranged.order_by(f"-{field}", "pk") if rising else ranged.order_by(field, "-pk")


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


class PreparedStatement:
    """A statement that each connection parses and plans once, for what is run a thousand times a second.

    Written with named parameters (`%(id)s`); `types` gives each its PostgreSQL type, in order.
    """

    def __init__(self, name: str, types: Mapping[str, str], sql: str) -> None:
        self._name = name
        self._plain = sql
        places = {parameter: str(place) for place, parameter in enumerate(types, start=1)}
        numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${places[found[1]]}", sql)
        self._prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {numbered}"
        self._execute = f"EXECUTE {name} ({', '.join(f'%({parameter})s' for parameter in types)})"
        self._pooled = False

    def fetch_all(self, values: Mapping[str, Any]) -> list[Any]:
        """Run it on the thread's connection and return its rows."""
        with connection.cursor() as cursor:
            if not self._pooled and self._known():
                try:
                    cursor.execute(self._execute, values)
                    return list(cursor.fetchall())
                except (ProgrammingError, OperationalError) as error:
                    # A pooler in between gives every statement another session.
                    if not isinstance(error.__cause__, psycopg2.errors.InvalidSqlStatementName):
                        raise
                    self._pooled = True
            cursor.execute(self._plain, values)
            return list(cursor.fetchall())

    def fetch_one(self, values: Mapping[str, Any]) -> Any:
        """Run it on the thread's connection and return its first row, None without one."""
        return next(iter(self.fetch_all(values)), None)

    def _known(self) -> bool:
        """Prepare it unless the connection knows it already; False where a transaction would be spoilt by failing."""
        known: dict[str, Any] = connection.__dict__.setdefault("belay_prepared", {})
        if known.get(self._name) is connection.connection:
            return True
        if connection.in_atomic_block:
            return False
        with connection.cursor() as cursor:
            try:
                cursor.execute(self._prepare)
            except ProgrammingError as error:
                if not isinstance(error.__cause__, psycopg2.errors.DuplicatePreparedStatement):
                    raise
        known[self._name] = connection.connection
        return True

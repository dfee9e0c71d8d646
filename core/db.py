"""The few things asked of PostgreSQL directly."""

import datetime as dt

from django.db import connection


def database_now() -> dt.datetime:
    """Return the database's clock as an aware UTC instant (DESIGN 2: time comes from the database's clock).

    It is `clock_timestamp()`, which goes on inside a transaction; entrances read it once and pass it on.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now.astimezone(dt.UTC)


def is_lost() -> bool:
    """Tell whether the connection to the database is gone, so that nobody blames the data."""
    return not connection.is_usable()

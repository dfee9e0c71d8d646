"""A prepared statement survives what becomes of its connection."""

import pytest
from django.db import connection, transaction

from core.db import PreparedStatement

pytestmark = pytest.mark.django_db(transaction=True)


def doubled(name: str) -> PreparedStatement:
    return PreparedStatement(name, {"number": "integer", "word": "text"}, "SELECT %(number)s * 2, %(word)s")


def known_to_the_server(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name = %s", [name])
        return bool(cursor.fetchone()[0])


def test_it_is_prepared_once_a_connection() -> None:
    statement = doubled("twice")

    assert statement.fetch_one({"number": 4, "word": "it's"}) == (8, "it's")
    assert known_to_the_server("twice")
    assert statement.fetch_one({"number": 5, "word": ""}) == (10, "")

    connection.close()
    assert statement.fetch_one({"number": 6, "word": ""}) == (12, "")
    assert known_to_the_server("twice")


def test_behind_a_pooler_that_changes_sessions_it_runs_unprepared() -> None:
    statement = doubled("pooled")
    statement.fetch_one({"number": 1, "word": ""})
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE pooled")

    assert statement.fetch_one({"number": 2, "word": ""}) == (4, "")
    assert statement.fetch_one({"number": 3, "word": ""}) == (6, "")
    assert not known_to_the_server("pooled")


def test_a_session_that_knows_it_from_somebody_else_is_used() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PREPARE inherited (integer, text) AS SELECT $1 * 2, $2")

    assert doubled("inherited").fetch_one({"number": 7, "word": ""}) == (14, "")


def test_inside_a_transaction_nothing_is_prepared_that_could_spoil_it() -> None:
    with transaction.atomic():
        assert doubled("inside").fetch_one({"number": 2, "word": ""}) == (4, "")
        assert not known_to_the_server("inside")

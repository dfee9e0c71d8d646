"""The test run's own ground: real servers, a clone for each worker."""

import pytest
import redis
from django.conf import settings
from django.db import connection


@pytest.mark.django_db
def test_each_worker_has_a_database_of_its_own() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), current_setting('server_version_num')::int, current_setting('fsync')"
        )
        name, version, fsync = cursor.fetchone()

    assert name.startswith("test_belay_")
    assert version >= 180000
    assert fsync == "off"


def test_the_broker_is_a_real_one() -> None:
    client = redis.from_url(settings.REDIS_URL)

    assert client.ping()
    assert "valkey_version" in client.info("server")

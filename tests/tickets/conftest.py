import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.house import House, build_house


@pytest.fixture
def house(db: None) -> House:
    return build_house()


@pytest.fixture(scope="module")
def built_house(django_db_setup: None, django_db_blocker: Any) -> Iterator[House]:
    """One house for a module; only for modules without tests that commit."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield build_house()
        transaction.set_rollback(True)


@pytest.fixture
def shared_house(built_house: House, db: None) -> House:
    """The module's house as it was built: rows by a savepoint, objects by a copy."""
    return copy.deepcopy(built_house)

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction

from tests.model import world
from tests.model.histories import History, Play
from tests.model.model import Model
from tests.model.real import Names, Real, build_world

Player = Callable[..., "contextmanager[Play]"]


@pytest.fixture
def names(db: None) -> Names:
    return build_world()


@contextmanager
def playing(names: Names, history: History, *, compare: bool = False) -> Iterator[Play]:
    """Play a history inside a transaction that is rolled back."""
    with transaction.atomic():
        yield Play(history, Model(world.BEGINNINGS[history.beginning]), Real(names), compare=compare)
        transaction.set_rollback(True)

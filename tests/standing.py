"""Houses that stand before a test begins: built once a worker, committed in a database of their own.

Building one costs more than most tests do. A test that takes such a fixture begins in that database and gets a copy of
the objects; what one commits is undone afterwards.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils.module_loading import import_string

from core.db import database_now
from tests import databases
from tests.settings import WORKER

# By the name of the fixture that hands it out.
BUILDERS = {
    "standing_house": "tests.house.build_house",
    "standing_admin_house": "tests.admin.conftest.build_house",
    "standing_board_house": "tests.web.board.world.build_house",
}
_bare = ""
_databases: dict[str, str] = {}
_built: dict[str, Any] = {}


def begin(bare: str) -> None:
    """Remember the worker's database without a house."""
    global _bare  # noqa: PLW0603 one a process, as the connection's settings are
    _bare = bare


def end() -> None:
    """Drop the databases with houses."""
    for name in _databases.values():
        databases.drop(name)


def move_to(item: pytest.Item) -> None:
    """Point the connection at the database in which a test finds the house it takes, before its transaction begins."""
    wanted = _database_of(next(iter(BUILDERS.keys() & fixtures_of(item)), ""))
    if connection.settings_dict["NAME"] != wanted:
        databases.point_at(wanted)
    if commits(item):
        databases.remember()


def commits(item: pytest.Item) -> bool:
    """Say whether a test commits, as pytest-django does: then that is undone after it."""
    mark = item.get_closest_marker("django_db")
    asked = not fixtures_of(item).isdisjoint({"transactional_db", "live_server"})
    return asked or bool(mark and mark.kwargs.get("transaction"))


def fixtures_of(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _database_of(house: str) -> str:
    if not house:
        return _bare
    if house not in _databases:
        made = databases.clone(f"{WORKER}_{house}")
        databases.point_at(made)
        _built[house] = _builder(house)()
        _databases[house] = made
    return _databases[house]


def _builder(house: str) -> Callable[[], Any]:
    build: Callable[[], Any] = import_string(BUILDERS[house])
    return build


def _take(house: str) -> Any:
    if connection.settings_dict["NAME"] != _databases.get(house):
        return _builder(house)()
    taken = copy.deepcopy(_built[house])
    if hasattr(taken, "now"):
        taken.now = database_now()
    return taken


@pytest.fixture
def standing_house(db: None) -> Any:
    return _take("standing_house")


@pytest.fixture
def standing_admin_house(db: None) -> Any:
    return _take("standing_admin_house")


@pytest.fixture
def standing_board_house(db: None) -> Any:
    return _take("standing_board_house")

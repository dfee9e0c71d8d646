import pytest

from tests.house import House, build_house
from tests.web.portal.people import Portal, people_around


@pytest.fixture
def house(db: None) -> House:
    return build_house()


@pytest.fixture
def portal(house: House) -> Portal:
    return people_around(house)

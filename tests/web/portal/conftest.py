import pytest

from tests.house import House
from tests.web.portal.people import Portal, people_around


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house


@pytest.fixture
def portal(house: House) -> Portal:
    return people_around(house)

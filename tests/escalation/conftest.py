import pytest

from tests.house import House


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house

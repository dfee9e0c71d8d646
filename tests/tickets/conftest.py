import pytest

from tests.house import House, build_house


@pytest.fixture
def house(db: None) -> House:
    return build_house()

import pytest

from tests.model.real import Names, build_world


@pytest.fixture
def names(db: None) -> Names:
    return build_world()

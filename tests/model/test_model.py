"""The engine on PostgreSQL does what the model says, through the same random histories (DESIGN 3)."""

from hypothesis import given, settings, HealthCheck

from tests.model.conftest import playing
from tests.model.histories import History, histories
from tests.model.real import Names

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def test_engine_and_model_agree(names: Names) -> None:
    @quick
    @given(history=histories())
    def explore(history: History) -> None:
        with playing(names, history, compare=True) as play:
            for _ in play.run():
                pass

    explore()

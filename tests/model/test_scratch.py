import time, os
from hypothesis import given, settings, HealthCheck, Phase, seed
from tests.model.conftest import playing
from tests.model.histories import History, histories
from tests.model.real import Names

N = int(os.environ.get("N", "20")); S = int(os.environ.get("S", "0"))
SHRINK = os.environ.get("SHRINK")
phases = [Phase.generate, Phase.shrink] if SHRINK else [Phase.generate]

def test_scratch(names: Names) -> None:
    spent = [0.0, 0, 0]
    @seed(S)
    @settings(max_examples=N, deadline=None, database=None, phases=phases, report_multiple_bugs=False,
      suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(history=histories())
    def explore(history: History) -> None:
        t = time.perf_counter()
        try:
            with playing(names, history, compare=True) as play:
                for _ in play.run():
                    spent[2] += 1
        finally:
            spent[0] += time.perf_counter() - t
            spent[1] += 1
    try:
        explore()
    finally:
        print("SPENT", spent)

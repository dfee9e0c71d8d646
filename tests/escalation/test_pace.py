"""How large the engine's next batch is: locks are held for a fraction of a second on any machine (DESIGN 7)."""

from hypothesis import given
from hypothesis import strategies as st

from escalation.rules.pace import LARGEST, SMALLEST, WANTED_SECONDS, Pace


def test_a_batch_that_took_too_long_is_cut_to_what_fits() -> None:
    pace = Pace()

    pace.learn(claimed=500, seconds=2 * WANTED_SECONDS)

    assert pace.size == 250


def test_quick_batches_grow_back_by_quarters() -> None:
    pace = Pace(size=200)

    pace.learn(claimed=200, seconds=0.01)
    grown = pace.size
    for _ in range(10):
        pace.learn(claimed=pace.size, seconds=0.01)

    assert grown == 250
    assert pace.size == LARGEST


def test_a_part_of_a_batch_that_was_quick_says_nothing_and_a_slow_one_does() -> None:
    quick, slow, handful = Pace(size=200), Pace(), Pace()

    quick.learn(claimed=150, seconds=0.01)
    slow.learn(claimed=300, seconds=1.5 * WANTED_SECONDS)
    # One ticket whose pages had to be read from the disk.
    handful.learn(claimed=1, seconds=3.0)

    assert quick.size == 200
    assert slow.size == 200
    assert handful.size == LARGEST


@given(
    each=st.floats(min_value=0.0001, max_value=0.0018),
    fixed=st.floats(min_value=0.0, max_value=0.02),
    size=st.integers(SMALLEST, LARGEST),
)
def test_on_a_steady_machine_batches_settle_below_what_is_wanted(
    each: float, fixed: float, size: int
) -> None:
    pace = Pace(size=size)

    for _ in range(20):
        took = fixed + each * pace.size
        pace.learn(claimed=pace.size, seconds=took)

    assert SMALLEST <= pace.size <= LARGEST
    # One growth above it at most, which DESIGN 7's quarter of a second leaves room for.
    assert fixed + each * pace.size <= max(WANTED_SECONDS * 1.25, fixed + each * SMALLEST)


@given(st.lists(st.tuples(st.integers(0, LARGEST), st.floats(min_value=0, max_value=1e6))))
def test_no_history_takes_the_size_out_of_its_bounds(history: list[tuple[int, float]]) -> None:
    pace = Pace()

    for claimed, seconds in history:
        pace.learn(claimed=claimed, seconds=seconds)

        assert SMALLEST <= pace.size <= LARGEST

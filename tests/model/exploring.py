"""Draw histories in chunks, judge each once per test run, and hand every law its verdict.

Playing a history costs most of a second, checking a law on it next to nothing: so all laws share the histories. Workers
share them too, by files in the run's folder; a breach is played again alone, and shrunk.
"""

import fcntl
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.model.histories import History, histories
from tests.model.judging import Verdict, judge
from tests.model.real import Names
from tests.settings import RUN, WORKER

# The same in every run, and one chunk that is not. With these seeds few histories put every law to the test repeatedly.
SEEDS = {"first": 3, "second": 4, "third": 5}
CHUNKS = (*SEEDS, "fresh")
EACH = 4
_PLAIN = settings(
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
GENERATE = settings(_PLAIN, phases=[Phase.generate])
SHRINK = settings(_PLAIN, phases=[Phase.generate, Phase.shrink])


def explore(number: int, many: int, look: Callable[[History], None], profile: settings = GENERATE) -> None:
    """Draw `many` histories, the same for the same `number`."""

    @seed(number)
    @settings(profile, max_examples=many)
    @given(history=histories())
    def draw(history: History) -> None:
        look(history)

    draw()


def verdict(build: Callable[[], Names]) -> tuple[Verdict, dict[str, int]]:
    """Return what all chunks brought, and the seed that broke each law; judge those nobody has judged yet."""
    own = CHUNKS.index(CHUNKS[sum(WORKER.encode()) % len(CHUNKS)])
    order = CHUNKS[own:] + CHUNKS[:own]
    for chunk in order:
        with _locked(chunk, wait=False) as free:
            if free and not _file(chunk).exists():
                _judge_chunk(chunk, build)
    whole, seeds = Verdict(), {}
    for chunk in CHUNKS:
        with _locked(chunk, wait=True):
            if not _file(chunk).exists():
                _judge_chunk(chunk, build)
            found = json.loads(_file(chunk).read_text())
        whole.add(Verdict(found["broken"], Counter(found["applied"])))
        for law in found["broken"]:
            seeds.setdefault(law, found["seed"])
    return whole, seeds


def _judge_chunk(chunk: str, build: Callable[[], Names]) -> None:
    number = SEEDS.get(chunk, random.SystemRandom().randrange(2**32))
    names, total = build(), Verdict()
    explore(number, EACH, lambda history: total.add(judge(names, history)))
    draft = _file(chunk).with_suffix(".draft")
    draft.write_text(json.dumps({"seed": number, "broken": total.broken, "applied": total.applied}))
    draft.rename(_file(chunk))


def hold(request: pytest.FixtureRequest, law: str) -> None:
    """Fail with the shortest history that breaks `law`, if any of the drawn ones does."""
    found, seeds = verdict(lambda: request.getfixturevalue("names"))
    if law in found.broken:
        shrink(request.getfixturevalue("names"), law, seeds[law], EACH)
        pytest.fail(f"seed {seeds[law]}, not the same when played again:\n{found.broken[law]}")
    assert found.applied[law], f"no history has put “{law}” to the test"


def shrink(names: Names, law: str, number: int, many: int) -> None:
    """Look for the shortest history that breaks `law` among those of one seed; raise AssertionError with it."""

    def look(history: History) -> None:
        broken = judge(names, history, only=law).broken
        assert law not in broken, f"{law} (seed {number})\n{broken[law]}"

    explore(number, many, look, SHRINK)


def _file(chunk: str) -> Path:
    return RUN / f"histories-{chunk}.json"


@contextmanager
def _locked(chunk: str, *, wait: bool) -> Iterator[bool]:
    with (RUN / f"histories-{chunk}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True

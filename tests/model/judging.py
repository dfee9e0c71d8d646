"""Play histories and hold them against the model and every law; what is found is told as a script."""

from collections import Counter
from dataclasses import dataclass, field

from django.db import transaction

from tests.model import world
from tests.model.histories import History, Play
from tests.model.joining_laws import JOINING_LAWS
from tests.model.laws import LAWS
from tests.model.model import Model
from tests.model.real import Names, Real

AGREE = "engine and model agree"


@dataclass
class Verdict:
    """What a history broke: by law, the first breach in words; and how often each law had something to say."""

    broken: dict[str, str] = field(default_factory=dict)
    applied: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Verdict") -> None:
        for law, text in other.broken.items():
            self.broken.setdefault(law, text)
        self.applied.update(other.applied)


def judge(names: Names, history: History, only: str | None = None) -> Verdict:
    """Play a history inside a transaction that is rolled back; `only` stops at the first breach of that law."""
    verdict = Verdict()
    with transaction.atomic():
        play = Play(history, Model(world.BEGINNINGS[history.beginning]), Real(names))
        laws = {name: law() for name, law in (LAWS | JOINING_LAWS).items() if only in (None, name)}
        for moment in play.run():
            verdict.applied[AGREE] += 1
            for name, law in laws.items():
                if found := list(law.see(play, moment)):
                    verdict.broken.setdefault(name, play.told(found))
            if play.parted:
                verdict.broken.setdefault(AGREE, play.told(play.parted))
            if only in verdict.broken:
                break
        # Each law's end sets time and mail going its own way.
        for name, law in laws.items():
            with transaction.atomic():
                now = play.model.now
                if found := list(law.end(play)):
                    verdict.broken.setdefault(name, play.told(found))
                play.model.now = now
                transaction.set_rollback(True)
            verdict.applied[name] += law.applied
        transaction.set_rollback(True)
    return verdict

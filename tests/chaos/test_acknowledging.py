"""Acknowledging races the claim, thousands of times: one of two whole outcomes, never both, never neither."""

import datetime as dt
import random
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest
from django.db import connection

from escalation.engine import tick
from escalation.models import Clock, Escalation
from escalation.operations import AlreadyAcknowledged, Moved, acknowledge
from notifications.models import Notification
from tests.chaos.counting import Prove, open_due
from tests.chaos.installation import Installation
from tests.house import MIN, House

# Few enough that a person's click and the engine's claim fall into the same milliseconds.
AT_ONCE = 6
ACKNOWLEDGERS = 2


@dataclass
class Race:
    """Rounds in which some people acknowledge tickets that the engine claims at the same moment."""

    house: House
    due: dt.datetime
    rounds: list[list[int]]
    answers: dict[int, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def run(self) -> None:
        start = threading.Barrier(ACKNOWLEDGERS + 1)
        runners = [threading.Thread(target=self._safely, args=(self._claim, start, 0))]
        runners += [
            threading.Thread(target=self._safely, args=(self._acknowledge, start, number))
            for number in range(ACKNOWLEDGERS)
        ]
        # Three threads that take turns every five milliseconds would hardly ever meet, and take for ever.
        usual = sys.getswitchinterval()
        sys.setswitchinterval(0.0002)
        try:
            for runner in runners:
                runner.start()
            for runner in runners:
                runner.join()
        finally:
            sys.setswitchinterval(usual)

    def _safely(self, act, start: threading.Barrier, number: int) -> None:  # type: ignore[no-untyped-def]
        try:
            act(start, number)
        except Exception as error:  # noqa: BLE001 told to the test
            self.errors.append(repr(error))
            start.abort()
        finally:
            connection.close()

    def _claim(self, start: threading.Barrier, _number: int) -> None:
        chance = random.Random(7)  # noqa: S311
        pause = threading.Event()
        for ids in self.rounds:
            start.wait(30)
            # So that either of the two comes first about as often.
            pause.wait(chance.uniform(0, 0.02))
            tick(now=self.due, only=ids)

    def _acknowledge(self, start: threading.Barrier, number: int) -> None:
        for ids in self.rounds:
            start.wait(30)
            for pk in ids[number::ACKNOWLEDGERS]:
                try:
                    acknowledge(ticket_id=pk, seen_seq=1, actor=self.house.second, now=self.due)
                except (Moved, AlreadyAcknowledged) as refusal:
                    self.answers[pk] = type(refusal).__name__
                else:
                    self.answers[pk] = "acknowledged"


def race(house: House, count: int) -> tuple[Counter[str], Counter[str]]:
    """Race for that many tickets at L2; return what people were answered, and what is wrong with what is on record."""
    ids = open_due(house, count)
    at = house.now + 5 * MIN
    tick(now=at)
    # Whom the tick above could not have claimed yet comes along in the race's own time.
    due = max(Clock.objects.filter(ticket__in=ids, kind="acknowledge").values_list("due_at", flat=True))
    assert due is not None
    # A last round for a tick that met a ticket while it was being acknowledged, and skipped it.
    one = Race(house, due, [ids[place : place + AT_ONCE] for place in range(0, count, AT_ONCE)])
    one.run()
    assert one.errors == []
    tick(now=due)

    acknowledged = set(
        Escalation.objects.filter(ticket__in=ids, seq=1, acknowledged_at__isnull=False).values_list(
            "ticket", flat=True
        )
    )
    moved = set(Escalation.objects.filter(ticket__in=ids, seq=2).values_list("ticket", flat=True))
    told_above = Counter(
        Notification.objects.filter(ticket__in=ids, seq=2, round__isnull=False).values_list(
            "ticket", flat=True
        )
    )
    wrong: Counter[str] = Counter()
    for pk in ids:
        said_yes = one.answers[pk] == "acknowledged"
        wrong["both"] += pk in acknowledged and pk in moved
        wrong["neither"] += pk not in acknowledged and pk not in moved
        wrong["told otherwise"] += said_yes != (pk in acknowledged)
        wrong["told above though acknowledged"] += bool(pk in acknowledged and told_above[pk])
        wrong["climbed and told nobody"] += bool(pk in moved and told_above[pk] != 2)
    return Counter(one.answers.values()), +wrong


def check(house: House, prove: Prove, count: int) -> None:
    answers, wrong = race(house, count)

    prove(
        "acknowledging races the claim",
        f"{count} tickets, {ACKNOWLEDGERS} people against the engine",
        f"both {wrong['both']}, neither {wrong['neither']}, "
        f"told though acknowledged {wrong['told above though acknowledged']}",
        f"{answers['acknowledged']} acknowledged first, {answers['Moved']} climbed first",
    )
    assert wrong == {}
    assert set(answers) == {"acknowledged", "Moved"}
    # A race that one side always wins proves nothing.
    assert min(answers.values()) > count / 20


def test_an_acknowledgement_and_a_claim_end_in_one_of_two_whole_outcomes(
    installation: Installation, house: House, prove: Prove
) -> None:
    check(house, prove, 120)


@pytest.mark.slow
def test_ten_thousand_acknowledgements_race_the_claim(
    installation: Installation, house: House, prove: Prove
) -> None:
    check(house, prove, 10_000)

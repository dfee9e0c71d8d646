"""Replaying incidents of the past: the real engine, at the log's times, and nothing stays behind."""

import csv
import datetime as dt
import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from accounts.models import User
from escalation.operations import publish_path
from insights.history import logged_incidents
from insights.outcome import Outcome
from insights.replay import find_path, replay
from insights.rules import LogLine, percentile, solved_at, time_at
from tests.house import MIN, House, default_spec, republish

HEADER = ("case", "ts", "status", "substatus", "level", "team", "impact", "product", "resource_id")
DAY = "2024-03-04"

# Nobody of the second level looks at it before it is solved.
NEGLECTED = (
    ("08:00", "Accepted/In Progress", "L1"),
    ("08:45", "Queued/Awaiting Assignment", "L2"),
    ("08:46", "Accepted/In Progress", "L2"),
    ("08:55", "Completed/Resolved", "L2"),
)
# Waits for the user, is passed on by hand, falls back.
WANDERING = (
    ("09:00", "Accepted/In Progress", "L1"),
    ("09:10", "Accepted/Wait - User", "L1"),
    ("10:00", "Accepted/In Progress", "L1"),
    ("10:15", "Queued/Awaiting Assignment", "L2"),
    ("10:25", "Accepted/In Progress", "L2"),
    ("10:40", "Accepted/In Progress", "L1"),
    ("10:45", "Completed/Resolved", "L1"),
)
# Waiting for a vendor pauses nothing; solved in the instant in which the second level's time would be over.
VENDOR = (
    ("09:00", "Accepted/In Progress", "L1"),
    ("09:10", "Accepted/Wait - Vendor", "L1"),
    ("09:40", "Completed/Resolved", "L1"),
)


@pytest.fixture
def house(standing_house: House) -> House:
    return standing_house


def write_log(path: Path, **cases: tuple[tuple[str, str, str], ...]) -> Path:
    with path.open("w", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(HEADER)
        for case, rows in cases.items():
            for clock, words, level in rows:
                status, _, substatus = words.partition("/")
                at = f"{DAY}T{clock}:00+00:00"
                sheet.writerow(
                    (case, at, status, substatus, level, f"Team {level}", "Medium", "P1", f"R{level}")
                )
    return path


def play(tmp_path: Path, **cases: tuple[tuple[str, str, str], ...]) -> dict[str, Outcome]:
    call_command("import_incidents", write_log(tmp_path / "log.csv", **cases), stdout=io.StringIO())
    return {outcome.case: outcome for chunk in logged_incidents() for outcome in replay(chunk)}


def everything() -> dict[str, int]:
    """Count the rows of every table of ours."""
    ours = ("accounts", "calendars", "tickets", "notifications", "escalation")
    return {
        model._meta.label: model._default_manager.count()
        for app in ours
        for model in apps.get_app_config(app).get_models()
    }


def test_a_neglected_incident_climbs_to_the_top_by_clocks(house: House, tmp_path: Path) -> None:
    outcome = play(tmp_path, A=NEGLECTED)["A"]

    # 08:30 L1's half hour is over; 08:40 and 08:50 nobody has acknowledged within ten minutes.
    assert outcome.climbs == {(1, 2, "tier_time"): 1, (2, 3, "acknowledge"): 1, (3, 4, "acknowledge"): 1}
    # Each list has two contacts, told at once and every four minutes: at 30, 34, 38; 40, 44, 48; 50, 54.
    by_list = Counter[str]()
    for (name, _), count in outcome.told.items():
        by_list[name] += count
    assert by_list == {house.lists[2].name: 6, house.lists[3].name: 6, house.lists[4].name: 4, "": 1}
    # At 08:22:30 whoever had it was warned that three quarters of the time are over.
    assert outcome.told["", "owner or lead"] == 1
    assert (outcome.acknowledged_in_time, outcome.acknowledged_late) == (0, 2)
    assert outcome.missed.total() == 0
    assert (outcome.logged_tier, outcome.shadow_tier, outcome.severity) == (2, 4, 3)
    assert (outcome.held, outcome.would_hold) == (45 * MIN, 30 * MIN)
    assert outcome.lasted == 55 * MIN


def test_waiting_for_the_user_pauses_and_a_fall_lowers(house: House, tmp_path: Path) -> None:
    outcome = play(tmp_path, A=WANDERING)["A"]

    # Ten minutes are used at 09:10, so L1's time is over at 10:20; L2 takes it at 10:25.
    assert outcome.climbs == {(1, 2, "tier_time"): 1}
    assert (outcome.acknowledged_in_time, outcome.acknowledged_late) == (1, 0)
    assert sum(count for (name, _), count in outcome.told.items() if name == house.lists[2].name) == 4
    assert (outcome.falls, outcome.shadow_tier) == (1, 2)
    assert outcome.held is outcome.would_hold is None


def test_other_waits_pause_nothing_and_the_very_instant_is_in_time(house: House, tmp_path: Path) -> None:
    outcome = play(tmp_path, A=VENDOR)["A"]
    assert outcome.climbs == {(1, 2, "tier_time"): 1}
    assert (outcome.acknowledged_in_time, outcome.acknowledged_late) == (0, 0)


def test_missed_promises_are_counted(house: House, tmp_path: Path) -> None:
    late = (
        ("08:00", "Queued/Awaiting Assignment", "L1"),
        ("08:21", "Accepted/In Progress", "L1"),
        ("16:10", "Completed/Resolved", "L1"),
    )
    outcome = play(tmp_path, A=late)["A"]
    # First response within twenty minutes, resolution within eight hours.
    assert outcome.missed["first_response"] == 1
    assert outcome.missed["resolution"] == 1
    assert outcome.kept.total() == 0


def test_at_the_top_it_does_not_count_for_ever(house: House, tmp_path: Path) -> None:
    asleep = (("00:00", "Queued/Awaiting Assignment", "L1"), ("23:00", "Completed/Resolved", "L1"))
    outcome = play(tmp_path, A=asleep)["A"]
    assert outcome.shadow_tier == 4
    assert outcome.cut_short
    # Three times in a row; then only when the resolution's warning and its end come, which are not lost sight of.
    assert outcome.told_again == 5
    assert outcome.missed == {"first_response": 1, "resolution": 1}
    # At the top three steps have run out of time to be acknowledged; the top itself counts once.
    assert outcome.acknowledged_late == 3


def test_side_by_side_is_as_one_by_one(house: House, tmp_path: Path) -> None:
    together = play(tmp_path, A=NEGLECTED, B=WANDERING, C=VENDOR)
    alone = {o.case: o for chunk in logged_incidents() for one in chunk for o in replay([one])}
    assert together == alone


def test_counting_repetitions_is_as_playing_them(house: House, tmp_path: Path) -> None:
    """The first list asks every four minutes, the last every seven: in long waits each repeats many times."""
    steps = tuple(
        replace(step, wait=(4 + place) * MIN, targets=dict.fromkeys((1, 2, 3, 4), (50 * MIN, 90 * MIN)))
        for place, step in enumerate(default_spec(house).steps)
    )
    republish(house, steps=steps)
    asleep = (
        ("00:00", "Queued/Awaiting Assignment", "L1"),
        ("07:03", "Accepted/Wait - User", "L3"),
        ("20:11", "Completed/Resolved", "L2"),
    )
    cases = {"A": asleep, "B": NEGLECTED, "C": WANDERING}
    counted = play(tmp_path, **cases)
    played = {o.case: o for chunk in logged_incidents() for o in replay(chunk, every_telling=True)}
    assert counted == played
    assert counted["A"].told.total() > 60


def test_a_chosen_path_is_taken_whatever_its_conditions(house: House, tmp_path: Path) -> None:
    spec = default_spec(house, name="Only VIPs", is_default=False, conditions={"vip": True}, position=1)
    publish_path(path_id=None, spec=spec, actor=None, now=house.now)
    call_command("import_incidents", write_log(tmp_path / "log.csv", A=VENDOR), stdout=io.StringIO())
    (chunk,) = logged_incidents()
    assert replay(chunk)[0].path == "Standard"
    assert replay(chunk, find_path("only vips"))[0].path == "Only VIPs"
    assert replay(chunk)[0].path == "Standard"


@pytest.mark.parametrize("from_file", [True, False])
def test_nothing_stays_behind_and_the_figures_are_the_same_again(
    house: House, tmp_path: Path, from_file: bool
) -> None:
    log = write_log(tmp_path / "log.csv", A=NEGLECTED, B=WANDERING, C=VENDOR)
    if not from_file:
        call_command("import_incidents", log, stdout=io.StringIO())
    before = everything()

    said, figures = run(tmp_path, log if from_file else None)

    assert everything() == before
    assert not User.objects.filter(email="replay@belay.invalid").exists()
    assert figures["incidents"] == 3
    assert figures["climbs_by_clock"] == [
        {"from": 1, "to": 2, "trigger": "tier_time", "count": 3},
        {"from": 2, "to": 3, "trigger": "acknowledge", "count": 1},
        {"from": 3, "to": 4, "trigger": "acknowledge", "count": 1},
    ]
    assert figures["acknowledged"] == {"in_time": 1, "late": 2, "share": 0.3333}
    assert figures["solved_by_l2"]["held_by_l1"] == {"median": 2700.0, "p90": 2700.0}
    assert [case["case"] for case in figures["worst"]] == ["A", "C", "B"]
    assert "Acknowledged in time: 33.3% (1 of 3)." in said
    assert (said, figures) == run(tmp_path, log if from_file else None)


def run(tmp_path: Path, log: Path | None) -> tuple[str, dict[str, Any]]:
    out = io.StringIO()
    extra = ["--file", log] if log is not None else []
    call_command("replay", "--json", tmp_path / "figures.json", *extra, stdout=out)
    return out.getvalue(), json.loads((tmp_path / "figures.json").read_text())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "There are no imported incidents"),
        (["--path", "Nowhere"], "There is no path “Nowhere”. There are: “Standard”."),
        (["--limit", "0"], "--limit must be at least 1."),
        (["--file", "/nowhere.csv"], "can't be read"),
    ],
)
def test_what_makes_no_sense_is_refused(house: House, flags: list[str], message: str) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("replay", *flags, stdout=io.StringIO())
    assert message in str(refusal.value)


def test_without_a_path_it_says_so(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no escalation path to replay on"):
        call_command("replay", "--file", write_log(tmp_path / "log.csv", A=VENDOR), stdout=io.StringIO())


def test_only_so_many_incidents_are_replayed(house: House, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", A=WANDERING, B=NEGLECTED, C=VENDOR)
    call_command("import_incidents", log, stdout=io.StringIO())
    assert [one.ticket.source_key for chunk in logged_incidents(limit=2) for one in chunk] == ["B", "A"]


def at(minute: int, tier: int, status: str = "open") -> LogLine:
    return LogLine(dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + minute * MIN, tier, status, at_work=True)


def test_the_nearest_rank_is_taken() -> None:
    values = [n * MIN for n in (5, 1, 3, 2, 4)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.9, 1.0)] == [MIN, 3 * MIN, 5 * MIN, 5 * MIN]
    assert percentile([], 0.5) is None


def test_a_case_is_solved_by_the_last_solution_that_held() -> None:
    lines = [at(0, 1), at(5, 1, "resolved"), at(9, 2), at(20, 2, "resolved"), at(30, 1, "closed")]
    assert solved_at(lines) == lines[3]
    assert solved_at(lines[:3]) is None


def test_time_at_a_tier_adds_up_its_stays() -> None:
    lines = [at(0, 1), at(5, 2), at(9, 1), at(20, 2)]
    assert time_at(1, lines, at(25, 2).at) == 16 * MIN
    assert time_at(1, lines, at(12, 2).at) == 8 * MIN


@pytest.mark.slow
def test_the_real_log_is_replayed_whole(house: House, corpora: Path, tmp_path: Path) -> None:
    """The figures are those a reader counts in the log, wherever the log alone decides them."""
    path = corpora / "incidents/volvo_incidents.csv"
    call_command("replay", "--file", path, "--json", tmp_path / "f.json", stdout=io.StringIO())
    figures = json.loads((tmp_path / "f.json").read_text())

    cases: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            cases.setdefault(row["case"], []).append(row)
    held = sorted(held_by_l1(rows) for rows in cases.values() if solver(rows) == "L2")
    impacts = Counter(rows[0]["impact"] for rows in cases.values())
    assert figures["incidents"] == len(cases)
    assert figures["severities"] == {
        "SEV2": impacts["High"],
        "SEV3": impacts["Medium"],
        "SEV4": impacts["Low"],
    }
    spread = figures["solved_by_l2"]
    assert spread["incidents"] == len(held)
    assert spread["held_by_l1"]["median"] == held[(len(held) + 1) // 2 - 1]
    assert spread["would_be_held_by_l1"]["p90"] <= spread["held_by_l1"]["p90"]
    assert figures["climbs_by_clock"]


def solver(rows: list[dict[str, str]]) -> str | None:
    level = None
    for row in rows:
        if row["status"] == "Completed":
            level = level or row["level"]
        elif row["status"] != "Unmatched":
            level = None
    return level


def held_by_l1(rows: list[dict[str, str]]) -> float:
    last = max(n for n, row in enumerate(rows) if row["status"] not in ("Completed", "Unmatched"))
    solved = next(row for row in rows[last:] if row["status"] == "Completed")
    end = dt.datetime.fromisoformat(solved["ts"])
    total = 0.0
    for n, row in enumerate(rows):
        begin = dt.datetime.fromisoformat(row["ts"])
        until = dt.datetime.fromisoformat(rows[n + 1]["ts"]) if n + 1 < len(rows) else end
        if row["level"] == "L1" and begin < end:
            total += (min(until, end) - begin).total_seconds()
    return total

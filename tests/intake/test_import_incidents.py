"""Importing incident logs: every row accounted for, nobody told, safe to run again."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Organisation, Role, Team, User
from core.db import database_now
from core.errors import Refused
from escalation.models import Clock, Escalation, Standing
from helpdesk import environment
from intake.incidents import Account, ImportUnderWay, TooManyErrors, import_incidents
from intake.mapping import read_layout
from notifications.models import Notification
from tests.intake.counting import count
from tickets.models import Event, Service, Ticket

HEADER = "case,ts,status,substatus,level,team,org_line,impact,product,country,resource_id\n"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def row(
    case: str,
    at: str,
    words: str = "Accepted/In Progress",
    level: str = "L1",
    team: str = "G97",
    who: str = "R1",
) -> str:
    status, _, substatus = words.partition("/")
    return f"{case},2024-03-0{at}:00+01:00,{status},{substatus},{level},{team},Org line C,Medium,PROD1,se,{who}\n"


LIFE = (
    row("A", "1T08:00")
    + row("A", "1T08:30", "Queued/Awaiting Assignment", "L2", "V37 2nd")
    + row("A", "1T09:00", "Accepted/In Progress", "L2", "V37 2nd", "R2")
    + row("A", "1T09:00", "Accepted/In Progress", "L2", "V37 2nd", "R2")
    + row("A", "1T10:00", "Accepted/Wait - User", "L2", "V37 2nd", "R2")
    + row("A", "1T11:00", "Accepted/In Progress", "L1", "G97", "R1")
    + row("A", "1T12:00", "Completed/Resolved", "L1", "G97", "R1")
    + row("A", "2T12:00", "Completed/Closed", "L1", "G97", "R3")
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.csv"


def take_in(path: Path, **options: object) -> Account:
    return import_incidents(path, read_layout(), now=NOW, **options)  # type: ignore[arg-type]


def kinds_of(ticket: Ticket) -> list[str]:
    return list(Event.objects.filter(ticket=ticket).order_by("seq").values_list("kind", flat=True))


def everything() -> tuple[int, ...]:
    return tuple(
        model.objects.count() for model in (Ticket, Event, Escalation, Team, Service, Organisation, User)
    )


def test_every_row_of_the_real_log_is_accounted_for(db: None, corpora: Path) -> None:
    path = corpora / "incidents/volvo_incidents.csv"
    counted = count(path)

    account = take_in(path)

    assert account.staged.read == account.accounted == counted.rows
    assert account.skipped == 0
    assert account.opened == account.staged.cases == Ticket.objects.count() == len(counted.cases)
    assert account.moves == counted.moves
    # Each row is one event with the words of the log, and the words are those of the row.
    words = Counter(
        (case, log["status"], log["substatus"], log["level"], log["team"])
        for case, log in Event.objects.values_list("ticket__source_key", "data__log")
        if log is not None
    )
    assert words == Counter(
        (case, one["status"], one["substatus"], one["level"], one["team"])
        for case, rows in counted.cases.items()
        for one in rows
    )
    kinds = Counter(Escalation.objects.values_list("kind", flat=True))
    assert kinds == {"climb": counted.climbs, "fall": counted.falls}
    for ticket in Ticket.objects.select_related("team", "service", "organisation", "assignee"):
        rows = counted.cases[ticket.source_key]
        assert ticket.historic
        assert ticket.opened_at == datetime.fromisoformat(rows[0]["ts"])
        assert f"L{ticket.tier}" == rows[-1]["level"]
        assert (ticket.team and ticket.team.name) == rows[-1]["team"]
        assert (ticket.service and ticket.service.name) == rows[-1]["product"]
    levels = {one["team"]: int(one["level"][1]) for rows in counted.cases.values() for one in rows}
    assert dict(Team.objects.values_list("name", "tier")) == levels


def test_nobody_is_told_and_no_clock_starts(db: None, log: Path) -> None:
    log.write_text(HEADER + LIFE)
    take_in(log)
    assert (Clock.objects.count(), Standing.objects.count(), Notification.objects.count()) == (0, 0, 0)
    assert not Ticket.objects.open().exists()
    assert not User.objects.filter(is_active=True).exists()
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_a_case_becomes_a_ticket_with_its_life(db: None, log: Path) -> None:
    log.write_text(HEADER + LIFE)

    account = take_in(log)

    ticket = Ticket.objects.get()
    assert (account.opened, account.changed, account.unchanged) == (1, 6, 1)
    assert (ticket.source, ticket.source_key, ticket.status) == ("import", "A", "closed")
    assert ticket.resolved_at == datetime(2024, 3, 1, 11, tzinfo=UTC)
    assert ticket.closed_at == datetime(2024, 3, 2, 11, tzinfo=UTC)
    assert (ticket.impact, ticket.severity, ticket.tags) == (2, 3, ["org-line-c"])
    assert ticket.organisation is not None
    assert ticket.organisation.name == "SE"
    assert ticket.requester.name == "Requesters (SE)"
    assert kinds_of(ticket) == [
        *("opened", "assigned", "status_changed"),
        *("tier_changed", "team_changed", "assigned"),  # queued at L2; waiting for somebody
        *("assigned",),
        *("logged",),
        *("status_changed",),
        *("tier_changed", "team_changed", "assigned", "status_changed"),
        *("status_changed",),
        *("status_changed",),
    ]
    first = Event.objects.get(ticket=ticket, seq=1)
    assert first.happened_at == ticket.opened_at
    assert first.actor is not None
    assert (first.actor.email, first.actor.role) == ("r1@import.invalid", Role.AGENT)
    climb, fall = Escalation.objects.order_by("seq")
    assert (climb.kind, climb.from_tier, climb.to_tier, climb.trigger) == ("climb", 1, 2, "history")
    assert climb.at == datetime(2024, 3, 1, 7, 30, tzinfo=UTC)
    assert climb.acknowledged_at == datetime(2024, 3, 1, 8, tzinfo=UTC)
    assert climb.acknowledged_by is not None
    assert climb.acknowledged_by.name == "R2"
    assert (fall.kind, fall.from_tier, fall.to_tier, fall.historic) == ("fall", 2, 1, True)


def test_a_reopened_case_is_open_again(db: None, log: Path) -> None:
    log.write_text(
        HEADER
        + row("A", "1T08:00")
        + row("A", "1T09:00", "Completed/Closed")
        + row("A", "1T10:00", "Queued/x")
    )
    take_in(log)
    ticket = Ticket.objects.get()
    assert (ticket.status, ticket.reopened_count) == ("open", 1)
    assert ticket.closed_at is ticket.resolved_at is ticket.assignee is None


@pytest.mark.parametrize("chunk_rows", [1, 3, 1000])
def test_a_second_run_adds_nothing(db: None, log: Path, chunk_rows: int) -> None:
    log.write_text(HEADER + LIFE + row("B", "1T08:00") + row("B", "1T08:00"))
    first = take_in(log, chunk_rows=chunk_rows)
    before = everything()

    second = take_in(log)

    assert everything() == before
    assert (first.opened, first.changed, first.unchanged, first.known) == (2, 6, 2, 0)
    assert (second.opened, second.changed, second.unchanged, second.known) == (0, 0, 0, 10)
    assert first.continued == 0
    assert second.accounted == second.staged.read


def test_later_rows_in_a_later_file_continue_the_ticket(db: None, log: Path) -> None:
    lines = LIFE.splitlines(keepends=True)
    log.write_text(HEADER + "".join(lines[:2]))
    take_in(log)
    log.write_text(HEADER + "".join(lines[1:]))

    account = take_in(log)

    assert (account.opened, account.known, account.changed, account.unchanged) == (0, 1, 5, 1)
    assert account.continued == 1
    ticket = Ticket.objects.get()
    assert ticket.status == "closed"
    climb, fall = Escalation.objects.order_by("seq")
    assert (climb.kind, fall.kind, fall.seq) == ("climb", "fall", 2)
    assert climb.acknowledged_at == datetime(2024, 3, 1, 8, tzinfo=UTC)


def test_rows_earlier_than_what_is_on_record_are_reported_not_inserted(db: None, log: Path) -> None:
    log.write_text(HEADER + row("A", "1T08:00") + row("A", "1T10:00"))
    take_in(log)
    log.write_text(HEADER + row("A", "1T09:00", who="R9"))

    account = take_in(log)

    assert (account.late, account.accounted) == (1, 1)
    assert account.late_rows == [(2, "A")]


def test_scattered_cases_and_disorder_are_put_right(db: None, log: Path) -> None:
    lines = LIFE.splitlines(keepends=True)
    others = [row("B", f"1T08:{minute:02}") for minute in range(8)]
    mixed = [line for pair in zip(reversed(lines), others, strict=True) for line in pair]
    log.write_text(HEADER + "".join(mixed))

    account = take_in(log, chunk_rows=3)

    assert account.staged.out_of_order == 7  # A stands there backwards: all but its first
    assert Ticket.objects.get(source_key="A").status == "closed"
    assert [e.kind for e in Escalation.objects.order_by("seq")] == ["climb", "fall"]


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (row("", "1T08:00"), "case", "is empty"),
        (row("A", "1T08:00", level="L9"), "level", "support level nobody mapped"),
        (row("A", "1T08:00", "Dreaming"), "status", "nobody mapped"),
        (row("A", "1T08:00").replace("Medium", "Huge"), "impact", "nobody mapped"),
        (row("A", "1T08:00").replace("2024", "soon"), "ts", "is no time"),
        (row("A", "1T08:00").replace("2024", "2124"), "ts", "lies in the future"),
        (row("A", "1T08:00").replace("2024", "1924"), "ts", "lies before 1970"),
        (row("A", "1T08:00").replace("2024-03", "0001-01"), "ts", "before 1970"),
        ("A,2024-03-01T08:00:00+01:00,Accepted\n", "row", "has 3 columns, the header 11"),
        (row("A", "1T08:00").replace("\n", ",more\n"), "row", "has 12 columns, the header 11"),
        (row("A", "1T08:00", team='"G"97'), "row", "is no CSV"),
        (row("A", "1T08:00", team="G\x0097"), "team", "NUL"),
        (row("A", "1T08:00", team="G" * 101), "team", "at most 100"),
        (row("A" * 201, "1T08:00"), "case", "at most 200"),
    ],
)
def test_a_bad_row_is_named_and_the_rest_goes_in(
    db: None, log: Path, bad: str, field: str, reason: str
) -> None:
    log.write_text(HEADER + row("B", "1T07:00") + bad + row("C", "1T09:00"))
    said = io.StringIO()

    call_command("import_incidents", log, stdout=io.StringIO(), stderr=said)

    assert said.getvalue().startswith(f"line 3: {field} “")
    assert reason in said.getvalue()
    assert set(Ticket.objects.values_list("source_key", flat=True)) == {"B", "C"}


def test_bytes_that_are_no_text_are_named_and_the_rest_goes_in(db: None, log: Path) -> None:
    broken = row("A", "1T08:00", team="Göteborg").encode("latin-1")
    log.write_bytes(HEADER.encode() + broken + row("B", "1T09:00", team="Göteborg").encode())
    said = io.StringIO()
    call_command("import_incidents", log, stdout=io.StringIO(), stderr=said)
    assert said.getvalue() == "line 2: team “G\\xf6teborg” is no utf-8 text\n"
    assert Team.objects.get().name == "Göteborg"


def test_the_files_encoding_can_be_given(db: None, log: Path) -> None:
    log.write_bytes((HEADER + row("A", "1T08:00", team="Göteborg")).encode("cp1252"))
    call_command("import_incidents", log, "--encoding", "cp1252", stdout=io.StringIO())
    assert Team.objects.get().name == "Göteborg"


def test_an_unclosed_quote_costs_no_more_than_the_lines_it_swallowed(db: None, log: Path) -> None:
    filler = "".join(row(f"F{n}", "1T08:00") for n in range(2000))
    log.write_text(
        HEADER + row("A", "1T08:00") + row("B", "1T08:00", team='"G97') + filler + row("C", "1T08:00")
    )
    said: list[str] = []

    account = take_in(log, on_bad=lambda bad: said.append(f"{bad.lines}: {bad.reason}"))

    assert len(said) == 1
    assert said[0].startswith("3-")
    assert "is no CSV" in said[0]
    assert account.accounted == account.staged.read
    assert {"A", "C"} <= set(Ticket.objects.values_list("source_key", flat=True))


def test_a_byte_order_mark_and_quoted_line_breaks_are_read(db: None, log: Path) -> None:
    log.write_text(
        "\ufeff"
        + HEADER
        + row("A", "1T08:00", team='"Two\nlines"')
        + "\r\n"
        + row("B", "1T08:00", level="L7")
    )
    bad: list[str] = []
    account = take_in(log, on_bad=lambda one: bad.append(one.lines))
    assert Team.objects.get().name == "Two lines"
    assert bad == ["5"]
    assert account.staged.read == 2


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        ("", [], "file: The file is empty."),
        ("case,ts,status\n", [], "level: The file has no column “level”; it has case, ts, status."),
        ("case;ts;status;level\n", [], "--delimiter ';'"),
        ("case,case,ts,status,level\n", [], "case: The column “case” is there twice."),
        (HEADER, ["--column", "case=number"], "case: The file has no column “number”"),
        (HEADER, ["--column", "number"], "column: “number” maps no column."),
        (HEADER, ["--column", "nummer=number"], "column: “nummer” is no field of an incident log."),
        (HEADER, ["--delimiter", "::"], "delimiter: “::” can't part columns."),
        (HEADER, ["--encoding", "klingon"], "encoding: “klingon” is no encoding."),
        (HEADER, ["--time-zone", "Europe/Nowhere"], "time_zone: “Europe/Nowhere” is no time zone."),
        (HEADER, ["--chunk-rows", "0"], "--chunk-rows must be at least 1."),
    ],
)
def test_a_file_or_flag_that_makes_no_sense_is_refused(
    db: None, log: Path, content: str, flags: list[str], message: str
) -> None:
    log.write_text(content)
    with pytest.raises(CommandError) as refusal:
        call_command("import_incidents", log, *flags, stdout=io.StringIO())
    assert message in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="file: The file can't be read: No such file"):
        call_command("import_incidents", tmp_path / "none.csv", stdout=io.StringIO())


def test_a_file_with_a_header_only_has_nothing_to_account_for(db: None, log: Path) -> None:
    log.write_text(HEADER)
    account = take_in(log)
    assert account.staged.read == account.accounted == 0


def test_other_columns_words_and_delimiters_are_mapped(db: None, tmp_path: Path, log: Path) -> None:
    log.write_text(
        "number|when|state|line|squad|caller\n"
        "INC1|01.03.2024 08:00|Offen|Erste|Kundendienst|Ute Süß\n"
        "INC1|31.03.2024 02:30|Wartet|Zweite|Netz|Ute Süß\n"
    )
    mapping = tmp_path / "map.toml"
    mapping.write_text(
        'delimiter = "|"\ntime_zone = "Europe/Berlin"\ntime_format = "%d.%m.%Y %H:%M"\n'
        '[columns]\ncase = "id"\nts = "when"\nstatus = "state"\nlevel = "line"\nteam = "squad"\nrequester = "caller"\n'
        '[status]\noffen = "open"\nwartet = "waiting"\n[level]\nerste = 1\nzweite = 2\n'
        '[team]\nkundendienst = "Service desk"\n'
    )
    said = io.StringIO()

    call_command(
        "import_incidents",
        log,
        "--mapping",
        mapping,
        "--column",
        "case=number",
        stdout=said,
        stderr=io.StringIO(),
    )

    ticket = Ticket.objects.get()
    assert (ticket.status, ticket.tier, ticket.requester.name) == ("waiting", 2, "Ute Süß")
    assert ticket.requester.email.endswith("@import.invalid")
    assert ticket.opened_at == datetime(2024, 3, 1, 7, tzinfo=UTC)
    # 02:30 did not exist that night: the first instant after the gap.
    assert Event.objects.filter(ticket=ticket).order_by("-seq")[0].happened_at == datetime(
        2024, 3, 31, 1, tzinfo=UTC
    )
    assert set(Team.objects.values_list("name", "tier")) == {("Service desk", 1), ("Netz", 2)}
    assert "2 times named no zone" in said.getvalue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"colums": {}}', "“colums” is nothing a mapping holds."),
        ('{"columns": []}', "“columns” must be a table."),
        ('{"status": {"x": "asleep"}}', "The status “x” is mapped to “asleep”."),
        ('{"level": {"x": 9}}', "The level “x” is mapped to “9”."),
        ('{"impact": {"x": true}}', "The impact “x” is mapped to “True”."),
        ('{"team": {"x": 1}}', "The team “x” is mapped to 1."),
        ("[]", "The mapping must be a table."),
        ("{", "The mapping file makes no sense"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    mapping = tmp_path / "map.json"
    mapping.write_text(text)
    with pytest.raises(Refused) as refusal:
        read_layout(mapping=mapping)
    assert message in str(refusal.value)


def test_teams_services_and_organisations_that_are_there_are_used(db: None, log: Path) -> None:
    team = Team.objects.create(name="G97", tier=1)
    service = Service.objects.create(name="PROD1")
    organisation = Organisation.objects.create(name="SE", vip=True)
    log.write_text(HEADER + row("A", "1T08:00"))
    take_in(log)
    ticket = Ticket.objects.get()
    assert (ticket.team, ticket.service, ticket.organisation) == (team, service, organisation)
    assert team.is_active


def test_a_team_seen_at_several_tiers_gets_the_one_it_mostly_works_at(db: None, log: Path) -> None:
    log.write_text(
        HEADER + row("A", "1T08:00", level="L2") + row("A", "1T09:00", level="L2") + row("B", "1T08:00")
    )
    account = take_in(log)
    assert Team.objects.get().tier == 2
    assert account.torn_teams == {"G97": {1: 1, 2: 2}}
    assert set(Ticket.objects.values_list("source_key", "tier")) == {("A", 2), ("B", 1)}


def test_names_that_differ_in_signs_only_stay_two_people(db: None, log: Path) -> None:
    log.write_text(HEADER + row("A", "1T08:00", who="Jo Ann") + row("A", "1T09:00", who="Jo-Ann"))
    take_in(log)
    assert set(User.objects.filter(role=Role.AGENT).values_list("name", flat=True)) == {"Jo Ann", "Jo-Ann"}


def test_a_dry_run_accounts_for_the_same_and_writes_nothing(db: None, log: Path) -> None:
    log.write_text(HEADER + LIFE + row("B", "1T08:00"))
    before = everything()
    dry = take_in(log, dry_run=True, chunk_rows=3)
    assert everything() == before
    wet = take_in(log)
    assert (dry.opened, dry.changed, dry.unchanged, dry.moves) == (
        wet.opened,
        wet.changed,
        wet.unchanged,
        wet.moves,
    )


def test_too_many_bad_rows_stop_the_import_before_anything_is_written(db: None, log: Path) -> None:
    log.write_text(HEADER + LIFE + row("", "1T08:00") * 3)
    before = everything()
    with pytest.raises(TooManyErrors):
        take_in(log, max_errors=2)
    assert everything() == before
    assert take_in(log, max_errors=3).opened == 1


def test_rejected_rows_can_be_kept_in_a_file(db: None, log: Path, tmp_path: Path) -> None:
    log.write_text(HEADER + row("A", "1T08:00", level="L9") * 30)
    said = io.StringIO()
    call_command(
        "import_incidents", log, "--rejects", tmp_path / "bad.csv", stdout=io.StringIO(), stderr=said
    )
    with (tmp_path / "bad.csv").open(newline="") as file:
        rejected = list(csv.reader(file))
    assert len(rejected) == 31
    assert rejected[1] == ["2", "level", "L9", "is a support level nobody mapped"]
    assert "and 10 rows more" in said.getvalue()


def test_the_queries_of_a_chunk_do_not_grow_with_its_cases(db: None, log: Path) -> None:
    def queries(cases: int) -> int:
        names = [f"{cases}-{n}" for n in range(cases)]
        log.write_text(HEADER + "".join(LIFE.replace("A,", f"{name},") for name in names))
        with CaptureQueriesContext(connection) as captured:
            account = take_in(log)
        assert account.opened == cases
        return len(captured)

    queries(1)  # makes teams, services and people
    few = queries(2)
    assert queries(100) == few


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_killed_is_finished_by_the_next(log: Path, corpora: Path) -> None:
    path = corpora / "incidents/volvo_incidents.csv"
    command = [sys.executable, "manage.py", "import_incidents", str(path), "--chunk-rows", "25"]
    config = connection.settings_dict
    inherited = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
        "DATABASE_URL": settings_url(config["NAME"]),
    }
    run = subprocess.Popen(
        command, cwd=environment.BASE_DIR, env=inherited, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while Ticket.objects.count() < 20:
            assert run.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    recorded = Event.objects.filter(data__has_key="log").count()
    counted = count(path)
    assert 0 < recorded < counted.rows

    account = finish(path)

    assert account.known >= recorded
    assert account.accounted == counted.rows
    assert Ticket.objects.count() == len(counted.cases)
    assert Event.objects.filter(data__has_key="log").count() == counted.rows
    kinds = Counter(Escalation.objects.values_list("kind", flat=True))
    assert kinds == {"climb": counted.climbs, "fall": counted.falls}


def finish(path: Path) -> Account:
    """Import again, as soon as the server has noticed that the killed run is gone."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return import_incidents(path, read_layout(), now=database_now())
        except ImportUnderWay:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def settings_url(name: str) -> str:
    """Return the address of this worker's database, for a process of its own."""
    url: str = os.environ["DATABASE_URL"]
    assert settings.DATABASES["default"]["NAME"] == name
    head, _, tail = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{tail}" if tail else "")

"""The sheet of contacts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from accounts.rules import clean_email
from notifications.rules.transfer import cells
from notifications.rules.transfer.cells import Bad, Quiet, Way
from notifications.rules.transfer.plan import Change, Column, Plan, Problem, fields_changed, read_onto, twice
from notifications.rules.transfer.sheets import Line, Sheet, write_sheet

NAMES = (
    "number",
    "name",
    "kind",
    "account",
    "team",
    "schedule",
    "time zone",
    "language",
    "quiet hours",
    "methods",
    "active",
)
NEEDED = ("name",)
KINDS = ("person", "lead", "on_call", "room")
# On these nobody is reached without a secret, and no file brings one.
CLOSED = ("apprise", "webhook")


@dataclass(frozen=True, slots=True)
class ContactCard:
    """All that the sheet says of a contact; its number is None before there is it."""

    number: int | None = None
    name: str = ""
    kind: str = "person"
    account: str = ""
    team: str = ""
    schedule: str = ""
    time_zone: str = "UTC"
    language: str = "en"
    quiet: Quiet = field(default_factory=Quiet)
    ways: tuple[Way, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class ContactWorld:
    """Everything that decides what a sheet of contacts would change, in order, so that it can be digested."""

    contacts: tuple[ContactCard, ...]
    # Accounts of people who work tickets, teams, schedules: by what the sheet names them.
    accounts: tuple[str, ...]
    teams: tuple[str, ...]
    schedules: tuple[str, ...]
    channels: tuple[str, ...]


def write_contacts(contacts: Sequence[ContactCard]) -> bytes:
    """Return contacts as CSV; secrets are only said to be there."""
    columns = _columns(ContactWorld((), (), (), (), ()), ())
    return write_sheet(
        NAMES, ([column.write(getattr(card, column.field)) for column in columns] for card in contacts)
    )


def plan_contacts(sheet: Sheet, world: ContactWorld) -> Plan[ContactCard]:
    """Say what a sheet would change; nobody is removed by being left out."""
    finder = _Finder(world)
    problems: list[Problem] = []
    changes: list[Change[ContactCard]] = []
    unchanged = 0
    seen: dict[int | str, int] = {}
    for line in sheet.lines:
        try:
            before = finder.find(line)
        except _Unclear as unclear:
            problems.append(unclear.problem)
            continue
        key = _key(before, line)
        if key in seen:
            problems.append(twice("name", line, seen[key]))
            continue
        seen[key] = line.number
        columns = _columns(world, before.ways if before else ())
        after, found = read_onto(before or ContactCard(), line, columns, is_new=before is None)
        fields = fields_changed(before, after, columns)
        if not found and (fields or before is None):
            found = _misfits(line, after)
        problems += found
        if not found and (before is None or fields):
            changes.append(Change(line.number, after.name, before, after, fields))
        elif not found:
            unchanged += 1
    problems += _shared_accounts(world, changes)
    return Plan(
        added=tuple(change for change in changes if change.before is None),
        changed=tuple(change for change in changes if change.before is not None),
        unchanged=unchanged,
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
    )


class _Unclear(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Finder:
    """Finds which contact a line is about: by number, else by account, else by a name that only one has."""

    def __init__(self, world: ContactWorld) -> None:
        self._by_number = {str(card.number): card for card in world.contacts}
        self._by_account = {card.account: card for card in world.contacts if card.account}
        self._by_name: dict[str, list[ContactCard]] = {}
        for card in world.contacts:
            self._by_name.setdefault(card.name.strip(), []).append(card)

    def find(self, line: Line) -> ContactCard | None:
        """Return the contact, None for a new one. Raises _Unclear."""
        number = line.cells.get("number", "").strip()
        if number:
            if number not in self._by_number:
                raise self._unclear(line, "number", "There is no such contact.", "Leave it empty to add one.")
            return self._by_number[number]
        account = clean_email(line.cells.get("account", ""))
        if account in self._by_account:
            return self._by_account[account]
        namesakes = self._by_name.get(line.cells.get("name", "").strip(), [])
        if account:
            # Somebody of the same name without an account may be who is meant.
            namesakes = [card for card in namesakes if not card.account]
        if len(namesakes) > 1:
            raise self._unclear(
                line, "name", f"{len(namesakes)} contacts are called so.", "Say which by its number."
            )
        return namesakes[0] if namesakes else None

    @staticmethod
    def _unclear(line: Line, column: str, message: str, mend: str) -> _Unclear:
        return _Unclear(Problem(line.number, column, line.cells.get(column, "")[:120], message, mend))


def _columns(world: ContactWorld, ways: tuple[Way, ...]) -> tuple[Column, ...]:
    def account(cell: str) -> str:
        email = clean_email(cell)
        if email and email not in world.accounts:
            raise Bad(
                "Nobody who works tickets has this account.", "Write their email address, or leave it empty."
            )
        return email

    same = str
    return (
        Column("number", "number", lambda number: "" if number is None else str(number), None),
        Column("name", "name", same, cells.text_of(200, needed=True)),
        Column("kind", "kind", same, cells.one_of(KINDS)),
        Column("account", "account", same, account),
        Column("team", "team", same, cells.name_among(world.teams, "team")),
        Column("schedule", "schedule", same, cells.name_among(world.schedules, "schedule")),
        Column("time zone", "time_zone", same, cells.read_time_zone),
        Column("language", "language", same, cells.read_language),
        Column("quiet hours", "quiet", cells.write_quiet, cells.read_quiet),
        Column(
            "methods",
            "ways",
            cells.write_ways,
            lambda cell: cells.read_ways(cell, ways, world.channels, CLOSED),
        ),
        Column("active", "active", cells.write_flag, cells.read_flag),
    )


def _key(before: ContactCard | None, line: Line) -> int | str:
    if before is not None and before.number is not None:
        return before.number
    account = clean_email(line.cells.get("account", ""))
    return f"account {account}" if account else f"name {line.cells.get('name', '').strip()}"


def _misfits(line: Line, card: ContactCard) -> list[Problem]:
    """Return what of a card doesn't go together; the database would refuse it without saying where."""
    rules: Mapping[str, tuple[bool, str, str]] = {
        "team": (
            bool(card.team) == (card.kind == "lead"),
            "A team belongs to the kind lead, and to no other.",
            "Name the team whose lead is told, or leave it empty.",
        ),
        "schedule": (
            bool(card.schedule) == (card.kind == "on_call"),
            "A schedule belongs to the kind on_call, and to no other.",
            "Name the schedule, or leave it empty.",
        ),
        "account": (
            not card.account or card.kind in ("person", "room"),
            "A role is whoever has it.",
            "Leave the account empty.",
        ),
    }
    return [
        Problem(line.number, column, line.cells.get(column, "")[:120], message, mend)
        for column, (fits, message, mend) in rules.items()
        if not fits
    ]


def _shared_accounts(world: ContactWorld, changes: Sequence[Change[ContactCard]]) -> list[Problem]:
    touched = {change.before.number for change in changes if change.before is not None}
    owners = {
        card.account: card.name for card in world.contacts if card.account and card.number not in touched
    }
    problems = []
    for change in changes:
        account = change.after.account
        if not account:
            continue
        if account in owners:
            problems.append(
                Problem(
                    change.line,
                    "account",
                    account,
                    f"It is {owners[account]}’s already.",
                    "An account has one contact.",
                )
            )
        owners[account] = change.after.name
    return problems

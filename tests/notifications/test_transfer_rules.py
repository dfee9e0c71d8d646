"""Sheets of contacts and lists: how cells are read, and what a sheet would change."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Refused
from notifications.rules.quiet import problem_of
from notifications.rules.transfer import cells, contacts, entries, sheets
from notifications.rules.transfer.cells import Bad, Quiet, Way
from notifications.rules.transfer.contacts import ContactCard, ContactWorld, plan_contacts, write_contacts
from notifications.rules.transfer.entries import EntryCard, EntryWorld, labels_of, plan_entries, write_entries
from notifications.rules.transfer.plan import Plan, digest_of
from notifications.rules.transfer.sheets import Sheet, guarded, read_sheet, unguarded, write_sheet

CHANNELS = ("email", "sms", "slack", "webhook", "apprise")
ANN = ContactCard(1, "Ann", account="ann@example.org", ways=(Way("email", "ann@example.org"),))
ROOM = ContactCard(
    2, "NOC", "room", ways=(Way("slack", "#noc", has_secret=True), Way("email", "noc@example.org"))
)
WORLD = ContactWorld((ANN, ROOM), ("ann@example.org", "bob@example.org"), ("Network",), ("Duty",), CHANNELS)
LISTS = EntryWorld(
    entries=(
        EntryCard("L2", "Ann", 1, 1, "First.", (1, 2), "always", 1, "Office"),
        EntryCard("L2", "NOC", 2, 2, calendar="Office"),
    ),
    lists=(("L2", "Office"), ("L3", "")),
    contacts=((1, "Ann"), (2, "NOC"), (7, "Duty"), (8, "Duty")),
    calendars=("Office", "Shop"),
)


def contact_plan(text: str, world: ContactWorld = WORLD) -> Plan[ContactCard]:
    sheet = read_sheet(text.encode(), columns=contacts.NAMES, needed=contacts.NEEDED)
    return plan_contacts(sheet, world)


def entry_plan(text: str, world: EntryWorld = LISTS) -> Plan[EntryCard]:
    return plan_entries(read_sheet(text.encode(), columns=entries.NAMES, needed=entries.NEEDED), world)


def read(data: bytes) -> Sheet:
    return read_sheet(data, columns=("name", "words"), needed=("name",))


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"name,words\r\nAnn,one\r\n",
        b"\xef\xbb\xbfname;words\nAnn;one\n",
        b'"Name"\t"WORDS"\nAnn\tone',
        b" words , name \n one,Ann\n,\n",
        b"name,words\n\n\nAnn,one,,\n",
    ],
)
def test_a_file_is_read_however_a_spreadsheet_writes_it(data: bytes) -> None:
    (line,) = read(data).lines
    assert (line.cells["name"].strip(), line.cells["words"].strip()) == ("Ann", "one")


def test_lines_are_numbered_as_an_editor_numbers_them() -> None:
    lines = read(b'name,words\nAnn,"one\ntwo"\n\nBob,three\n').lines
    assert [(line.number, line.cells["name"]) for line in lines] == [(2, "Ann"), (5, "Bob")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty."),
        (b"words\none\n", "The column “name” is missing."),
        (b"name,nickname\n", "names a column “nickname”"),
        (b"name,name\n", "stands twice"),
        (b"name,words\nAnn,one,two\n", "Line 2 has 3 cells"),
        ("name\nJürgen\n".encode("cp1252"), "not UTF-8: line 2"),
        (b"name\n" + b"x" * sheets.MOST_BYTES, "1,000,005 bytes"),
        (b"name\n" + b"x\n" * (sheets.MOST_LINES + 1), "5001 rows are too many"),
        (b'name\n"' + b"x" * 30_000, "A cell of line 2 has 30,000 characters"),
        (b'name\n"' + b"x" * 200_000, "Line 2 can't be read"),
    ],
)
def test_what_is_no_such_file_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(Refused) as refused:
        read(data)
    assert words in str(refused.value)
    assert refused.value.mend


@pytest.mark.parametrize("text", ["=1+1", "+49", "-x", "@SUM(A1)", "\tx", "'=x", "''-x"])
def test_no_cell_begins_a_formula(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@given(st.text())
def test_guarding_is_undone_and_leaves_no_formula(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60), max_size=9
    )
)
def test_whatever_stands_in_a_sheet_is_read_again(words: list[str]) -> None:
    rows = [[f"n{place}", text] for place, text in enumerate(words)]
    assert [list(line.cells.values()) for line in read(write_sheet(("name", "words"), rows)).lines] == rows


# --- cells -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "quiet"),
    [
        ("", Quiet()),
        ("22:00-07:00", Quiet(dt.time(22), dt.time(7))),
        ("0:00 – 6:30 sat, Sunday", Quiet(dt.time(0), dt.time(6, 30), (5, 6))),
        ("Sun Mon Mon", Quiet(days=(0, 6))),
    ],
)
def test_quiet_hours_are_read(cell: str, quiet: Quiet) -> None:
    assert cells.read_quiet(cell) == quiet
    assert cells.read_quiet(cells.write_quiet(quiet)) == quiet


@pytest.mark.parametrize("cell", ["25:00-07:00", "22-7", "22:00", "Funday", "22:00-07:00 x"])
def test_what_are_no_quiet_hours_is_refused(cell: str) -> None:
    with pytest.raises(Bad):
        cells.read_quiet(cell)


@pytest.mark.parametrize(
    ("cell", "ways"),
    [
        ("email: Bob@Example.org", (Way("email", "bob@example.org"),)),
        (
            "sms:+49 30 123456 | off email:b@example.org",
            (Way("sms", "+4930123456"), Way("email", "b@example.org", is_active=False)),
        ),
        (r"slack:#a\|b\\c", (Way("slack", r"#a|b\c"),)),
        (" | ", ()),
    ],
)
def test_ways_are_read_in_order_with_addresses_in_their_one_form(cell: str, ways: tuple[Way, ...]) -> None:
    assert cells.read_ways(cell, (), CHANNELS, contacts.CLOSED) == ways
    assert cells.read_ways(cells.write_ways(ways), (), CHANNELS, contacts.CLOSED) == ways


@pytest.mark.parametrize(
    "cell",
    [
        "sms:0301234",
        "sms:+1",
        "email:nobody",
        "fax:123",
        "ann@example.org",
        "slack:",
        "loud email:a@example.org",
        "email:a@example.org | email:A@example.org",
        "secret slack:#new",
        "webhook:https://example.org/hook",
    ],
)
def test_what_is_no_way_or_would_need_a_secret_is_refused(cell: str) -> None:
    with pytest.raises(Bad):
        cells.read_ways(cell, (), CHANNELS, contacts.CLOSED)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("email:noc@example.org", "email:noc@example.org | secret slack:#noc"),
        ("slack:#noc", "secret slack:#noc | off email:noc@example.org"),
        ("", "secret slack:#noc | off email:noc@example.org"),
    ],
)
def test_a_way_with_a_secret_stays_as_it_is_and_others_left_out_are_switched_off(
    cell: str, written: str
) -> None:
    assert cells.write_ways(cells.read_ways(cell, ROOM.ways, CHANNELS, contacts.CLOSED)) == written


def test_a_way_with_a_secret_is_not_switched_by_a_file() -> None:
    with pytest.raises(Bad, match="left alone"):
        cells.read_ways("off secret slack:#noc", ROOM.ways, CHANNELS, contacts.CLOSED)


# --- contacts --------------------------------------------------------------------------------------------------------


def test_a_change_is_said_field_by_field_and_the_rest_is_left() -> None:
    plan = contact_plan("number,name,time zone,methods\n1,Ann Lee,Europe/Berlin,\n2,NOC,UTC,\n")

    ann, noc = plan.changed
    assert [(one.column, one.before, one.after) for one in ann.fields] == [
        ("name", "Ann", "Ann Lee"),
        ("time zone", "UTC", "Europe/Berlin"),
        ("methods", "email:ann@example.org", "off email:ann@example.org"),
    ]
    assert [one.column for one in noc.fields] == ["methods"]
    assert ann.after.account == "ann@example.org"
    assert (plan.added, plan.unchanged, plan.problems) == ((), 0, ())


@pytest.mark.parametrize(
    ("row", "number"),
    [("2,,", 2), (",ann@example.org,Anna", 1), (",,NOC", 2), (",,Bob", None), (",bob@example.org,Ann", None)],
)
def test_a_line_is_about_a_number_else_an_account_else_a_name(row: str, number: int | None) -> None:
    number_cell, account, name = row.split(",")
    text = f"number,account,name\n{number_cell},{account},{name or 'NOC'}\n"
    plan = contact_plan(text)

    found = [*plan.added, *plan.changed]
    assert [one.before.number if one.before else None for one in found] == ([] if number == 2 else [number])
    assert plan.unchanged == (1 if number == 2 else 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("number,name\n9,Ann\n", (2, "number", "There is no such contact.")),
        ("name\nAnn\nAnn\n", (3, "name", "Line 2 is about the same.")),
        ("number,name\n1,\n", (2, "name", "It is empty.")),
        ("name,kind\nAnn,boss\n", (2, "kind", "There is no such word here.")),
        (
            "name,account\nBob,carla@example.org\n",
            (2, "account", "Nobody who works tickets has this account."),
        ),
        ("number,name,account\n2,NOC,ann@example.org\n", (2, "account", "It is Ann’s already.")),
        ("name,kind\nLead,lead\n", (2, "team", "A team belongs to the kind lead, and to no other.")),
        ("name,team\nAnn,Network\n", (2, "team", "A team belongs to the kind lead, and to no other.")),
        ("name,kind,schedule\nDuty,on_call,Nights\n", (2, "schedule", "There is no schedule of that name.")),
        ("name,time zone\nAnn,Mars\n", (2, "time zone", "It is no time zone.")),
        ("name,language\nAnn,!\n", (2, "language", "It is no language.")),
        ("name,active\nAnn,maybe\n", (2, "active", "It is neither yes nor no.")),
    ],
)
def test_what_can_not_be_taken_is_said_with_line_and_column(text: str, problem: tuple[int, str, str]) -> None:
    plan = contact_plan(text)

    assert [(one.line, one.column, one.message) for one in plan.problems] == [problem]
    assert plan.problems[0].mend
    assert not plan.does_something


def test_two_may_swap_their_accounts() -> None:
    bob = ContactCard(3, "Bob", account="bob@example.org")
    world = ContactWorld((ANN, bob), WORLD.accounts, (), (), CHANNELS)

    plan = contact_plan("number,name,account\n1,Ann,bob@example.org\n3,Bob,ann@example.org\n", world)

    assert plan.problems == ()
    assert len(plan.changed) == 2


def test_what_nobody_could_enter_any_more_may_stay() -> None:
    odd = ContactCard(4, "Old", time_zone="Mars", language="??", ways=(Way("sms", "110"), Way("fax", "a|b")))
    world = ContactWorld((odd,), (), (), (), CHANNELS)

    plan = plan_contacts(
        read_sheet(write_contacts([odd]), columns=contacts.NAMES, needed=contacts.NEEDED), world
    )

    assert (plan.added, plan.changed, plan.unchanged, plan.problems) == ((), (), 1, ())


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
NAMES = WORDS.filter(lambda name: bool(name.strip()))
# Of something that may not be named; no name consists of blanks.
MAYBE = st.just("") | NAMES
WAYS = st.lists(
    st.builds(Way, st.sampled_from(CHANNELS), NAMES, st.booleans(), st.booleans()),
    max_size=4,
    unique_by=lambda w: w.key,
)
QUIETS = st.builds(
    lambda hours, days: Quiet(*(hours or (None, None)), tuple(sorted(days))),
    st.none() | st.tuples(st.times(), st.times()),
    st.sets(st.integers(0, 6)),
).filter(lambda quiet: problem_of(quiet.begins, quiet.ends, quiet.days) is None)
CARDS = st.builds(
    ContactCard,
    number=st.integers(1, 10**9),
    name=NAMES,
    kind=st.sampled_from(contacts.KINDS),
    account=MAYBE,
    team=MAYBE,
    schedule=MAYBE,
    time_zone=NAMES,
    language=NAMES,
    quiet=QUIETS,
    ways=WAYS.map(tuple),
    active=st.booleans(),
)


@given(st.lists(CARDS, max_size=6, unique_by=lambda card: card.number))
def test_contacts_written_and_read_again_change_nothing(cards: list[ContactCard]) -> None:
    world = ContactWorld(tuple(cards), (), (), (), CHANNELS)
    sheet = read_sheet(write_contacts(cards), columns=contacts.NAMES, needed=contacts.NEEDED)

    plan = plan_contacts(sheet, world)

    assert (plan.added, plan.changed, plan.unchanged, plan.problems) == ((), (), len(cards), ())


# --- lists -----------------------------------------------------------------------------------------------------------


def test_an_entry_changes_is_added_and_a_list_is_made() -> None:
    plan = entry_plan(
        "list,position,contact,when to reach out,severities,hours,from round\n"
        "L2,3,Ann,First.,SEV1 SEV2,outside,1\nL3,1,Duty #8,By night.,,,2\nNew,1,NOC,,,,\n"
    )

    (ann,) = plan.changed
    assert [(one.column, one.before, one.after) for one in ann.fields] == [
        ("position", "1", "3"),
        ("hours", "always", "outside"),
    ]
    assert [(one.after.list_name, one.after.contact_id, one.after.from_round) for one in plan.added] == [
        ("L3", 8, 2),
        ("New", 2, 1),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("list,contact\nL2,Bob\n", (2, "contact", "There is no contact of that name.")),
        ("list,contact\nL2,Duty\n", (2, "contact", "2 contacts are called so.")),
        ("list,contact\nL2,Ann\nL2,Ann #1\n", (3, "contact", "Line 2 is about the same.")),
        ("list,contact\n,Ann\n", (2, "list", "A list has a name of up to 100 characters.")),
        ("list,contact,severities\nL2,Ann,5\n", (2, "severities", "These are no severities.")),
        ("list,contact,from round\nL2,Ann,0\n", (2, "from round", "It is no such number.")),
        ("list,contact,position\nL2,Ann,99999\n", (2, "position", "It is no such number.")),
        ("list,contact,hours\nL2,Ann,never\n", (2, "hours", "There is no such word here.")),
        (
            "list,contact,business hours\nL2,Ann,Nights\n",
            (2, "business hours", "There is no calendar of that name."),
        ),
        (
            "list,contact,business hours\nL2,Ann,Shop\nL2,NOC,Office\n",
            (3, "business hours", "Line 2 gives the same list “Shop”."),
        ),
    ],
)
def test_what_of_a_list_can_not_be_taken_is_said(text: str, problem: tuple[int, str, str]) -> None:
    plan = entry_plan(text)
    assert [(one.line, one.column, one.message) for one in plan.problems] == [problem]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (((1, "Ann"), (2, "Bob")), ["Ann", "Bob"]),
        (((1, "Ann"), (2, "Ann")), ["Ann #1", "Ann #2"]),
        (((3, "Ann #12"), (12, "Ann"), (13, "Ann")), ["Ann #12 #3", "Ann #12", "Ann #13"]),
        (((3, "Ann #12"), (12, "Ann")), ["Ann #12 #3", "Ann"]),
    ],
)
def test_a_contact_is_named_so_that_nobody_else_is_meant(names: Any, labels: list[str]) -> None:
    assert list(labels_of(names).values()) == labels


@given(st.data())
def test_lists_written_and_read_again_change_nothing(data: st.DataObject) -> None:
    # Names from a small stock, so that several have one, and some look like another's numbered one.
    stock = st.sampled_from(["Ann", "Ann #2", "Ann #1", "=Bob", "Bob #3 "]) | NAMES
    people = tuple(enumerate(data.draw(st.lists(stock, min_size=1, max_size=5)), start=1))
    lists = data.draw(st.lists(st.tuples(NAMES, MAYBE), max_size=3, unique_by=lambda one: one[0].strip()))
    labels = labels_of(people)
    entry_cards = tuple(
        EntryCard(
            name,
            labels[pk],
            pk,
            data.draw(st.integers(0, 32767)),
            data.draw(WORDS),
            tuple(sorted(data.draw(st.sets(st.integers(1, 4))))),
            data.draw(st.sampled_from(entries.HOURS)),
            data.draw(st.integers(1, 9)),
            calendar,
        )
        for name, calendar in lists
        for pk in data.draw(st.sets(st.sampled_from([pk for pk, _ in people])))
    )
    world = EntryWorld(entry_cards, tuple(lists), people, ())

    plan = plan_entries(read_sheet(write_entries(world), columns=entries.NAMES, needed=entries.NEEDED), world)

    assert (plan.added, plan.changed, plan.unchanged, plan.problems) == ((), (), len(entry_cards), ())


def test_another_world_has_another_digest() -> None:
    other = ContactWorld((ROOM, ANN), WORLD.accounts, WORLD.teams, WORLD.schedules, CHANNELS)
    assert digest_of(WORLD) == digest_of(WORLD)
    assert digest_of(WORLD) != digest_of(other)

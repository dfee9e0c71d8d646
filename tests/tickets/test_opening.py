"""Opening a ticket: what is derived, what is refused, what a batch costs."""

import io
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Tier, User
from accounts.operations import create_organisation, create_team, create_user
from core.errors import NotAllowed, Refused
from escalation.models import EscalationPath
from tests.house import MIN, House
from tickets import kinds
from tickets.models import Attachment, Entry, Event, Service, Status, Ticket
from tickets.operations import Draft, Upload, open_ticket, open_tickets
from tickets.operations.matrix import set_severity_matrix
from tickets.operations.words import safe_media_type, safe_name
from tickets.queries import propose_severity
from tickets.verification import verify


@pytest.fixture
def house(house: House) -> House:
    return house


def opened(house: House, actor: User | None = None, **more: Any) -> Ticket:
    draft = Draft(**{"requester": house.requester, "subject": "VPN drops", "body": "It drops.", **more})
    return open_ticket(draft=draft, actor=actor, now=house.now)


def upload(name: str = "screen.png", content: bytes = b"png", kind: str = "image/png") -> Upload:
    return Upload(name, io.BytesIO(content), kind)


@pytest.mark.parametrize(
    ("impact", "urgency", "severity"),
    [(1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 2), (2, 2, 3), (2, 3, 4), (3, 1, 3), (3, 2, 4), (3, 3, 4)],
)
def test_the_matrix_proposes_the_severity(impact: int, urgency: int, severity: int, house: House) -> None:
    ticket = opened(house, impact=impact, urgency=urgency)

    assert (ticket.severity, ticket.severity_overridden) == (severity, False)


def test_an_edited_matrix_counts_from_the_next_ticket_on(house: House) -> None:
    before = opened(house)
    cells = {(i, u): 1 for i in (1, 2, 3) for u in (1, 2, 3)}

    set_severity_matrix(cells=cells, actor=house.admin)

    assert propose_severity(3, 3) == 1
    assert opened(house).severity == 1
    before.refresh_from_db()
    assert before.severity == 3


@pytest.mark.parametrize("wrong", [0, 5, None, "1"])
def test_a_matrix_with_a_hole_is_refused_whole(wrong: Any, house: House) -> None:
    cells: dict[tuple[int, int], Any] = {(i, u): 1 for i in (1, 2, 3) for u in (1, 2, 3)}

    with pytest.raises(Refused) as refusal:
        set_severity_matrix(cells=cells | {(2, 3): wrong}, actor=house.admin)

    assert refusal.value.field == "cell_2_3"
    assert propose_severity(1, 3) == 3


def test_only_an_admin_edits_the_matrix(house: House) -> None:
    with pytest.raises(NotAllowed):
        set_severity_matrix(cells={}, actor=house.manager)


def test_another_severity_needs_a_reason_which_the_timeline_keeps(house: House) -> None:
    with pytest.raises(Refused) as refusal:
        opened(house, actor=house.agent, severity=1, severity_reason="  ")
    ticket = opened(house, actor=house.agent, severity=1, severity_reason=" Board meeting. ")

    assert refusal.value.field == "severity_reason"
    assert (ticket.severity, ticket.severity_overridden) == (1, True)
    event = Event.objects.get(ticket=ticket, kind=kinds.OPENED)
    assert event.payload.text == {"subject": "VPN drops", "reason": "Board meeting."}
    assert event.entry.body == "It drops."
    assert list(verify()) == []


def test_naming_the_proposed_severity_overrides_nothing(house: House) -> None:
    assert opened(house, actor=house.agent, severity=3).severity_overridden is False


def test_a_requester_opens_for_themselves_only(house: House) -> None:
    with pytest.raises(NotAllowed, match="open for others"):
        opened(house, actor=house.requester, requester=house.agent)

    assert opened(house, actor=house.requester).requester == house.requester
    assert opened(house, actor=house.agent).requester == house.requester
    assert Ticket.objects.count() == 2


def test_a_requester_does_not_choose_the_severity(house: House) -> None:
    with pytest.raises(NotAllowed) as refusal:
        opened(house, actor=house.requester, severity=1, severity_reason="Because.")

    assert refusal.value.field == "severity"
    assert opened(house, actor=house.requester, severity=3).severity == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", ""),
        ("subject", " \t\n "),
        ("subject", "\0"),
        ("subject", "\u200b"),
        ("subject", "x" * 301),
        ("impact", 0),
        ("impact", "high"),
        ("urgency", 4),
        ("complexity", 9),
        ("severity", 0),
        ("severity", 5),
        ("body", "x" * 200_001),
        ("tags", ["a,b"]),
        ("tags", ["x" * 51]),
        ("tags", [" "]),
    ],
)
def test_what_can_t_be_opened_is_refused_by_field_and_leaves_nothing(
    field: str, value: Any, house: House
) -> None:
    with pytest.raises(Refused) as refusal:
        opened(house, **{field: value})

    assert refusal.value.field == field
    assert refusal.value.mend
    assert not Ticket.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("x" * 300, "x" * 300),
        ("  VPN \n drops\tagain ", "VPN drops again"),
        ("a\0b", "a b"),
        ("half \ud800 emoji", "half emoji"),
        ("\u202etxt.exe", "txt.exe"),
        ("Ünïcode 漢字 🙂", "Ünïcode 漢字 🙂"),
    ],
)
def test_a_subject_is_one_clean_line(typed: str, kept: str, house: House) -> None:
    assert opened(house, subject=typed).subject == kept


def test_text_that_no_database_holds_is_mended_and_kept(house: House) -> None:
    ticket = opened(house, body="NUL \0 and \udc80", severity=1, severity_reason="be\0cause")
    ticket.refresh_from_db()

    assert ticket.entries.get().body == "NUL  and \ufffd"
    assert list(verify()) == []


def test_tags_are_small_hyphenated_and_each_once(house: House) -> None:
    assert opened(house, tags=["VPN", "vpn ", "Head Office"]).tags == ["head-office", "vpn"]


def test_the_team_comes_from_the_service_where_it_works_at_that_tier(house: House) -> None:
    # No path, whose first step would name another team.
    EscalationPath.objects.update(current=None)
    helpdesk = create_team(name="Mail desk", tier=Tier.L1)
    mail = Service.objects.create(name="Mail", team=helpdesk)
    backbone = Service.objects.create(name="Backbone", team=house.core)

    assert opened(house, service=mail).team == helpdesk
    assert opened(house, service=mail, team=house.desk).team == house.desk
    assert opened(house, service=backbone).team is None


def test_the_organisation_is_the_requester_s_unless_named(house: House) -> None:
    acme, other = create_organisation(name="Acme"), create_organisation(name="Other")
    rita = create_user(email="rita@acme.test", name="Rita", organisation=acme)

    assert opened(house, requester=rita).organisation == acme
    assert opened(house, requester=rita, organisation=other).organisation == other


def test_a_new_ticket_is_new_and_has_a_first_message_of_the_requester(house: House) -> None:
    ticket = opened(house, actor=house.agent)
    ticket.refresh_from_db()

    entry = ticket.entries.get()
    assert (entry.author, entry.from_requester, entry.is_public) == (house.requester, True, True)
    assert (ticket.status, ticket.tier, ticket.opened_at) == (Status.NEW, Tier.L1, house.now)
    assert (ticket.last_requester_at, ticket.last_answer_at) == (house.now, None)
    event = Event.objects.filter(ticket=ticket).order_by("seq").first()
    assert event is not None
    assert (event.seq, event.kind, event.actor) == (1, kinds.OPENED, house.agent)


def test_a_batch_of_fifty_costs_as_many_queries_as_one_of_two(house: House) -> None:
    def batch(name: str, size: int) -> int:
        organisations = [create_organisation(name=f"{name} {n}") for n in range(size)]
        people = [
            create_user(email=f"{name}{n}@example.org", name="P", organisation=organisation)
            for n, organisation in enumerate(organisations)
        ]
        team = create_team(name=name, tier=Tier.L1)
        services = [Service.objects.create(name=f"{name} {n}", team=team) for n in range(size)]
        # As a door fetches them: nothing joined.
        drafts = [
            Draft(
                requester=User.objects.get(pk=person.pk),
                service=Service.objects.get(pk=service.pk),
                subject="VPN",
                body="It drops.",
                severity=1,
                severity_reason="All of them.",
                uploads=[upload()],
            )
            for person, service in zip(people, services, strict=True)
        ]
        with CaptureQueriesContext(connection) as queries:
            tickets = open_tickets(drafts=drafts, actor=house.agent, now=house.now)
        assert [ticket.organisation for ticket in tickets] == organisations
        return len(queries)

    batch("warm", 2)
    assert batch("fifty", 50) == batch("two", 2)


def test_one_bad_draft_refuses_the_batch(house: House) -> None:
    drafts = [Draft(requester=house.requester, subject=subject, body="x") for subject in ("Good", "")]

    with pytest.raises(Refused):
        open_tickets(drafts=drafts, actor=None, now=house.now)

    assert not Ticket.objects.exists()


def test_files_come_with_the_first_message_even_without_words(house: House) -> None:
    ticket = opened(house, body=" ", uploads=[upload(content=b"a picture")])

    attachment = Attachment.objects.get(entry__ticket=ticket)
    assert (attachment.name, attachment.size, attachment.content_type) == ("screen.png", 9, "image/png")
    assert attachment.file.read() == b"a picture"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("C:\\Users\\ann\\photo.png", "photo.png"),
        ("/", "file"),
        ("..", "file"),
        ("", "file"),
        (".htaccess", "htaccess"),
        ("a\r\nSet-Cookie: x=1.txt", "aSet-Cookie: x=1.txt"),
        ("nul\0.txt", "nul.txt"),
        ("cod\u202egpj.exe", "codgpj.exe"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("Übersicht 漢字.odt", "Übersicht 漢字.odt"),
    ],
)
def test_a_file_s_name_is_only_shown(name: str, shown: str, house: House) -> None:
    ticket = opened(house, uploads=[upload(name)])

    attachment = Attachment.objects.get(entry__ticket=ticket)
    assert attachment.name == shown
    # Stored under the digest of its content, wherever the name pointed.
    assert attachment.file.name.startswith(f"attachments/{attachment.sha256[:2]}/{attachment.sha256}")


@given(st.text(st.characters(exclude_categories=())))
def test_every_name_becomes_a_safe_one_once_for_all(name: str) -> None:
    safe = safe_name(name)

    assert 1 <= len(safe) <= 255
    assert safe.isprintable()
    assert not {"/", "\\"} & set(safe)
    assert not safe.startswith(".")
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("image/PNG", "image/png"),
        ("text/plain; charset=utf-8", "text/plain"),
        ("application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        ("", "application/octet-stream"),
        ("text/html\r\nX-Evil: 1", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        ("a/" + "b" * 100, "application/octet-stream"),
    ],
)
def test_a_media_type_is_fit_for_a_header(said: str, kept: str) -> None:
    assert safe_media_type(said) == kept


@pytest.mark.parametrize("too_much", ["files", "bytes"])
def test_files_beyond_the_limits_are_refused_and_none_is_stored(
    too_much: str, house: House, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.BELAY_MAX_FILES, settings.BELAY_MAX_FILE_BYTES = 2, 10
    files = {
        "files": [upload()] * 3,
        "bytes": [upload(content=b"x" * 10), upload("big.iso", b"x" * 11)],
    }[too_much]

    with pytest.raises(Refused) as refusal:
        opened(house, uploads=files)

    assert refusal.value.field == "files"
    assert not Ticket.objects.exists()
    assert not default_storage.exists("attachments")


def test_a_file_of_just_the_limit_and_an_empty_one_are_taken(house: House, settings: Any) -> None:
    settings.BELAY_MAX_FILE_BYTES = 10

    ticket = opened(house, uploads=[upload(content=b"x" * 10), upload(content=b"")])

    rows = Attachment.objects.filter(entry__ticket=ticket).order_by("pk")
    assert [row.size for row in rows] == [10, 0]
    assert Entry.objects.filter(ticket=ticket).count() == 1


def test_opening_at_two_minutes_past_tells_the_time_of_the_caller(house: House) -> None:
    draft = Draft(requester=house.requester, subject="VPN")

    ticket = open_ticket(draft=draft, actor=None, now=house.now + 2 * MIN)

    assert ticket.opened_at == ticket.last_event_at == house.now + 2 * MIN

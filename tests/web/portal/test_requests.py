"""A requester opens, follows, answers, reopens, solves and asks; every page speaks plainly."""

import datetime as dt
import io
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Role, User
from accounts.operations import create_user
from core.db import database_now
from escalation.engine import tick
from escalation.models import EscalationRequest
from escalation.operations import decline_request, escalate, grant_request, request_escalation
from notifications.models import Notification
from tests.house import MIN
from tests.web.portal.people import Portal, signed_in
from tickets.models import Attachment, Entry, Impact, Service, Source, Status, Ticket, Urgency
from tickets.operations import add_reply, assign_ticket, change_status, post_update

NEW = {"subject": "VPN drops", "body": "Every five minutes.", "impact": "3", "urgency": "2", "service": ""}


def text(answer: object) -> str:
    """Return a page's visible words in one line."""
    html = answer.content.decode()  # type: ignore[attr-defined]
    html = re.sub(r"(?s)<(script|style|head|nav).*?</\1>", " ", html)
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("&#x27;", "'").split())


# --- opening --------------------------------------------------------------------------------------------------------


def test_a_request_is_opened_with_plain_answers_and_the_severity_follows(portal: Portal) -> None:
    service = Service.objects.create(name="VPN")
    data = {**NEW, "impact": Impact.HIGH.value, "urgency": Urgency.HIGH.value, "service": service.pk}

    answer = signed_in(portal.carla).post("/portal/new/", data, follow=True)

    ticket = Ticket.objects.get()
    assert answer.redirect_chain == [(f"/portal/{ticket.pk}/", 302)]
    assert (ticket.requester, ticket.source, ticket.severity, ticket.service) == (
        portal.carla,
        Source.PORTAL,
        1,
        service,
    )
    assert ticket.organisation == portal.carla.organisation
    assert f"Its number is #{ticket.pk}." in text(answer)
    assert Notification.objects.filter(kind="ticket.opened", user=portal.carla).count() == 1


def test_files_come_along(portal: Portal) -> None:
    file = io.BytesIO(b"hello")
    file.name = "../../etc/log.txt"

    signed_in(portal.carla).post("/portal/new/", {**NEW, "files": file})

    attachment = Attachment.objects.get()
    assert attachment.name == "log.txt"
    assert attachment.entry.ticket == Ticket.objects.get()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"subject": ""}, "In one line"),
        ({"subject": "x" * 301}, "In one line"),
        ({"subject": "nul\x00"}, "In one line"),
        ({"body": "  "}, "What happened?"),
        ({"impact": "9"}, "Who is affected?"),
        ({"urgency": ""}, "How badly does it hurt?"),
        ({"service": "999999"}, "What is it about?"),
    ],
)
def test_what_is_wrong_is_named_and_what_was_written_stays(
    portal: Portal, changes: dict[str, str], field: str
) -> None:
    data = {**NEW, "form_token": "t1", **changes}

    answer = signed_in(portal.carla).post("/portal/new/", data)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Your request was not sent yet." in page
    assert field in text(answer)
    if "body" not in changes:
        assert "Every five minutes." in page
    if "subject" not in changes:
        assert 'value="VPN drops"' in page
    assert not Ticket.objects.exists()


def test_too_much_is_refused_with_words_kept_and_the_files_asked_for_again(
    portal: Portal, settings: object
) -> None:
    settings.BELAY_MAX_FILE_BYTES = 1_000_000  # type: ignore[attr-defined]
    file = io.BytesIO(b"x" * 1_000_001)
    file.name = "big.log"

    answer = signed_in(portal.carla).post("/portal/new/", {**NEW, "files": file})

    assert answer.status_code == 422
    assert "“big.log” is larger than 1 MB." in text(answer)
    assert "choose your files again" in text(answer)
    assert "Every five minutes." in answer.content.decode()
    assert not Ticket.objects.exists()


def test_the_limits_are_said_before(portal: Portal) -> None:
    assert "At most 20 files, each up to 25 MB." in text(signed_in(portal.carla).get("/portal/new/"))


def test_the_same_form_twice_makes_one_ticket_and_lands_on_it(portal: Portal) -> None:
    client = signed_in(portal.carla)

    first = client.post("/portal/new/", {**NEW, "form_token": "same"})
    second = client.post("/portal/new/", {**NEW, "form_token": "same"})
    changed = client.post("/portal/new/", {**NEW, "form_token": "same", "body": "Something else."})

    assert first["Location"] == second["Location"]
    assert changed["Location"] != first["Location"]
    assert Ticket.objects.count() == 2


def test_two_people_with_the_same_token_open_two_tickets(portal: Portal) -> None:
    for user in (portal.carla, portal.mallory):
        signed_in(user).post("/portal/new/", {**NEW, "form_token": "same"})

    assert sorted(Ticket.objects.values_list("requester__name", flat=True)) == ["Carla Test", "Mallory"]


# --- the list -------------------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do_next(portal: Portal) -> None:
    page = text(signed_in(portal.mallory).get("/portal/"))

    assert "No requests yet" in page
    assert "Open your first request" in page


def test_open_requests_come_first_then_what_is_done(portal: Portal) -> None:
    old_open, done, new_open = (
        portal.open(subject="Alpha"),
        portal.open(subject="Beta"),
        portal.open(subject="Gamma"),
    )
    change_status(ticket_id=done.pk, status=Status.RESOLVED, actor=portal.house.agent, now=portal.house.now)

    page = text(signed_in(portal.carla).get("/portal/"))

    assert page.index("Gamma") < page.index("Alpha") < page.index("Done") < page.index("Beta")
    assert old_open.pk < new_open.pk


def test_each_row_says_where_it_stands_with_whom_and_what_was_promised(portal: Portal) -> None:
    ticket = portal.open()
    assign_ticket(
        ticket_id=ticket.pk, assignee=portal.house.agent, actor=portal.house.agent, now=portal.house.now
    )

    page = text(signed_in(portal.carla).get("/portal/"))

    assert "Being worked on with Service desk" in page
    assert re.search(r"First answer \d+ min left", page)
    assert "Piet" not in page


def test_pages_follow_each_other_without_gap_or_repeat(portal: Portal) -> None:
    tickets = [portal.open(subject=f"Number {number:02d} end") for number in range(60)]
    for ticket in tickets[::2]:
        change_status(
            ticket_id=ticket.pk, status=Status.RESOLVED, actor=portal.house.agent, now=portal.house.now
        )
    client, seen, address = signed_in(portal.carla), [], "/portal/"

    while address:
        page = client.get(address).content.decode()
        seen += re.findall(r"Number (\d\d) end", page)
        following = re.search(r'href="(\?[^"]*after=[^"]*)" rel="next"', page)
        address = "/portal/" + following[1].replace("&amp;", "&") if following else ""

    assert seen == [f"{n:02d}" for n in range(59, 0, -2)] + [f"{n:02d}" for n in range(58, -1, -2)]


@pytest.mark.parametrize("after", ["x", "2-1", "0-", "0-99999999999999999999", "1--5", "0-٣"])
def test_a_place_that_is_none_is_the_first_page(portal: Portal, after: str) -> None:
    portal.open(subject="Alpha")

    answer = signed_in(portal.carla).get("/portal/", {"after": after})

    assert answer.status_code == 200
    assert "Alpha" in text(answer)


def test_search_finds_by_number_and_by_all_words(portal: Portal) -> None:
    one, two = portal.open(subject="VPN drops in Madrid"), portal.open(subject="VPN slow")
    client = signed_in(portal.carla)

    assert "VPN slow" not in text(client.get("/portal/?q=madrid+vpn"))
    assert "VPN drops in Madrid" in text(client.get("/portal/?q=madrid+vpn"))
    assert "VPN slow" in text(client.get(f"/portal/?q=%23{two.pk}"))
    assert f"#{one.pk}" not in text(client.get(f"/portal/?q=%23{two.pk}"))
    assert "Nothing matches" in text(client.get("/portal/?q=nonsense%00%25"))


# --- one request ----------------------------------------------------------------------------------------------------


def _waiting(portal: Portal, ticket: Ticket) -> None:
    add_reply(
        ticket_id=ticket.pk,
        body="Which office?",
        actor=portal.house.agent,
        now=database_now(),
        then_status="waiting",
    )


def _on_hold(portal: Portal, ticket: Ticket) -> None:
    change_status(
        ticket_id=ticket.pk, status="hold", actor=portal.house.agent, now=database_now(), reason="vendor"
    )


def _solved(portal: Portal, ticket: Ticket) -> None:
    change_status(ticket_id=ticket.pk, status="resolved", actor=portal.house.agent, now=database_now())


def _missed(portal: Portal, ticket: Ticket) -> None:
    tick(now=portal.house.now + 21 * MIN)


def _escalated(portal: Portal, ticket: Ticket) -> None:
    escalate(
        ticket_id=ticket.pk, seen_seq=0, actor=portal.house.agent, now=portal.house.now + MIN, reason="x"
    )


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            lambda portal, ticket: None,
            ["Received", "Level 1 of 4, where every request starts.", "First answer"],
        ),
        (
            _waiting,
            ["Waiting for your answer", "goes on when you answer", "pauses while we wait for your answer"],
        ),
        (_on_hold, ["On hold", "waits for somebody outside"]),
        (_solved, ["Solved", "Not solved?", "Send and reopen"]),
        (_missed, ["First answer overdue since"]),
        (_escalated, ["Level 2 of 4.", "Escalated to level 2, Network, to bring in specialists"]),
    ],
)
def test_the_page_says_plainly_where_it_stands(portal: Portal, step: object, words: list[str]) -> None:
    ticket = portal.open()
    step(portal, ticket)  # type: ignore[operator]

    page = text(signed_in(portal.carla).get(f"/portal/{ticket.pk}/"))

    for expected in words:
        assert expected in page


@pytest.mark.parametrize("internal", ["Time at this tier", "Acknowledge", "Next telling", "SEV", "tier_time"])
def test_our_own_clocks_and_words_are_not_the_requesters(portal: Portal, internal: str) -> None:
    ticket = portal.open()
    _escalated(portal, ticket)

    page = text(signed_in(portal.carla).get(f"/portal/{ticket.pk}/"))

    assert internal not in page


def test_an_overdue_answer_that_came_is_not_held_against_us_forever(portal: Portal) -> None:
    ticket = portal.open()
    _missed(portal, ticket)
    add_reply(
        ticket_id=ticket.pk, body="Sorry, late.", actor=portal.house.agent, now=portal.house.now + 22 * MIN
    )

    page = text(signed_in(portal.carla).get(f"/portal/{ticket.pk}/"))

    assert "First answer overdue" not in page


def test_a_reply_arrives_once_with_its_files(portal: Portal) -> None:
    ticket = portal.open()
    client = signed_in(portal.carla)

    for _ in range(2):
        file = io.BytesIO(b"log")
        file.name = "log.txt"
        answer = client.post(
            f"/portal/{ticket.pk}/reply/", {"body": "Still dropping.", "files": file, "form_token": "one"}
        )

    assert answer["Location"] == f"/portal/{ticket.pk}/?sent=reply"
    assert Entry.objects.filter(ticket=ticket, body="Still dropping.", from_requester=True).count() == 1
    assert Attachment.objects.count() == 1
    assert 'data-sent="portal-' in client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize("body", ["", "   ", "nul\x00"])
def test_an_empty_reply_is_refused_on_the_page(portal: Portal, body: str) -> None:
    ticket = portal.open()

    answer = signed_in(portal.carla).post(f"/portal/{ticket.pk}/reply/", {"body": body})

    assert answer.status_code == 422
    assert 'id="body-error"' in answer.content.decode()


@pytest.mark.parametrize("status", ["resolved", "closed", "waiting"])
def test_replying_opens_a_finished_or_waiting_request_again(portal: Portal, status: str) -> None:
    ticket = portal.open()
    add_reply(
        ticket_id=ticket.pk, body="Done?", actor=portal.house.agent, now=database_now(), then_status=status
    )

    signed_in(portal.carla).post(f"/portal/{ticket.pk}/reply/", {"body": "Not yet."})

    ticket.refresh_from_db()
    assert ticket.status == Status.OPEN


def test_marking_as_solved_works_once_and_says_how_to_come_back(portal: Portal) -> None:
    ticket = portal.open()
    client = signed_in(portal.carla)

    pages = [
        client.post(f"/portal/{ticket.pk}/solved/", {"form_token": t}, follow=True) for t in ("a", "a", "b")
    ]

    ticket.refresh_from_db()
    assert ticket.status == Status.RESOLVED
    assert "write here and it is open again" in text(pages[0])
    assert all(page.status_code == 200 for page in pages)
    assert ticket.events.filter(kind="status_changed").count() == 1


def test_a_colleague_who_follows_may_answer_in_their_own_name(portal: Portal) -> None:
    ticket = portal.open()

    signed_in(portal.follower).post(f"/portal/{ticket.pk}/reply/", {"body": "Me too."})

    assert Entry.objects.get(ticket=ticket, body="Me too.").author == portal.follower
    page = text(signed_in(portal.carla).get(f"/portal/{ticket.pk}/"))
    assert "Frida" in page


def test_a_long_conversation_begins_with_its_latest_part(portal: Portal) -> None:
    ticket = portal.open(body="The very first words.")
    for number in range(101):
        add_reply(ticket_id=ticket.pk, body=f"Message {number}.", actor=portal.carla, now=portal.house.now)
    client = signed_in(portal.carla)

    latest, everything = (text(client.get(f"/portal/{ticket.pk}/{query}")) for query in ("", "?all=1"))

    assert "The very first words." not in latest
    assert "Message 100." in latest
    assert "Show the earlier messages" in latest
    assert "The very first words." in everything


# --- asking for escalation ------------------------------------------------------------------------------------------


def test_asking_reaches_the_lead_and_says_what_happens_if_nobody_answers(portal: Portal) -> None:
    ticket = portal.open()
    client = signed_in(portal.carla)
    before = text(client.get(f"/portal/{ticket.pk}/"))

    answer = client.post(f"/portal/{ticket.pk}/ask/", {"reason": "All shops are closed."}, follow=True)

    assert "If nobody answers in time, it goes to Network by itself." in before
    wish = EscalationRequest.objects.get()
    assert (wish.reason, wish.requested_by) == ("All shops are closed.", portal.carla)
    page = text(answer)
    assert "You asked for escalation" in page
    assert "it goes to Network by itself" in page
    assert "Why can't it wait?" not in page
    assert Notification.objects.filter(kind="escalation.requested").exists()


def test_asking_twice_at_one_level_is_refused_kindly(portal: Portal) -> None:
    ticket = portal.open()
    client = signed_in(portal.carla)
    client.post(f"/portal/{ticket.pk}/ask/", {"reason": "Please"})

    answer = client.post(f"/portal/{ticket.pk}/ask/", {"reason": "Please again"})

    assert answer.status_code == 409
    assert EscalationRequest.objects.count() == 1


def test_asking_needs_a_reason(portal: Portal) -> None:
    ticket = portal.open()

    answer = signed_in(portal.carla).post(f"/portal/{ticket.pk}/ask/", {"reason": " "})

    assert answer.status_code == 422
    assert "<details open>" in answer.content.decode()
    assert not EscalationRequest.objects.exists()


def test_the_leads_answer_and_their_reason_are_shown(portal: Portal) -> None:
    house, now = portal.house, portal.house.now
    ticket = portal.open()
    wish = request_escalation(ticket_id=ticket.pk, actor=portal.carla, reason="Please", now=now)
    decline_request(request_id=wish.pk, actor=house.lead, reason="The fix rolls out at noon.", now=now + MIN)
    client = signed_in(portal.carla)
    declined = text(client.get(f"/portal/{ticket.pk}/"))

    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=now + 2 * MIN, reason="x")
    second = request_escalation(ticket_id=ticket.pk, actor=portal.carla, reason="Please", now=now + 3 * MIN)
    grant_request(request_id=second.pk, actor=house.lead, now=now + 4 * MIN, reason="You are right.")
    granted = text(client.get(f"/portal/{ticket.pk}/"))

    assert "Declined" in declined
    assert "The fix rolls out at noon." in declined
    assert "Ask for escalation" not in declined
    assert "Granted" in granted
    assert "You are right." in granted
    assert "Escalated to level 3, Core network, as you asked" in granted


def test_before_management_the_page_does_not_promise_what_will_not_happen(portal: Portal) -> None:
    house = portal.house
    ticket = portal.open()
    for seq in (0, 1):
        escalate(ticket_id=ticket.pk, seen_seq=seq, actor=house.agent, now=house.now + MIN, reason="x")

    page = text(signed_in(portal.carla).get(f"/portal/{ticket.pk}/"))

    assert "the lead is asked again" in page
    assert "by itself" not in page


# --- what it costs --------------------------------------------------------------------------------------------------


def _queries(user: User, path: str) -> int:
    client = signed_in(user)
    client.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def test_the_list_costs_the_same_however_long(portal: Portal) -> None:
    portal.open()
    one = _queries(portal.carla, "/portal/")
    for _ in range(20):
        portal.open()

    assert _queries(portal.carla, "/portal/") == one
    assert one <= 8


def test_the_page_costs_the_same_however_much_was_said(portal: Portal) -> None:
    ticket = portal.open()
    add_reply(ticket_id=ticket.pk, body="One.", actor=portal.house.agent, now=portal.house.now)
    _escalated(portal, ticket)
    one = _queries(portal.carla, f"/portal/{ticket.pk}/")
    writers = [create_user(email=f"a{n}@example.org", name=f"A {n}", role=Role.AGENT) for n in range(5)]
    for writer in writers:
        post_update(
            ticket_id=ticket.pk, body="More.", actor=writer, now=portal.house.now + dt.timedelta(minutes=2)
        )

    assert _queries(portal.carla, f"/portal/{ticket.pk}/") == one
    assert one <= 14

"""The ticket page: what it shows, and at what price."""

import datetime as dt
import io

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from escalation.engine import tick
from escalation.operations import (
    acknowledge,
    answer_question,
    consult,
    deescalate,
    escalate,
    request_escalation,
    send_back,
)
from tests.house import MIN, House
from tests.web.desk.conftest import As, seq_of, text_of
from tickets.models import Event, Ticket
from tickets.operations import (
    Upload,
    add_note,
    add_reply,
    add_tags,
    assign_ticket,
    change_status,
    declare_major,
    link_to_incident,
    merge_tickets,
    post_update,
    set_details,
    set_severity,
    unlink_from_incident,
    write_handoff,
)

HANDOFF = {
    "impact": "46 people",
    "tried": "Backup line",
    "suspected": "Change 8812",
    "next_action": "Roll back",
}


def lively(house: House) -> Ticket:
    """A ticket with a bit of everything on its timeline."""
    ticket = house.open(at=house.now - 40 * MIN)

    def at(minutes: int) -> dt.datetime:
        return house.now - (40 - minutes) * MIN

    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.lead, now=at(1))
    add_reply(ticket_id=ticket.pk, body="We look into it.", actor=house.agent, now=at(2))
    add_note(
        ticket_id=ticket.pk,
        body="Rekey timer is wrong.",
        actor=house.agent,
        now=at(3),
        uploads=[Upload("fw.log", io.BytesIO(b"log"), "text/plain")],
    )
    set_severity(ticket_id=ticket.pk, severity=2, actor=house.agent, now=at(4), reason="A whole office.")
    set_details(
        ticket_id=ticket.pk,
        changes={"impact": 1, "subject": "VPN drops in Madrid"},
        actor=house.agent,
        now=at(5),
    )
    add_tags(ticket_ids=[ticket.pk], tags=["vpn"], actor=house.agent, now=at(6))
    escalate(
        ticket_id=ticket.pk,
        seen_seq=seq_of(ticket),
        actor=house.agent,
        now=at(7),
        reason="Core access is needed.",
        handoff=HANDOFF,
    )
    acknowledge(ticket_id=ticket.pk, seen_seq=seq_of(ticket), actor=house.second, now=at(9))
    request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="The phones are down.", now=at(10))
    deescalate(
        ticket_id=ticket.pk,
        seen_seq=seq_of(ticket),
        to_position=1,
        actor=house.lead,
        now=at(12),
        reason="Solved there.",
    )
    change_status(ticket_id=ticket.pk, status="hold", actor=house.agent, now=at(13), reason="Vendor case 77.")
    return ticket


def page_of(client: Client, ticket: Ticket, query: str = "") -> str:
    return text_of(client.get(f"/t/{ticket.pk}/{query}"))


def test_conversation_tells_climbs_with_who_was_told_and_who_acknowledged(
    house: House, signed_in_as: As
) -> None:
    ticket = lively(house)

    page = page_of(signed_in_as(house.agent), ticket)

    assert (
        "L1 Service desk to L2 Network by Piet Test</b>. Told: Aisha Test, Duty L2. "
        "<b>Acknowledged by Aisha Test</b> after 2 min" in page
    )
    assert "<q>Core access is needed.</q>" in page
    assert "<dt>Suspected cause</dt><dd>Change 8812</dd>" in page
    assert 'class="entry is-note"' in page
    assert '/fw.log">' in page
    assert "asked for escalation" in page
    assert "L2 Network to L1 Service desk by Lena Test" in page
    # A change that the rest shows anyway stays out of the conversation.
    assert "moved it from Service desk to Network" not in page


def test_whole_timeline_tells_every_event_in_words(house: House, signed_in_as: As) -> None:
    ticket = lively(house)

    page = page_of(signed_in_as(house.agent), ticket, "?timeline=whole")

    for words in (
        "opened the ticket by agent as SEV3",
        "assigned it to Piet Test",
        "set the severity from SEV3 to SEV2",
        "<q>A whole office.</q>",
        "changed the impact from medium to high",
        "changed the subject from “VPN drops” to “VPN drops in Madrid”",
        "changed the tags: added vpn",
        "put it on its escalation path at L1",
        "moved it from Service desk to Network",
        "gave it back to the queue, from Piet Test",
        "told Aisha Test, Duty L2 (round 1)",
        "acknowledged after 2 min",
        "took the ticket",
        "asked for escalation",
        "set the status from open to on hold",
        "<q>Vendor case 77.</q>",
    ):
        assert words in page, words
    shown = page.count('id="event-')
    # Opening it is told apart from its first message; nothing else is left out.
    assert shown == Event.objects.filter(ticket=ticket).count() + 1


def test_right_column_shows_clocks_ladder_and_when_to_reach_out(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")

    page = page_of(signed_in_as(house.second), ticket)

    assert "Time at L2" in page
    assert "To be acknowledged" in page
    assert '<progress class="bar' in page
    assert 'class="rung now" aria-current="step"' in page
    assert "First, by day and night." in page
    assert "When L2 has a handoff." in page
    assert "Acknowledge, I take it" in page


def test_only_those_concerned_are_offered_to_acknowledge(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")

    offered = {
        user.name: "Acknowledge, I take it" in page_of(signed_in_as(user), ticket)
        for user in (house.second, house.lead, house.outsider, house.agent)
    }

    assert offered == {"Aisha Test": True, "Lena Test": True, "Olaf Test": False, "Piet Test": False}


def test_exact_instant_is_in_the_readers_zone(house: House, signed_in_as: As) -> None:
    ticket = house.open(at=dt.datetime(2026, 7, 1, 10, 0, tzinfo=dt.UTC))
    house.agent.time_zone = "Europe/Madrid"
    house.agent.save()

    page = page_of(signed_in_as(house.agent), ticket)

    assert "Wed 1 Jul 2026, 12:00:00 CEST" in page
    assert 'datetime="2026-07-01T10:00:00+00:00"' in page


def test_huge_text_is_folded_and_whole(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    add_reply(ticket_id=ticket.pk, body="x" * 20_000 + " the end", actor=house.agent, now=house.now)

    page = page_of(signed_in_as(house.agent), ticket)

    assert "Show all 20008 characters" in page
    assert "the end" in page


def test_markup_of_others_stays_text(house: House, signed_in_as: As) -> None:
    evil = '<img src=x onerror=alert(1)> javascript:alert(1) https://example.org/?a="><b>'
    ticket = house.open(subject=evil)
    add_note(ticket_id=ticket.pk, body=evil, actor=house.agent, now=house.now)
    write_handoff(ticket_id=ticket.pk, fields={"impact": evil}, actor=house.agent, now=house.now)

    page = page_of(signed_in_as(house.agent), ticket, "?timeline=whole")

    assert "<img src=x" not in page
    assert 'href="javascript:' not in page


@pytest.mark.parametrize("query", ["", "?timeline=whole"])
def test_page_costs_at_most_fourteen_queries(
    house: House, signed_in_as: As, django_assert_max_num_queries: DjangoAssertNumQueries, query: str
) -> None:
    quiet, loud = house.open(), lively(house)
    escalate(ticket_id=quiet.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Needs L2.")
    for _ in range(30):
        add_note(ticket_id=loud.pk, body="More.", actor=house.agent, now=house.now)

    for user in (house.agent, house.second, house.lead):
        client = signed_in_as(user)
        client.get(f"/t/{quiet.pk}/{query}")
        for ticket in (quiet, loud):
            with django_assert_max_num_queries(14):
                client.get(f"/t/{ticket.pk}/{query}")
            with django_assert_max_num_queries(14):
                client.get(f"/t/{ticket.pk}/live/{query}")


def test_refreshed_parts_leave_the_composer_alone(house: House, signed_in_as: As) -> None:
    ticket = house.open()

    page = text_of(signed_in_as(house.agent).get(f"/t/{ticket.pk}/live/", headers={"HX-Request": "true"}))

    assert 'id="conversation"' in page
    assert page.count('hx-swap-oob="true"') == 2
    assert 'id="composer"' not in page


def test_finished_ticket_offers_to_reopen_and_nothing_that_moves_it(house: House, signed_in_as: As) -> None:
    ticket = house.open()
    change_status(ticket_id=ticket.pk, status="resolved", actor=house.agent, now=house.now)

    page = page_of(signed_in_as(house.lead), ticket)

    assert "Reopen" in page
    assert 'data-key-press="e"' not in page
    assert 'data-key-press="t"' not in page


def test_whole_timeline_tells_in_words_what_was_asked_joined_and_suspended(
    house: House, signed_in_as: As
) -> None:
    start = house.now - 60 * MIN
    ticket, double, incident, unanswered = (house.open(at=start) for _ in range(4))
    for one in (ticket, unanswered):
        escalate(ticket_id=one.pk, seen_seq=0, actor=house.agent, now=start, reason="Rights.")
        acknowledge(ticket_id=one.pk, seen_seq=1, actor=house.second, now=start)
        send_back(ticket_id=one.pk, seen_seq=1, actor=house.second, now=start, question="Which rule?")
    answer_question(ticket_id=ticket.pk, seen_seq=1, actor=house.agent, now=start + MIN, text="112.")
    consult(
        ticket_id=ticket.pk,
        seen_seq=1,
        to_position=3,
        actor=house.second,
        now=start + 2 * MIN,
        question="Who owns it?",
    )
    merge_tickets(loser_ids=[double.pk], survivor_id=ticket.pk, actor=house.agent, now=start + 3 * MIN)
    declare_major(ticket_id=incident.pk, actor=house.agent, now=start + 4 * MIN)
    link_to_incident(
        ticket_ids=[unanswered.pk], incident_id=incident.pk, actor=house.agent, now=start + 4 * MIN
    )
    post_update(ticket_id=incident.pk, body="We know.", actor=house.agent, now=start + 5 * MIN)
    tick(now=start + 10 * MIN)
    tick(now=start + 20 * MIN)
    unlink_from_incident(ticket_ids=[unanswered.pk], actor=house.agent, now=start + 25 * MIN)
    client = signed_in_as(house.agent)

    for shown, expected in {
        ticket: (
            "asked Piet Test about the handoff",
            "<q>Which rule?</q>",
            "answered the question about the handoff",
            "asked L3 Core network for help: Tomas Test, Duty L3 was told",
            f"merged #{double.pk} into it",
        ),
        double: (f"merged it into #{ticket.pk}, where it goes on",),
        incident: ("declared it a major incident", f"linked #{unanswered.pk} to it"),
        unanswered: (
            f"linked it to major incident #{incident.pk}",
            f"let its clocks stand still: #{incident.pk} goes on for it",
            f"counted the update of #{incident.pk} as the first response",
            "asked Lena Test instead: the sender has not answered in time",
            "recorded that nobody answered the question about the handoff",
            f"took it off major incident #{incident.pk}",
            "let its clocks run on with what was left",
        ),
    }.items():
        page = page_of(client, shown, "?timeline=whole")
        for words in expected:
            assert words in page, words

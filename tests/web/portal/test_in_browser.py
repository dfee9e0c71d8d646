"""The portal and the phone page in a real browser: keyboard, no JavaScript, live refresh, a thumb on a phone."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from core.db import database_now
from escalation.models import Escalation
from escalation.operations import acknowledge, decline_request, escalate, request_escalation
from escalation.queries import acknowledge_url
from notifications.models import Contact
from tests.browser_fixtures import Live
from tests.web.portal.people import Portal, live_portal
from tickets.models import Entry, Service, Ticket
from tickets.operations import Upload, add_reply, assign_ticket, change_status, post_update

SignIn = Callable[[Any, User], None]
Axe = Callable[[Any], None]

PHONE = {"width": 390, "height": 844}
HANDOFF = {
    "impact": "All card payments fail since 02:41.",
    "tried": "Restarted the primary; its disk is gone. The replica is 4 min behind.",
    "suspected": "Controller firmware of last night's change.",
    "next_action": "Fail over; needs a decision on losing 4 min of orders.",
}
# Where a person who wants to look at the pages gets them; nothing is written otherwise.
SHOTS = os.environ.get("BELAY_SHOTS")


@pytest.fixture
def world(live: Live) -> Portal:
    return live_portal()


@pytest.fixture
def phone(browser: Browser, live: Live) -> Iterator[Page]:
    context = browser.new_context(
        base_url=live.url, viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    yield context.new_page()
    context.close()


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=not name.startswith("phone"))


def told(world: Portal, **more: object) -> tuple[Ticket, str]:
    """Return a SEV1 ticket that climbed to L2 with a handoff, and the path of Aisha's link."""
    house = world.house
    ticket = world.open(subject="Payments down for all shops", impact=1, urgency=1, **more)
    escalate(
        ticket_id=ticket.pk,
        seen_seq=0,
        actor=house.agent,
        now=database_now(),
        reason="Over to you",
        handoff=HANDOFF,
    )
    contact = Contact.objects.get(user=house.second)
    return ticket, "/a/" + acknowledge_url(ticket.pk, 1, contact.pk).split("/a/")[1]


def test_a_request_from_the_first_line_to_the_number(
    world: Portal, page: Page, sign_in: SignIn, axe: Axe, tmp_path: Path
) -> None:
    Service.objects.get_or_create(name="VPN")
    log = tmp_path / "vpn.log"
    log.write_text("tunnel down")
    sign_in(page, world.carla)

    page.goto("/portal/")
    expect(page.get_by_role("heading", name="No requests yet")).to_be_visible()
    axe(page)
    shot(page, "portal-empty")
    page.get_by_role("link", name="Open your first request").click()
    axe(page)
    page.get_by_label("In one line").fill("VPN drops every few minutes")
    page.get_by_label("What happened?").fill("Since this morning, for everyone in the office.")
    page.get_by_label("Several people, or my team").check()
    page.get_by_label("Work has stopped").check()
    page.get_by_label("What is it about?").select_option(label="VPN")
    page.get_by_label("Files").set_input_files(log)
    shot(page, "portal-new")
    page.get_by_role("button", name="Send request").click()

    expect(page).to_have_url(re.compile(r"/portal/\d+/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("VPN drops every few minutes")
    expect(page.get_by_role("link", name="vpn.log")).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("First answer")
    expect(page.locator("#toasts")).to_contain_text("Its number is #")
    axe(page)


def test_mistakes_are_named_and_nothing_written_is_lost(
    world: Portal, page: Page, sign_in: SignIn, axe: Axe
) -> None:
    sign_in(page, world.carla)
    page.goto("/portal/new/")
    page.get_by_label("What happened?").fill("Long story.")

    page.get_by_role("button", name="Send request").click()

    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("Your request was not sent yet.")
    expect(alert).to_be_focused()
    expect(page.get_by_label("What happened?")).to_have_value("Long story.")
    axe(page)
    shot(page, "portal-new-error")


def test_a_file_that_is_too_big_is_said_before_it_travels(
    world: Portal, page: Page, sign_in: SignIn, tmp_path: Path
) -> None:
    big = tmp_path / "big.iso"
    with big.open("wb") as file:
        file.truncate(26_000_000)
    sign_in(page, world.carla)
    page.goto("/portal/new/")

    page.get_by_label("Files").set_input_files(big)

    expect(page.locator("#files-error")).to_contain_text("“big.iso” is larger than 25 MB.")


def lively(world: Portal) -> Ticket:
    """Return a ticket with a conversation, a climb, an update and a declined wish."""
    import io

    house = world.house
    ticket = world.open(
        subject="VPN drops every few minutes for the Madrid office",
        body="Since this morning the VPN disconnects every five to ten minutes for everyone in the office.\n\n"
        "Rebooting the laptops did not help. See https://status.example.org/vpn",
        impact=2,
        urgency=1,
    )
    now = database_now()
    assign_ticket(ticket_id=ticket.pk, assignee=house.agent, actor=house.agent, now=now)
    add_reply(
        ticket_id=ticket.pk,
        body="Thanks Carla. I see the tunnel renegotiate on our side too. Please try the backup profile.",
        actor=house.agent,
        now=now,
        uploads=[Upload("backup-profile.ovpn", io.BytesIO(b"client"), "text/plain")],
    )
    add_reply(ticket_id=ticket.pk, body="Calls still drop.", actor=world.carla, now=now)
    wish = request_escalation(ticket_id=ticket.pk, actor=world.carla, reason="We can't post orders.", now=now)
    decline_request(
        request_id=wish.pk, actor=house.lead, reason="The network team joins at ten, that is sooner.", now=now
    )
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=now, reason="Needs core access")
    post_update(
        ticket_id=ticket.pk,
        body="The network team rolls back last night's change.",
        actor=house.second,
        now=now,
    )
    return ticket


def test_one_request_reads_well_in_light_and_dark(
    world: Portal, page: Page, sign_in: SignIn, axe: Axe
) -> None:
    ticket = lively(world)
    world.open(subject="New laptop for Konrad")
    done = world.open(subject="Printer on floor 2 jams")
    change_status(ticket_id=done.pk, status="resolved", actor=world.house.agent, now=database_now())
    sign_in(page, world.carla)

    page.goto(f"/portal/{ticket.pk}/")
    expect(page.locator("#progress")).to_contain_text("Level 2 of 4")
    axe(page)
    shot(page, "portal-ticket")
    page.goto("/portal/")
    axe(page)
    shot(page, "portal-list")


def test_on_a_phone_nothing_hangs_over_the_edge(
    world: Portal, phone: Page, sign_in: SignIn, axe: Axe
) -> None:
    ticket = lively(world)
    sign_in(phone, world.carla)

    for path, name in ((f"/portal/{ticket.pk}/", "ticket"), ("/portal/", "list"), ("/portal/new/", "new")):
        phone.goto(path)
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        axe(phone)
        if SHOTS:
            phone.screenshot(path=str(Path(SHOTS) / f"small-{name}.png"), full_page=True)


def test_an_answer_appears_by_itself_and_keeps_what_is_being_written(
    world: Portal, page: Page, sign_in: SignIn
) -> None:
    ticket = world.open()
    sign_in(page, world.carla)
    with page.expect_response(lambda answer: "/live/" in answer.url):
        page.goto(f"/portal/{ticket.pk}/")
    page.get_by_label("Write to us").fill("I was just writing")

    add_reply(ticket_id=ticket.pk, body="Found it: a cable.", actor=world.house.agent, now=database_now())

    expect(page.locator("#talk")).to_contain_text("Found it: a cable.", timeout=8000)
    expect(page.get_by_label("Write to us")).to_have_value("I was just writing")


def test_a_climb_and_the_leads_answer_appear_by_themselves(
    world: Portal, page: Page, sign_in: SignIn
) -> None:
    ticket = world.open()
    sign_in(page, world.carla)
    with page.expect_response(lambda answer: "/live/" in answer.url):
        page.goto(f"/portal/{ticket.pk}/")

    escalate(ticket_id=ticket.pk, seen_seq=0, actor=world.house.agent, now=database_now(), reason="x")

    expect(page.locator("#progress")).to_contain_text("Level 2 of 4", timeout=8000)


def test_answer_ask_and_solve_without_javascript(
    world: Portal, browser: Browser, live: Live, sign_in: SignIn
) -> None:
    ticket = world.open()
    context = browser.new_context(java_script_enabled=False, base_url=live.url)
    page = context.new_page()
    sign_in(page, world.carla)
    page.goto(f"/portal/{ticket.pk}/")

    page.get_by_label("Write to us").fill("More details.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#talk")).to_contain_text("More details.")
    page.locator("summary", has_text="Ask for escalation").click()
    page.get_by_label("Why can't it wait?").fill("The shops are closed.")
    page.locator("#wish").get_by_role("button", name="Ask for escalation").click()
    expect(page.locator("#wish")).to_contain_text("You asked for escalation")
    page.get_by_role("button", name="It is solved").click()

    expect(page.locator("#progress")).to_contain_text("Solved")
    expect(page.get_by_role("button", name="Send and reopen")).to_be_visible()
    page.goto("/portal/new/")
    page.get_by_label("In one line").fill("Without scripts")
    page.get_by_label("What happened?").fill("It works.")
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Without scripts")
    context.close()


def test_a_double_click_on_send_is_one_message(world: Portal, page: Page, sign_in: SignIn) -> None:
    ticket = world.open()
    sign_in(page, world.carla)
    page.goto(f"/portal/{ticket.pk}/")
    page.get_by_label("Write to us").fill("Only once, please.")

    page.get_by_role("button", name="Send", exact=True).dblclick()

    expect(page.locator("#talk")).to_contain_text("Only once, please.")
    assert Entry.objects.filter(ticket=ticket, body="Only once, please.").count() == 1


# --- the phone at 03:00 ---------------------------------------------------------------------------------------------


def test_one_tap_on_a_phone_takes_it(world: Portal, phone: Page, axe: Axe) -> None:
    ticket, link = told(world)
    phone.goto(link)

    take, cannot = (
        phone.get_by_role("button", name="I take it"),
        phone.get_by_role("button", name="I can't, tell"),
    )
    expect(take).to_be_in_viewport()
    expect(cannot).to_be_in_viewport()
    for button, least in ((take, 60), (cannot, 48)):
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= least
        assert box["width"] > 300
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    axe(phone)
    shot(phone, "phone-open")
    take.tap()

    expect(phone.get_by_role("heading", name="You have it")).to_be_visible()
    axe(phone)
    shot(phone, "phone-mine")
    escalation = Escalation.objects.get(ticket=ticket, seq=1)
    assert (escalation.acknowledged_by, escalation.acknowledged_via) == (world.house.second, "link")
    expect(phone.get_by_role("link", name="Open the ticket")).to_have_attribute("href", f"/t/{ticket.pk}/")


def test_the_time_left_runs(world: Portal, phone: Page) -> None:
    _, link = told(world)
    phone.goto(link)
    clock = phone.locator("[data-countdown]")
    first = clock.text_content()

    expect(clock).not_to_have_text(first or "", timeout=4000)

    assert re.fullmatch(r"\d:\d\d", clock.text_content() or "")


def test_two_quick_taps_are_one(world: Portal, phone: Page) -> None:
    ticket, link = told(world)
    phone.goto(link)
    button = phone.get_by_role("button", name="I can't, tell the next one")

    button.dblclick()

    expect(phone.get_by_role("status")).to_contain_text("You said that you can't.")
    shot(phone, "phone-passed")
    assert ticket.events.filter(kind="escalation.passed_on").count() == 1
    assert ticket.notifications.filter(round__isnull=False).count() == 2


def test_the_page_notices_that_somebody_else_was_quicker(world: Portal, phone: Page, axe: Axe) -> None:
    ticket, link = told(world)
    phone.goto(link)

    acknowledge(ticket_id=ticket.pk, seen_seq=1, actor=world.house.lead, now=database_now())
    # The screen is unlocked again; left alone, the page asks every few seconds.
    phone.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(phone.get_by_role("heading", name="Lena Vos has it")).to_be_visible(timeout=15_000)
    axe(phone)
    shot(phone, "phone-taken")


def test_a_tap_that_comes_too_late_is_told_so(world: Portal, phone: Page) -> None:
    ticket, link = told(world)
    phone.goto(link)
    escalate(ticket_id=ticket.pk, seen_seq=1, actor=world.house.second, now=database_now(), reason="up")

    phone.get_by_role("button", name="I take it").tap()

    expect(phone.get_by_role("heading", name="It has moved on")).to_be_visible()
    shot(phone, "phone-moved")


def test_the_phone_page_works_without_javascript(world: Portal, browser: Browser, live: Live) -> None:
    ticket, link = told(world)
    context = browser.new_context(java_script_enabled=False, base_url=live.url, viewport=PHONE)
    page = context.new_page()
    page.goto(link)

    expect(page.locator("[data-countdown]")).to_have_text(re.compile(r"\d:\d\d"))
    page.get_by_role("button", name="I take it").click()

    expect(page.get_by_role("heading", name="You have it")).to_be_visible()
    assert Escalation.objects.get(ticket=ticket, seq=1).acknowledged_at is not None
    context.close()


@pytest.mark.parametrize("path", ["/a/none-of-ours/"])
def test_links_that_are_none_read_well_too(live: Live, phone: Page, axe: Axe, path: str) -> None:
    answer = phone.goto(path)

    assert answer is not None
    assert answer.status == 404
    axe(phone)
    shot(phone, "phone-unknown")


def test_a_long_handoff_leaves_the_buttons_under_the_thumb(world: Portal, phone: Page, axe: Axe) -> None:
    house = world.house
    ticket = world.open(subject="W" * 200, impact=1, urgency=1)
    long = {
        name: "Averyveryverylongwordwithoutanyspace" * 8 + "\n" + words * 12
        for name, words in HANDOFF.items()
    }
    escalate(
        ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=database_now(), reason="x" * 900, handoff=long
    )
    contact = Contact.objects.get(user=house.second)
    phone.goto("/a/" + acknowledge_url(ticket.pk, 1, contact.pk).split("/a/")[1])

    expect(phone.get_by_role("button", name="I take it")).to_be_in_viewport()
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    axe(phone)
    shot(phone, "phone-long")

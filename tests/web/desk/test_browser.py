"""What only a browser can show: keys, dialogs, drafts, two people at once, no JavaScript, axe."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from accounts.models import User
from core.db import database_now
from escalation.models import Escalation, EscalationPath
from escalation.operations import escalate, publish_path
from tests.browser_fixtures import Live
from tests.house import House, build_house, default_spec
from tests.web.desk.conftest import seq_of
from tickets.models import Entry, Ticket
from tickets.operations import add_note, add_reply

SignIn = Callable[[Any, User], None]


@pytest.fixture
def house(live: Live) -> Iterator[House]:
    """A house of its own in the live server's database; new tickets enter its path as long as the test runs."""
    tag = uuid.uuid4().hex[:6]
    house = build_house(tag=tag, with_path=False)
    version = publish_path(
        path_id=None, spec=default_spec(house, name=f"Standard {tag}"), actor=house.admin, now=house.now
    )
    EscalationPath.objects.exclude(pk=version.path_id).update(is_active=False)
    house.now = database_now()
    yield house
    EscalationPath.objects.filter(pk=version.path_id).update(is_default=False, is_active=False)


@pytest.fixture
def open_page(browser: Browser, live: Live, sign_in: SignIn) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser of somebody's own; fails if a page broke its own rules in it."""
    contexts, trouble = [], []

    def open_one(user: User | None, path: str, **more: Any) -> Page:
        context = browser.new_context(base_url=live.url, reduced_motion="reduce", **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "console",
            lambda message: (
                trouble.append(message.text) if "Content Security Policy" in message.text else None
            ),
        )
        if user is not None:
            sign_in(page, user)
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert trouble == []


def test_sign_in_by_the_form_and_out_again(house: House, open_page: Callable[..., Page]) -> None:
    house.agent.set_password("a long password")
    house.agent.save()
    page = open_page(None, "/queue/open/")

    page.get_by_label("Email").fill(house.agent.email)
    page.get_by_label("Password").fill("a long password")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="All open")).to_be_visible()
    page.locator("summary", has_text="your menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_working_a_ticket_by_keyboard(house: House, open_page: Callable[..., Page]) -> None:
    ticket = house.open(subject="Printer on floor 3")
    page = open_page(house.agent, f"/t/{ticket.pk}/")

    page.keyboard.press("t")
    expect(page.locator("#ticket-head")).to_contain_text("Piet Test")
    page.keyboard.press("n")
    expect(page.locator("#kind-note")).to_be_checked()
    # Every letter here is a key elsewhere on the page.
    page.keyboard.type("eat rest now?")
    expect(page.locator("#body")).to_have_value("eat rest now?")
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("Control+Enter")

    expect(page.locator("#conversation .is-note")).to_contain_text("eat rest now?")
    expect(page.locator("#body")).to_have_value("")
    page.locator("#subject").click()
    page.keyboard.press("?")
    expect(page.locator("#help-keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    expect(page.locator("#conversation")).to_contain_text("put it on its escalation path")
    entry = Entry.objects.get(ticket=ticket, kind="note")
    assert (entry.body, Ticket.objects.get(pk=ticket.pk).assignee) == ("eat rest now?", house.agent)


@pytest.mark.parametrize("refreshes", [1, 2])
def test_the_whole_timeline_is_shown_though_refreshes_are_under_way(
    house: House, open_page: Callable[..., Page], refreshes: int
) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")
    # The refreshes answer while the timeline that was asked for is still on its way.
    page.evaluate(
        """() => {
            const send = XMLHttpRequest.prototype.send;
            const open = XMLHttpRequest.prototype.open;
            XMLHttpRequest.prototype.open = function (verb, url, ...more) {
                this.late = url.includes("timeline=whole") ? 600 : 200;
                return open.call(this, verb, url, ...more);
            };
            XMLHttpRequest.prototype.send = function (...more) {
                setTimeout(() => send.apply(this, more), this.late);
            };
        }"""
    )
    refresh = "document.querySelector('#conversation').dispatchEvent(new CustomEvent('live'))"

    page.evaluate(refresh)
    page.keyboard.press("w")
    if refreshes == 2:
        page.evaluate(refresh)

    expect(page.locator("#conversation")).to_contain_text("put it on its escalation path")


def test_escalating_by_key_keeps_what_is_being_written(house: House, open_page: Callable[..., Page]) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")
    page.locator("#body").fill("Half a thought")
    page.locator("#subject").click()

    page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("First, by day and night.")
    expect(dialog.get_by_label("Why now?")).to_be_focused()
    page.keyboard.type("The core is down.")
    dialog.get_by_label("Suspected cause").fill("Change 8812")
    dialog.get_by_role("button", name="Escalate").click()

    expect(page.locator(".rung.now")).to_contain_text("L2 Network")
    expect(page.locator("#conversation")).to_contain_text("Change 8812")
    expect(dialog).to_be_hidden()
    expect(page.locator("#body")).to_have_value("Half a thought")
    assert seq_of(ticket) == 1


def test_acknowledging_by_key(house: House, open_page: Callable[..., Page]) -> None:
    ticket = house.open()
    lead = open_page(house.lead, f"/t/{ticket.pk}/escalate/")
    lead.get_by_label("Why now?").fill("Now.")
    lead.get_by_role("button", name="Escalate").click()
    page = open_page(house.second, f"/t/{ticket.pk}/")
    expect(page.locator("#ticket-head")).to_contain_text("Nobody has acknowledged")

    page.keyboard.press("a")

    expect(page.locator("#conversation")).to_contain_text("Acknowledged by Aisha Test")
    # The lead's page hears of it by itself.
    expect(lead.locator("#conversation")).to_contain_text("Acknowledged by Aisha Test")


def test_two_people_escalate_at_once_and_the_second_is_asked_again(
    house: House, open_page: Callable[..., Page]
) -> None:
    ticket = house.open()
    first, second = (open_page(user, f"/t/{ticket.pk}/") for user in (house.agent, house.outsider))
    for page, words in ((first, "First reason"), (second, "Second reason")):
        page.keyboard.press("e")
        page.get_by_role("dialog").get_by_label("Why now?").fill(words)

    first.get_by_role("dialog").get_by_role("button", name="Escalate").click()
    expect(first.locator(".rung.now")).to_contain_text("L2")
    second.get_by_role("dialog").get_by_role("button", name="Escalate").click()

    dialog = second.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("It moved: climb again?")
    expect(dialog).to_contain_text("is at Network since")
    expect(dialog.get_by_label("Why now?")).to_have_value("Second reason")
    assert seq_of(ticket) == 1
    dialog.get_by_role("button", name="Climb again").click()
    expect(second.locator(".rung.now")).to_contain_text("L3")
    assert Escalation.objects.filter(ticket=ticket, kind="climb").count() == 2


def test_double_click_sends_one_reply(house: House, open_page: Callable[..., Page]) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")

    page.locator("#body").fill("Only once")
    page.get_by_role("button", name="Send", exact=True).dblclick()

    expect(page.locator("#conversation")).to_contain_text("Only once")
    expect(page.locator("#body")).to_have_value("")
    assert Entry.objects.filter(ticket=ticket, body="Only once").count() == 1


def test_without_javascript_everything_basic_works(house: House, open_page: Callable[..., Page]) -> None:
    ticket = house.open(subject="Without scripts")
    page = open_page(house.agent, "/queue/unassigned/", java_script_enabled=False)

    row = page.locator("tr", has_text=f"#{ticket.pk}")
    row.get_by_role("button", name="Take").click()
    expect(page.locator("#toasts")).to_contain_text("is yours")
    page.goto(f"/t/{ticket.pk}/")
    page.locator("label", has_text="Note").click()
    page.locator("#body").fill("Written without scripts")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator("#conversation .is-note")).to_contain_text("Written without scripts")
    page.locator("#composer").get_by_role("link", name="Escalate").click()
    page.get_by_label("Why now?").fill("Needs more.")
    page.get_by_role("button", name="Escalate").click()

    expect(page.locator(".rung.now")).to_contain_text("L2")
    assert seq_of(ticket) == 1


def test_what_others_write_appears_and_leaves_my_draft_alone(
    house: House, open_page: Callable[..., Page]
) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")
    page.locator("#body").press_sequentially("I am just writ")

    add_reply(ticket_id=ticket.pk, body="It works again!", actor=house.requester, now=database_now())

    expect(page.locator("#conversation")).to_contain_text("It works again!")
    expect(page.locator("#body")).to_have_value("I am just writ")
    expect(page.locator("#body")).to_be_focused()


def test_draft_survives_leaving_the_page_and_is_gone_once_sent(
    house: House, open_page: Callable[..., Page]
) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")
    page.locator("#body").fill("To be continued")

    page.goto("/queue/open/")
    page.goto(f"/t/{ticket.pk}/")
    expect(page.locator("#body")).to_have_value("To be continued")
    page.locator("#body").press("Control+Enter")
    expect(page.locator("#conversation")).to_contain_text("To be continued")
    page.reload()

    expect(page.locator("#body")).to_have_value("")


def test_dead_server_is_said_and_the_text_is_kept(house: House, open_page: Callable[..., Page]) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")
    page.locator("#body").fill("Do not lose me")
    page.route("**/write/", lambda route: route.abort())

    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.locator("#toasts")).to_contain_text("Belay does not answer, so nothing was sent.")
    expect(page.locator("#body")).to_have_value("Do not lose me")
    page.unroute("**/write/")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#conversation")).to_contain_text("Do not lose me")


def test_session_that_ended_is_said_and_the_text_is_kept(
    house: House, open_page: Callable[..., Page]
) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")
    page.locator("#body").fill("Still mine")
    cookies = [c for c in page.context.cookies() if not c["name"].startswith("sessionid")]
    page.context.clear_cookies()
    page.context.add_cookies(cookies)  # type: ignore[arg-type]

    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.locator("#toasts")).to_contain_text("You are signed out.")
    expect(page.locator("#body")).to_have_value("Still mine")


def test_list_refreshes_itself_and_walks_by_keys(house: House, open_page: Callable[..., Page]) -> None:
    page = open_page(house.agent, "/queue/teams/")
    expect(page.locator("#queue-live")).to_contain_text("Your teams hold nothing")

    ticket = house.open(subject="Fresh from the portal")

    expect(page.locator("#queue-live")).to_contain_text("Fresh from the portal")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/t/{ticket.pk}/")


def test_what_happens_while_the_ticket_is_being_fetched_is_fetched_too(
    house: House, open_page: Callable[..., Page]
) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/")
    # A slow line: the answer to the first fetch is made now and comes late.
    held: list[tuple[Route, APIResponse]] = []
    page.route(
        f"**/t/{ticket.pk}/live/**",
        lambda route: route.continue_() if held else held.append((route, route.fetch())),
    )
    add_note(ticket_id=ticket.pk, body="The first.", actor=house.lead, now=database_now())
    for _ in range(80):
        page.wait_for_timeout(100)
        if held:
            break
    route, answer = held[0]
    assert "The first." in answer.text()

    add_note(ticket_id=ticket.pk, body="The second.", actor=house.lead, now=database_now())
    # Long enough for the stream to bring it and for the page to want it.
    page.wait_for_timeout(2000)
    route.fulfill(response=answer)

    expect(page.locator("#conversation")).to_contain_text("The second.")


def test_theme_follows_the_system_until_somebody_chooses(
    house: House, open_page: Callable[..., Page]
) -> None:
    page = open_page(house.agent, "/queue/", color_scheme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "dark")

    page.locator("summary", has_text="your menu").click()
    page.get_by_role("button", name="Light").click()
    expect(root).to_have_attribute("data-bs-theme", "light")
    answer = page.reload()

    assert answer is not None
    assert '<html lang="en" data-bs-theme="light" data-theme-choice="light">' in answer.text()
    expect(root).to_have_attribute("data-bs-theme", "light")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 390)])
def test_the_reasons_open_over_the_ticket_by_keyboard(
    house: House,
    open_page: Callable[..., Page],
    axe: Callable[[Page], None],
    scheme: str,
    width: int,
) -> None:
    ticket = house.open()
    escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
    page = open_page(
        house.agent, f"/t/{ticket.pk}/", color_scheme=scheme, viewport={"width": width, "height": 844}
    )
    link = page.get_by_role("link", name="Why these deadlines")
    link.focus()
    page.keyboard.press("Enter")

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("acknowledge within 10 min")
    expect(dialog).to_contain_text("It climbs to Core network;")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()

    page.goto(f"/t/{ticket.pk}/why/")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_the_reasons_are_a_page_of_their_own(
    house: House,
    open_page: Callable[..., Page],
) -> None:
    ticket = house.open()
    page = open_page(house.agent, f"/t/{ticket.pk}/", java_script_enabled=False)
    page.get_by_role("link", name="Why these deadlines").click()
    expect(page.get_by_role("heading", name="Why these deadlines")).to_be_visible()
    expect(page.locator("main")).to_contain_text("work within 30 min")
    page.get_by_role("link", name="Back to the ticket").click()
    expect(page.get_by_role("heading", name="Clocks")).to_be_visible()


def test_axe_finds_nothing_serious_and_nothing_is_cut_off(
    house: House, open_page: Callable[..., Page], axe: Callable[..., None]
) -> None:
    ticket = house.open()
    house.open(subject="Long " * 50, severity=1)
    add_note(ticket_id=ticket.pk, body="A note.", actor=house.agent, now=database_now())
    page = open_page(house.lead, "/queue/open/")

    def check() -> None:
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            axe(page, both_schemes=width == 1280)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (page.url, width)

    check()
    page.goto(f"/t/{ticket.pk}/escalate/")
    check()
    page.get_by_label("Why now?").fill("L2 must look.")
    page.get_by_role("button", name="Escalate").click()
    expect(page.locator(".rung.now")).to_contain_text("L2")
    check()
    page.locator("#composer label", has_text="Handoff").click()
    check()
    page.locator("#subject").click()
    page.keyboard.press("e")
    expect(page.get_by_role("dialog")).to_be_visible()
    check()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    check()
    for path in (
        f"/t/{ticket.pk}/?timeline=whole",
        f"/t/{ticket.pk}/details/",
        f"/t/{ticket.pk}/severity/",
        f"/t/{ticket.pk}/status/",
        f"/t/{ticket.pk}/assign/",
        "/queue/mine/",
        "/new/",
        "/t/99999999/",
        "/account/2fa/",
        "/account/password/change/",
        "/sign-out/",
    ):
        page.goto(path)
        check()
    page.context.clear_cookies()
    for path in ("/sign-in/", "/account/password/reset/"):
        page.goto(path)
        check()

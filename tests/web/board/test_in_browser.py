"""The board in a real browser: it moves, it is usable without its script, and for everybody."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.db import database_now
from escalation.models import Standing
from escalation.operations import acknowledge, record_doubts
from tests.browser_fixtures import Live
from tests.web.board.world import HOUR, MINUTE, House, build_house
from tickets.operations import change_status

# Before the browser: the database must be set up while no event loop runs in this thread.
pytestmark = pytest.mark.usefixtures("live")
SignIn = Callable[[Any, Any], None]


@pytest.fixture(scope="module")
def houses() -> dict[str, House]:
    return {}


@pytest.fixture
def house(live: Live, houses: dict[str, House]) -> House:
    """One house for all of these tests: each looks at its own tickets only."""
    if "one" not in houses:
        houses["one"] = build_house()
    return houses["one"]


def opened(page: Page, house: House, sign_in: SignIn, query: str = "") -> Page:
    """Open the board, narrowed to nothing but what `query` says, and wait until its stream is up."""
    sign_in(page, house.lead)
    with page.expect_response(lambda reply: "/live/" in reply.url):
        page.goto(f"/board/{query}")
    return page


def middle(page: Page, chip: str) -> dict[str, float]:
    box = page.locator(chip).bounding_box()
    assert box is not None
    return {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}


def test_a_new_ticket_appears_and_a_solved_one_goes_without_a_reload(
    page: Page, house: House, sign_in: SignIn
) -> None:
    opened(page, house, sign_in)
    page.evaluate("window.sameDocument = true")

    ticket = house.open("Badge reader dead", left=20 * MINUTE)
    chip = page.locator(f"#c{ticket.pk}")
    expect(chip).to_be_visible(timeout=4000)
    expect(page.locator(".lane[data-tier='1'] .chips")).to_contain_text("Badge reader dead")

    change_status(ticket_id=ticket.pk, status="resolved", actor=house.agent, now=database_now())
    expect(chip).to_have_count(0, timeout=4000)
    assert page.evaluate("window.sameDocument")


def test_a_climb_moves_the_chip_into_the_lane_above_without_a_reload(
    page: Page, house: House, sign_in: SignIn
) -> None:
    ticket = house.open("Citrix logon slow", left=15 * MINUTE)
    opened(page, house, sign_in)
    chip = page.locator(f"#c{ticket.pk}")
    expect(page.locator(".lane[data-tier='1']").locator(f"#c{ticket.pk}")).to_be_visible()
    before = middle(page, f"#c{ticket.pk}")
    page.evaluate(f"window.theChip = document.getElementById('c{ticket.pk}')")

    house.climb(ticket, 2, taken=False, left=12 * HOUR)

    expect(page.locator(".lane[data-tier='2']").locator(f"#c{ticket.pk}")).to_be_visible(timeout=4000)
    # The very same element: that is what lets its way be seen.
    assert page.evaluate(f"window.theChip === document.getElementById('c{ticket.pk}')")
    assert middle(page, f"#c{ticket.pk}")["y"] < before["y"] - 50
    expect(chip).to_have_class(re.compile(r"\bun\b"))
    expect(chip).to_contain_text("told 2")
    expect(page.locator("#board-said")).to_contain_text("climbed to L2")

    acknowledge(
        ticket_id=ticket.pk,
        seen_seq=Standing.objects.get(ticket=ticket).seq,
        actor=house.lead,
        now=database_now(),
    )
    expect(chip).to_have_count(0, timeout=4000)  # taken, and with twelve hours left far from the edge


def test_the_climb_is_animated_unless_motion_is_unwanted(page: Page, house: House, sign_in: SignIn) -> None:
    page.emulate_media(reduced_motion="no-preference")
    ticket = house.open("Core switch down", left=15 * MINUTE)
    opened(page, house, sign_in)
    page.evaluate(
        """(id) => { window.animated = []; const chip = document.getElementById(id); const own = chip.animate;
            chip.animate = function (...all) { window.animated.push(all); return own.apply(this, all); }; }""",
        f"c{ticket.pk}",
    )
    house.climb(ticket, 2, left=14 * MINUTE)
    expect(page.locator(".lane[data-tier='2']").locator(f"#c{ticket.pk}")).to_be_visible(timeout=4000)
    assert page.evaluate("window.animated.length") == 1


def test_chips_drift_towards_the_edge_by_time_alone(page: Page, house: House, sign_in: SignIn) -> None:
    ticket = house.open("Drifting", left=6 * MINUTE)
    page.clock.install()
    opened(page, house, sign_in)
    page.route("**/board/part/**", lambda route: route.abort())
    before = middle(page, f"#c{ticket.pk}")
    label = page.locator(f"#c{ticket.pk} em")
    expect(label).to_have_text(re.compile(r"^[56] min$"))
    page.clock.fast_forward(180_000)
    expect(label).to_have_text(re.compile(r"^[23] min$"))
    assert middle(page, f"#c{ticket.pk}")["x"] > before["x"] + 20


def test_chips_do_not_cover_each_other(page: Page, house: House, sign_in: SignIn) -> None:
    for number in range(14):
        house.open(f"Crowd {number}", left=(20 + number) * MINUTE, severity=2)
    opened(page, house, sign_in, "?severity=2")
    boxes = page.evaluate(
        """[...document.querySelectorAll('.chip:not(.over)')].map((chip) => {
            const { left, right, top, bottom } = chip.getBoundingClientRect();
            return [left, right, top, bottom]; })"""
    )
    assert len(boxes) >= 14
    for place, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top


def test_taking_from_the_board_needs_one_press(page: Page, house: House, sign_in: SignIn) -> None:
    ticket = house.climb(house.open("Payments down", severity=1), 2, taken=False, left=12 * HOUR)
    opened(page, house, sign_in, "?severity=1")
    page.locator(f"#take-{ticket.pk}").click()
    expect(page.locator("#toasts")).to_contain_text(f"You took #{ticket.pk}.")
    expect(page.locator(f"#take-{ticket.pk}")).to_have_count(0)
    ticket.refresh_from_db()
    assert ticket.assignee == house.lead


def test_the_card_comes_with_the_keyboard_and_goes_with_escape(
    page: Page, house: House, sign_in: SignIn
) -> None:
    ticket = house.climb(house.open("VPN drops"), 3, left=30 * MINUTE)
    opened(page, house, sign_in)
    page.keyboard.press("Tab")
    page.locator(f"#c{ticket.pk} a").focus()
    card = page.locator("#board-card")
    expect(card).to_be_visible()
    expect(card).to_contain_text("Look at the core")
    expect(page.locator(f"#c{ticket.pk} a")).to_have_attribute("aria-describedby", "board-card")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


def test_focus_stays_on_a_chip_that_climbs(page: Page, house: House, sign_in: SignIn) -> None:
    ticket = house.open("Mail delay", left=15 * MINUTE)
    opened(page, house, sign_in)
    page.locator(f"#c{ticket.pk} a").focus()
    house.climb(ticket, 2, left=14 * MINUTE)
    expect(page.locator(".lane[data-tier='2']").locator(f"#c{ticket.pk}")).to_be_visible(timeout=4000)
    expect(page.locator(f"#c{ticket.pk} a")).to_be_focused()


def test_a_filter_applies_at_once_and_stands_in_the_address(
    page: Page, house: House, sign_in: SignIn
) -> None:
    low = house.open("Low one", severity=4)
    opened(page, house, sign_in)
    page.get_by_label("Severity").select_option("4")
    page.wait_for_url("**/board/?severity=4")
    expect(page.locator(f"#c{low.pk}")).to_be_visible()


def test_the_table_is_live_too(page: Page, house: House, sign_in: SignIn) -> None:
    opened(page, house, sign_in, "?view=table")
    ticket = house.open("Into the table", left=9 * MINUTE)
    expect(page.locator(f"#r{ticket.pk}")).to_contain_text("Into the table", timeout=4000)


def test_the_server_gone_is_said_quietly_and_the_board_comes_back(
    page: Page, house: House, sign_in: SignIn
) -> None:
    opened(page, house, sign_in)
    ticket = house.open("Seen at last", left=25 * MINUTE)
    expect(page.locator(f"#c{ticket.pk}")).to_be_visible(timeout=4000)
    # The stream breaks as it does when the server goes: the next answers are refused.
    page.route("**/live/**", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('online'))")
    expect(page.locator("#live-hint")).to_contain_text("Offline", timeout=8000)
    missed = house.open("Missed meanwhile", left=26 * MINUTE)
    page.unroute("**/live/**")
    expect(page.locator("#live-hint")).to_have_count(0, timeout=15000)
    expect(page.locator(f"#c{missed.pk}")).to_be_visible(timeout=4000)


@pytest.mark.parametrize("query", ["", "?view=table", "?view=wall"])
def test_axe_finds_nothing_serious(
    page: Page, house: House, sign_in: SignIn, axe: Callable[[Any], None], query: str
) -> None:
    house.climb(house.open("Not taken yet", severity=2), 2, taken=False, left=12 * HOUR)
    opened(page, house, sign_in, query)
    axe(page)


def test_a_lead_goes_from_the_board_to_what_is_doubtful_about_the_paths(
    page: Page, house: House, sign_in: SignIn, axe: Callable[[Any], None]
) -> None:
    record_doubts(now=database_now())
    opened(page, house, sign_in)
    page.get_by_role("link", name="about the paths in force").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Doubts about the paths in force")).to_be_visible()
    # Nobody has been written to yet in this house.
    expect(page.locator("main")).to_contain_text(f"The fallback “{house.lead.name}” has no proven method")
    axe(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_on_a_phone_nothing_is_cut_off_and_lanes_are_lists(page: Page, house: House, sign_in: SignIn) -> None:
    ticket = house.open("Small screen", left=3 * MINUTE)
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, house, sign_in)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(f"#c{ticket.pk} a").bounding_box()
    assert box is not None
    assert box["width"] > 300
    assert box["height"] >= 40


def test_without_the_script_the_board_is_usable(
    browser: Any, house: House, live: Live, sign_in: SignIn
) -> None:
    ticket = house.climb(house.open("No script", severity=1), 2, taken=False, left=12 * HOUR)
    near, far = house.open("Near", left=5 * MINUTE, severity=1), house.open("Away", left=4 * HOUR, severity=1)
    context = browser.new_context(java_script_enabled=False, base_url=live.url)
    page = context.new_page()
    sign_in(page, house.lead)
    page.goto("/board/?severity=1")
    assert middle(page, f"#c{near.pk}")["x"] > middle(page, f"#c{far.pk}")["x"] + 200
    page.locator(f"#take-{ticket.pk}").click()
    expect(page.locator("#toasts")).to_contain_text(f"You took #{ticket.pk}.")
    assert page.url.endswith("/board/?severity=1")
    page.get_by_label("Severity").select_option("4")
    page.get_by_role("button", name="Show").click()
    assert "severity=4" in page.url
    context.close()


def test_the_board_has_nothing_that_the_policy_refuses(page: Page, house: House, sign_in: SignIn) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: refused.append(str(error)))
    opened(page, house, sign_in)
    page.locator(".chip a").first.hover()
    page.wait_for_timeout(600)
    assert refused == []

"""The OpenAPI document and its page."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

from helpdesk import environment
from tests.browser_fixtures import Live

COMMITTED = environment.BASE_DIR / "docs/openapi.yaml"


def test_the_committed_document_is_the_present_one_and_has_no_warnings(tmp_path: Path) -> None:
    fresh = tmp_path / "openapi.yaml"

    call_command("spectacular", file=str(fresh), validate=True, fail_on_warn=True, stderr=StringIO())

    assert fresh.read_text() == COMMITTED.read_text(), "run: manage.py spectacular --file docs/openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(COMMITTED.read_text(), yaml.CSafeLoader)
    return loaded


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_every_operation_says_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert operation["summary"], operation["operationId"]
        assert operation["tags"], operation["operationId"]
        assert "429" in operation["responses"]
        failures = {status for status in operation["responses"] if status >= "400"}
        assert all(
            parameter.get("description")
            for parameter in operation.get("parameters", ())
            if parameter["in"] != "path"
        )
        for status in failures:
            assert set(operation["responses"][status]["content"]) == {"application/problem+json"}
            assert operation["responses"][status]["description"]


def test_enums_have_names_people_chose(document: dict[str, Any]) -> None:
    enums = {name for name, schema in document["components"]["schemas"].items() if "enum" in schema}

    assert {"Status", "Severity", "Tier", "ClockKind", "EscalationTrigger"} <= enums
    assert not {name for name in enums if name.endswith("Enum")} - {"NullEnum", "BlankEnum"}


def test_what_people_outside_do_not_get_is_required_of_no_answer(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, internal in (
        ("Ticket", {"seq", "tags", "next_due_at"}),
        ("Person", {"email"}),
        ("Service", {"team"}),
    ):
        assert internal <= set(schemas[name]["properties"])
        assert not internal & set(schemas[name]["required"])
    assert "ladder" not in schemas["TicketDetail"]["required"]


def test_durations_say_that_they_are_seconds(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for schema in ("Cell", "Promise", "Clock", "Rung", "Escalation"):
        for name, field in schemas[schema]["properties"].items():
            if name.endswith("_seconds"):
                assert field["type"] == "number", (schema, name)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("*/*", "application/vnd.oai.openapi"),
    ],
)
def test_the_document_is_served_to_all(accept: str, kind: str, db: None) -> None:
    response = Client().get("/api/v1/schema/", headers={"Accept": accept})

    assert response.status_code == 200
    assert response["Content-Type"].startswith(kind)
    assert b"/api/v1/tickets/" in response.content


def test_the_page_shows_every_operation_under_the_strict_policy(
    live: Live, page: Any, document: dict[str, Any]
) -> None:
    # given
    complaints: list[str] = []
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))

    # when
    answer = page.goto("/api/v1/docs/")
    page.wait_for_selector(".opblock-tag")
    for tag in page.locator(".opblock-tag").all():
        if tag.get_attribute("data-is-open") == "false":
            tag.click()
    page.wait_for_function(f"document.querySelectorAll('.opblock').length === {len(operations(document))}")
    page.locator("#operations-tickets-open_ticket .opblock-summary-control").click()
    page.locator("#operations-tickets-open_ticket .execute").click()
    page.wait_for_selector("#operations-tickets-open_ticket .live-responses-table .response")

    # then: no style or script had to be let in, and trying it out reaches the API
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "nonce" not in policy
    assert "401" in page.locator("#operations-tickets-open_ticket .live-responses-table").inner_text()
    assert [line for line in complaints if "401" not in line] == []

    # and so in the dark
    assert page.locator("html.dark-mode").count() == 0
    complaints.clear()
    page.emulate_media(color_scheme="dark")
    page.goto("about:blank")
    page.goto("/api/v1/docs/")
    page.wait_for_selector(".opblock-tag")
    assert page.locator("html.dark-mode").count() == 1
    assert complaints == []

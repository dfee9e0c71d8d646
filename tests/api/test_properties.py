"""schemathesis asks the API whatever its document allows, and what it doesn't: no answer may be our fault."""

import contextlib
import io
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from knox.models import AuthToken
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.models import User
from api.views.docs import openapi
from escalation.operations import escalate, request_escalation, send_back
from tests.api.conftest import World, build_world
from tickets.models import Status
from tickets.operations import Upload, add_note, change_status, declare_major

# What the document allows, and what it doesn't.
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
# Whose body has one field that need not be there: chance adds others, which are refused.
ALONE = {"pass-on"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def _verb(operation: Any) -> str:
    """Return the last part of an address: what is done with the row."""
    verb: str = operation.path.strip("/").split("/")[-1]
    return verb


@dataclass
class Probe:
    """What one run asks of the API: at most `examples` times each operation, for `seconds` of this process's work.

    Work, not time: the server runs in this process, and a busy machine is no reason to ask less.
    """

    world: World
    url: str
    examples: int
    seconds: float
    derandomize: bool
    # When the operation being asked has used up its share.
    until: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        # (operation, status) -> how often.
        self.answers: Counter[tuple[str, int]] = Counter()
        house = self.world.house
        ticket = self.ticket()
        upload = Upload("log.txt", io.BytesIO(b"log"))
        note = add_note(ticket_id=ticket, body="Log", actor=house.agent, now=house.now, uploads=[upload])
        assert house.path is not None
        self.rows = {
            "tickets": ticket,
            "escalation-requests": self.wish(),
            "attachments": note.attachments.get().pk,
            "paths": house.path.path_id,
            "teams": house.desk.pk,
            "services": self.world.service.pk,
            "categories": self.world.category.pk,
            "organisations": self.world.stranger.organisation_id,
        }

    def ticket(self) -> int:
        house = self.world.house
        ticket = house.open()
        escalate(ticket_id=ticket.pk, seen_seq=0, actor=house.agent, now=house.now, reason="Rights")
        return ticket.pk

    def wish(self) -> int:
        house = self.world.house
        ticket = house.open()
        return request_escalation(ticket_id=ticket.pk, actor=house.requester, reason="Soon", now=house.now).pk

    def asked(self) -> int:
        """Return a ticket whose sender was asked what is missing."""
        ticket, house = self.ticket(), self.world.house
        send_back(ticket_id=ticket, seen_seq=1, actor=house.lead, now=house.now, question="Which?")
        return ticket

    def major(self) -> int:
        ticket, house = self.ticket(), self.world.house
        declare_major(ticket_id=ticket, actor=house.lead, now=house.now)
        return ticket

    def over(self) -> int:
        """Return a major incident that is resolved."""
        ticket, house = self.major(), self.world.house
        change_status(ticket_id=ticket, status=Status.RESOLVED, actor=house.lead, now=house.now)
        return ticket

    def row(self, operation: Any) -> int | None:
        """Return the id of a row that is there; a fresh one where earlier verbs may have closed it."""
        place = operation.path.removeprefix("/api/v1/").split("/")[0]
        fresh = {"tickets": self.ticket, "escalation-requests": self.wish}
        ready = {"answer": self.asked, "resolve-linked": self.over}
        if operation.method in {"post", "patch"} and place in fresh:
            return ready.get(_verb(operation), fresh[place])()
        return self.rows.get(place)

    def askers(self) -> tuple[User, ...]:
        """Return who asks: the second line's agent is told of what climbs."""
        house = self.world.house
        return house.lead, house.agent, house.requester, house.second

    def known(self, operation: Any) -> dict[str, Any]:
        """Return the values of a body that chance doesn't hit upon."""
        wanted: dict[str, Callable[[], dict[str, Any]]] = {
            "consult": lambda: {"to_position": 4},
            "merge": lambda: {"tickets": [self.ticket()]},
            "link": lambda: {"incident": self.major()},
            "handoff": lambda: {"impact": "46 people"},
            "pass-on": lambda: {"seq": 1},
        }
        return wanted.get(_verb(operation), dict)()

    def ask(self, operation: Any, mode: GenerationMode) -> None:
        """Ask one operation. Raises what a check found."""
        row = self.row(operation) if "{id}" in operation.path else None
        known = self.known(operation) if row is not None and mode == GenerationMode.POSITIVE else {}
        # Tokens of its own, as signing out ends them.
        tokens = [AuthToken.objects.create(user)[1] for user in self.askers()]

        @settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            derandomize=self.derandomize,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=operation.as_strategy(generation_mode=mode),
            who=st.integers(0, len(tokens) - 1),
            real=st.booleans(),
        )
        def one(case: Any, who: int, real: bool) -> None:
            if time.process_time() > self.until:
                return
            if real and row is not None:
                case.path_parameters["id"] = row
                if known and _verb(operation) in ALONE:
                    case.body = dict(known)
                elif isinstance(case.body, dict):
                    case.body |= known
                    if "seq" in case.body and mode == GenerationMode.POSITIVE:
                        case.body["seq"] = 1
            headers = {"Authorization": f"Token {tokens[who]}"}
            response = case.call(base_url=self.url, headers=headers, timeout=30)
            self.answers[operation.label, response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        # Nothing can be wrong about a request without parameters and body.
        with contextlib.suppress(Unsatisfiable):
            one()

    def run(self) -> None:
        """Ask every operation. Fails with all that was found, not only the first."""
        schema = schemathesis.openapi.from_dict(openapi())
        operations = [result.ok() for result in schema.get_all_operations()]
        found = []
        # From here on: to write the document takes as long as to ask a dozen operations.
        began = time.process_time()
        for number, operation in enumerate(operations, start=1):
            # Each has its share, and what those before have left: one that is hard to make up starves no other.
            self.until = began + self.seconds * number / len(operations)
            try:
                for mode in MODES:
                    if time.process_time() < self.until:
                        self.ask(operation, mode)
            except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 told together at the end
                found.append(f"{operation.label}: {error}")
        assert not found, "\n\n".join(found)

    def succeeded(self) -> set[str]:
        """Return the operations that were carried out at least once: refusals alone would prove little."""
        return {label for label, status in self.answers if status < 300}


@pytest.fixture
def world(transactional_db: None, tmp_path: Path, settings: Any) -> World:
    settings.MEDIA_ROOT = tmp_path
    return build_world()


def test_no_answer_is_our_fault(world: World, live_server: Any) -> None:
    probe = Probe(world, live_server.url, examples=2, seconds=12, derandomize=True)

    probe.run()

    # Work costs several times as much on a crowded machine.
    assert sum(probe.answers.values()) > 30
    assert len(probe.succeeded()) > 5


@pytest.mark.slow
def test_no_answer_is_our_fault_however_long_one_asks(world: World, live_server: Any) -> None:
    probe = Probe(world, live_server.url, examples=100, seconds=600, derandomize=False)

    probe.run()

    operations = {label for label, _ in probe.answers}
    assert len(operations) > 40
    # Signing in wants a password nobody guesses, a foreign token's key is one.
    assert operations - probe.succeeded() <= {
        "POST /api/v1/auth/token/",
        "DELETE /api/v1/auth/tokens/{token_key}/",
    }

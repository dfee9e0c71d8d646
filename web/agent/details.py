"""Change what a ticket is: owner and team, severity, status, details, tags; a small form each."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.views.decorators.http import require_http_methods

from accounts.models import Organisation, Team, User
from accounts.rules import Verb
from core.db import database_now
from core.errors import Refused
from tickets.models import Category, Complexity, Impact, Service, Severity, Status, Ticket, Urgency
from tickets.operations import add_tags, assign_ticket, change_status, remove_tags, set_details, set_severity
from tickets.rules import may_follow
from tickets.timeline import working
from web.agent.filters import agent_choices, team_choices
from web.agent.ticket import fetch_ticket
from web.agent.verbs import render_sheet, submit
from web.doors import number_in
from web.shell import SignedIn, may


def _sheet(
    request: Any,
    pk: int,
    template: str,
    choices: Callable[[Ticket], dict[str, Any]],
    operation: Callable[[Ticket], None],
    text: str,
) -> HttpResponse:
    """Show a form on GET; on POST run its operation and show it again if that is declined."""
    ticket, _ = fetch_ticket(request.user, pk)

    def form(error: Refused | None = None) -> HttpResponse:
        context = {
            **choices(ticket),
            "kept": request.POST,
            "reason": request.POST.get("reason", ""),
            "error": error,
        }
        return render_sheet(request, template, ticket, context)

    if request.method == "GET":
        return form()
    return submit(request, ticket, lambda: operation(ticket), form, text)


@require_http_methods(["GET", "POST"])
@may(Verb.WORK)
def assign(request: SignedIn, pk: int) -> HttpResponse:
    """Give the ticket to a person, a team or both."""

    def choices(ticket: Ticket) -> dict[str, Any]:
        return {
            "people": agent_choices(),
            "teams": team_choices(),
            "chosen_person": request.POST.get("assignee", str(ticket.assignee_id or "")),
            "chosen_team": request.POST.get("team", str(ticket.team_id or "")),
        }

    def operation(ticket: Ticket) -> None:
        assign_ticket(
            ticket_id=ticket.pk,
            assignee=picked(User, request.POST.get("assignee", ""), "assignee"),
            team=picked(Team, request.POST.get("team", ""), "team"),
            actor=request.user,
            now=database_now(),
            reason=request.POST.get("reason", ""),
        )

    return _sheet(request, pk, "desk/assign.html", choices, operation, f"#{pk}: owner and team are set.")


@require_http_methods(["GET", "POST"])
@may(Verb.WORK)
def severity(request: SignedIn, pk: int) -> HttpResponse:
    """Override the severity, with a reason."""

    def choices(ticket: Ticket) -> dict[str, Any]:
        return {"severities": Severity.choices, "chosen": request.POST.get("severity", str(ticket.severity))}

    def operation(ticket: Ticket) -> None:
        set_severity(
            ticket_id=ticket.pk,
            severity=number_in(request.POST, "severity"),
            actor=request.user,
            now=database_now(),
            reason=request.POST.get("reason", ""),
        )

    return _sheet(request, pk, "desk/severity.html", choices, operation, f"#{pk}: severity is set.")


@require_http_methods(["GET", "POST"])
@may(Verb.WORK)
def status(request: SignedIn, pk: int) -> HttpResponse:
    """Set the status; on hold asks for a reason, waiting for a reply before."""

    def choices(ticket: Ticket) -> dict[str, Any]:
        offered = [(value, label) for value, label in Status.choices if may_follow(ticket.status, value)]
        return {"statuses": offered, "chosen": request.POST.get("status", "")}

    def operation(ticket: Ticket) -> None:
        change_status(
            ticket_id=ticket.pk,
            status=request.POST.get("status", ""),
            actor=request.user,
            now=database_now(),
            reason=request.POST.get("reason", ""),
        )

    return _sheet(request, pk, "desk/status.html", choices, operation, f"#{pk}: status is set.")


@require_http_methods(["GET", "POST"])
@may(Verb.WORK)
def details(request: SignedIn, pk: int) -> HttpResponse:
    """Change subject, service, category, organisation, impact, urgency and complexity in one go."""

    def choices(ticket: Ticket) -> dict[str, Any]:
        def now_or_sent(name: str, value: object) -> str:
            return request.POST.get(name, str(value or ""))

        return {
            "subject": request.POST.get("subject", ticket.subject),
            "selects": [
                (
                    "service",
                    "Service",
                    _names(Service.objects.filter(Q(is_active=True) | Q(pk=ticket.service_id))),
                    now_or_sent("service", ticket.service_id),
                    True,
                ),
                (
                    "category",
                    "Category",
                    _names(Category.objects.filter(Q(is_active=True) | Q(pk=ticket.category_id))),
                    now_or_sent("category", ticket.category_id),
                    True,
                ),
                (
                    "organisation",
                    "Organisation",
                    _names(Organisation.objects.all()),
                    now_or_sent("organisation", ticket.organisation_id),
                    True,
                ),
                ("impact", "Impact", _texts(Impact.choices), now_or_sent("impact", ticket.impact), False),
                (
                    "urgency",
                    "Urgency",
                    _texts(Urgency.choices),
                    now_or_sent("urgency", ticket.urgency),
                    False,
                ),
                (
                    "complexity",
                    "Complexity",
                    _texts(Complexity.choices),
                    now_or_sent("complexity", ticket.complexity),
                    False,
                ),
            ],
        }

    def operation(ticket: Ticket) -> None:
        set_details(
            ticket_id=ticket.pk,
            changes={
                "subject": request.POST.get("subject", ""),
                "service": picked(Service, request.POST.get("service", ""), "service"),
                "category": picked(Category, request.POST.get("category", ""), "category"),
                "organisation": picked(Organisation, request.POST.get("organisation", ""), "organisation"),
                "impact": choice_of(Impact, request.POST, "impact"),
                "urgency": choice_of(Urgency, request.POST, "urgency"),
                "complexity": choice_of(Complexity, request.POST, "complexity"),
            },
            actor=request.user,
            now=database_now(),
        )

    return _sheet(request, pk, "desk/details.html", choices, operation, f"#{pk}: details are saved.")


@require_http_methods(["GET", "POST"])
@may(Verb.WORK)
def tags(request: SignedIn, pk: int) -> HttpResponse:
    """Set the tags as one list; what is new is added, what is gone is removed."""

    def choices(ticket: Ticket) -> dict[str, Any]:
        return {"tags": request.POST.get("tags", ", ".join(ticket.tags))}

    def operation(ticket: Ticket) -> None:
        wanted = {
            "-".join(tag.lower().split()) for tag in request.POST.get("tags", "").split(",") if tag.strip()
        }
        before = set(ticket.tags)
        with working():
            if wanted - before:
                add_tags(ticket_ids=[ticket.pk], tags=wanted - before, actor=request.user, now=database_now())
            if before - wanted:
                remove_tags(
                    ticket_ids=[ticket.pk], tags=before - wanted, actor=request.user, now=database_now()
                )

    return _sheet(request, pk, "desk/tags.html", choices, operation, f"#{pk}: tags are saved.")


def _names(rows: Any) -> list[tuple[str, str]]:
    return [(str(row.pk), row.name) for row in rows.order_by("name")]


def _texts(choices: Any) -> list[tuple[str, str]]:
    return [(str(value), str(label)) for value, label in choices]


def choice_of(kind: Any, data: Any, name: str) -> int:
    value = number_in(data, name)
    if value not in kind.values:
        raise Refused(f"“{value}” is no {name}.", field=name, value=value, mend="Pick one of the list.")
    return value


def picked(model: Any, text: str, field: str) -> Any:
    """Return the row that a select names, None for its empty choice. Raises Refused."""
    if not text:
        return None
    row = (
        model.objects.filter(pk=int(text)).first()
        if text.isascii() and text.isdigit() and len(text) < 19
        else None
    )
    if row is None:
        raise Refused(
            f"That {field} is gone.", field=field, value=text, mend="Reload the page and pick another."
        )
    return row

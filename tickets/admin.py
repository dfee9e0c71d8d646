"""The catalogue to edit; tickets, their timelines and seals to look at."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.html import format_html

from accounts.models import Role, Team, User
from core.admin import BelayAdmin, ReadOnlyAdmin, Section, put_refusal
from core.errors import Refused
from core.panels import register_panel
from tickets.models import Category, Event, Impact, Seal, Service, Severity, SeverityCell, Ticket, Urgency
from tickets.operations.matrix import CELLS, set_severity_matrix
from tickets.queries import severity_matrix
from tickets.rules import proposed_severity

CATALOGUE = Section(30, "Catalogue")
AT_WORK = Section(60, "At work (read only)")
RECORDS = Section(70, "Records (read only)")

# As many events as a page holds; the whole timeline is on the ticket's own page.
NEWEST_EVENTS = 100
OPEN_CAP = 1_000


@admin.register(Category)
class CategoryAdmin(BelayAdmin):
    """Categories: switched off, not deleted, since tickets name them."""

    section = CATALOGUE
    section_order = 20
    list_display = ("name", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    ordering = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Service)
class ServiceAdmin(BelayAdmin):
    """The services tickets are about: switched off, not deleted."""

    section = CATALOGUE
    section_order = 10
    panel_place = "tickets.service"
    list_display = ("name", "criticality", "team", "owner", "is_active")
    list_filter = ("criticality", "is_active", "team")
    list_select_related = ("team", "owner")
    search_fields = ("name", "description")
    ordering = ("name",)
    fields = ("name", "description", "criticality", "team", "owner", "is_active")

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer active teams, and the people who work tickets."""
        if db_field.name == "owner":
            people = User.objects.filter(is_active=True).exclude(role=Role.REQUESTER)
            kwargs["queryset"] = people.order_by("name", "pk")
        elif db_field.name == "team":
            kwargs["queryset"] = Team.objects.filter(is_active=True).order_by("tier", "name")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MatrixForm(forms.Form):
    """The severity matrix as one form: impact down, urgency across."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for impact, urgency in CELLS:
            label = f"{Impact(impact).label} impact, {Urgency(urgency).label.lower()} urgency"
            self.fields[f"cell_{impact}_{urgency}"] = forms.TypedChoiceField(
                choices=Severity.choices,
                coerce=int,
                label=label,
                widget=forms.Select(attrs={"aria-label": label}),
            )

    def rows(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the grid: each impact's label with its cells."""
        return [
            (str(impact.label), [self[f"cell_{int(impact)}_{int(urgency)}"] for urgency in Urgency])
            for impact in Impact
        ]


@admin.register(SeverityCell)
class SeverityMatrixAdmin(BelayAdmin):
    """The 3 x 3 grid that proposes a severity, on one page."""

    section = CATALOGUE
    section_order = 30

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Lead to the grid: a cell has no page of its own."""
        return redirect("admin:tickets_severitycell_changelist")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the grid, or save it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        known = severity_matrix()
        now = {(i, u): proposed_severity(known, i, u) for i, u in CELLS}
        form = MatrixForm(request.POST or None, initial={f"cell_{i}_{u}": s for (i, u), s in now.items()})
        if request.method == "POST" and form.is_valid():
            cells = {(i, u): form.cleaned_data[f"cell_{i}_{u}"] for i, u in CELLS}
            try:
                set_severity_matrix(cells=cells, actor=_actor(request))
            except Refused as refused:
                put_refusal(form, refused)
            else:
                changed = sum(cells[cell] != now[cell] for cell in CELLS)
                text = f"Saved: {changed} of 9 cells changed. Open tickets keep the severity they have."
                messages.success(request, text)
                return redirect("admin:tickets_severitycell_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": "Severity matrix",
            "opts": self.opts,
            "form": form,
            "urgencies": [urgency.label for urgency in Urgency],
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/belay/matrix.html", context)


@admin.register(Ticket)
class TicketAdmin(ReadOnlyAdmin):
    """Tickets as they stand; they are worked on the desk, where every change is on the timeline."""

    section = AT_WORK
    section_order = 10
    panel_place = "tickets.ticket"
    list_display = (
        "pk",
        "subject",
        "severity",
        "status",
        "team",
        "assignee",
        "next_due_at",
    )
    list_display_links = ("pk", "subject")
    list_filter = ("status", "severity", "tier", "source", "historic")
    list_select_related = ("team", "assignee")
    text_search = ("requester__email", "assignee__email", "source_key")
    search_help_text = "A ticket's number, or the exact address of its requester or owner."
    fields = (
        "page",
        "subject",
        "requester",
        "organisation",
        "category",
        "service",
        "source",
        "source_key",
        "impact",
        "urgency",
        "complexity",
        "severity",
        "severity_overridden",
        "status",
        "tier",
        "team",
        "assignee",
        "tags",
        "opened_at",
        "resolved_at",
        "closed_at",
        "reopened_count",
        "last_requester_at",
        "last_answer_at",
        "next_due_at",
        "tier_due_at",
        "tier_since",
        "unacknowledged_since",
        "set_aside_at",
        "merged_into",
        "is_major",
        "incident",
        "historic",
        "event_seq",
        "last_event_at",
        "event_hash",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch what the page of one ticket shows along with it."""
        rows = super().get_queryset(request)
        return rows.select_related(
            "requester",
            "organisation",
            "category",
            "service",
            "team",
            "assignee",
            "merged_into",
            "incident",
        )

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Put the timeline below what higher apps show."""
        answer = super().render_change_form(request, context, *args, **kwargs)
        ticket = context.get("original")
        if ticket is not None:
            answer.context_data["panels"] = [*context["panels"], ("Timeline", _timeline_panel(ticket))]
        return answer

    @admin.display(description="on the desk")
    def page(self, ticket: Any) -> Any:
        """Return a link to the ticket's own page."""
        return format_html('<a href="/t/{}/">Open #{} on the desk</a>', ticket.pk, ticket.pk)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The timeline, append-only in the database as well."""

    section = RECORDS
    section_order = 10
    list_display = ("pk", "ticket_number", "seq", "kind", "actor", "at")
    list_select_related = ("actor",)
    number_search = ("ticket_id",)
    search_help_text = "A ticket's number."
    fields = ("ticket", "seq", "kind", "actor", "at", "happened_at", "historic", "cause", "data", "hash")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the transaction id alone, which no form field knows."""
        return super().get_queryset(request).select_related("actor", "ticket").defer("x")

    @admin.display(description="ticket")
    def ticket_number(self, event: Any) -> Any:
        """Return a link to the ticket."""
        return format_html('<a href="../ticket/{}/change/">#{}</a>', event.ticket_id, event.ticket_id)


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    """The sealed log: what proves that no tail and no ticket is missing."""

    section = RECORDS
    section_order = 20
    list_display = ("number", "at", "heads", "hash")
    number_search = ("number",)
    search_help_text = "A seal's number."
    fields = ("number", "at", "upto", "heads", "hash")


def _actor(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _timeline_panel(ticket: Ticket) -> str:
    rows = Event.objects.filter(ticket=ticket).select_related("actor", "payload", "entry")
    events = list(rows.order_by("-seq")[: NEWEST_EVENTS + 1])
    context = {"events": events[:NEWEST_EVENTS], "more": len(events) > NEWEST_EVENTS, "cap": NEWEST_EVENTS}
    return render_to_string("admin/belay/timeline.html", context)


def _held_panel(user: User) -> str:
    held = Ticket.objects.open().filter(assignee=user).by_urgency()[:OPEN_CAP]
    return render_to_string("admin/belay/held.html", {"tickets": list(held), "user": user, "cap": OPEN_CAP})


register_panel("accounts.user", "Open tickets this person holds", _held_panel)

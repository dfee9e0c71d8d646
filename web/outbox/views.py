"""List the outbox, show one message, try dead letters again, call off what has not been sent."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from accounts.queries import scope_of
from accounts.rules import Verb
from core.errors import Refused
from notifications.models import Channel, Contact, Notification
from notifications.operations import cancel_notifications, retry_dead_letters
from web.doors import back_to, refused
from web.outbox.filters import Filters, visible_rows
from web.outbox.paging import WINDOW, page_of
from web.outbox.reading import read_message
from web.shell import SignedIn, arrive, capped, may
from web.wording import KINDS, name_of

State = Notification.State
DEAD_CAP = 99
# More ticked rows than a page has is no page of ours.
MOST_ROWS = 100
MOST_CARRIED = 50
REPORT = "outbox_report"
_STOPPABLE = (State.PENDING, State.SENDING, State.FOLDED)
# All that a row shows; what messages are rendered from is long.
_SHOWN = (
    "kind",
    "state",
    "channel",
    "address",
    "due_at",
    "attempts",
    "withdrawn_at",
    "answer",
    "contact__name",
    "user__name",
    "user__email",
    "ticket__subject",
)
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the list shows it."""

    message: Notification
    what: str
    state: str
    may_retry: bool
    may_cancel: bool

    @classmethod
    def of(cls, message: Notification) -> "Row":
        off = message.withdrawn_at is not None
        state = message.get_state_display()
        return cls(
            message=message,
            what=name_of(message.kind),
            state=f"{state}, called off" if off and message.state == State.SENDING else state,
            may_retry=message.state == State.DEAD,
            may_cancel=message.state in _STOPPABLE and not off,
        )

    @property
    def channel(self) -> str:
        known = self.message.channel in Channel.values
        return Channel(self.message.channel).label if known else self.message.channel

    @property
    def whom(self) -> str:
        return str(self.message.contact or self.message.user or "")


@require_safe
@never_cache
@may(Verb.LEAD)
def outbox(request: SignedIn) -> HttpResponse:
    """List messages, the newest first."""
    scope = scope_of(request.user, Verb.VIEW)
    now = arrive(request, scope)
    filters = Filters.read(request.GET)
    page = page_of(filters, filters.slow() & visible_rows(scope), request.GET)
    found = _with_names(page.ids)
    rows = [Row.of(found[pk]) for pk in page.ids if pk in found]
    dead = Notification.objects.filter(visible_rows(scope), state=State.DEAD).order_by("-pk")
    context = {
        "rows": rows,
        "may_act": any(row.may_retry or row.may_cancel for row in rows),
        "page": page,
        "window": WINDOW,
        "filters": filters,
        "kept": filters.as_params(),
        "narrowed": _narrowed(filters),
        "dead": capped(dead[: DEAD_CAP + 1].count(), DEAD_CAP),
        "states": State.choices,
        "channels": Channel.choices,
        "kinds": sorted(((kind, words.name) for kind, words in KINDS.items()), key=lambda pair: pair[1]),
        "report": request.session.pop(REPORT, None),
        "now": now,
        "section": "outbox",
    }
    return render(request, "outbox/outbox.html", context)


@require_safe
@never_cache
@may(Verb.LEAD)
def message(request: SignedIn, pk: int) -> HttpResponse:
    """Show one message with every attempt to send it, and how it would read now."""
    scope = scope_of(request.user, Verb.VIEW)
    now = arrive(request, scope)
    rows = Notification.objects.filter(visible_rows(scope), pk=pk)
    found = rows.select_related("contact", "user", "ticket", "method__provider").first()
    if found is None:
        raise Http404("no such message, or about a ticket that is not yours to see")
    carried = list(_named().filter(folded_into=found).order_by("pk")[: MOST_CARRIED + 1])
    context = {
        "row": Row.of(found),
        "deliveries": found.deliveries.order_by("at", "pk"),
        "carried": [Row.of(one) for one in carried[:MOST_CARRIED]],
        "more_carried": len(carried) > MOST_CARRIED,
        "reading": read_message(found),
        "report": request.session.pop(REPORT, None),
        "now": now,
        "section": "outbox",
    }
    return render(request, "outbox/message.html", context)


@require_POST
@may(Verb.LEAD)
def act(request: SignedIn) -> HttpResponse:
    """Try again or call off one message or those ticked, and report what became of each."""
    now = arrive(request)
    back = back_to(request, reverse("web:outbox"))
    try:
        done, ids = _asked(request)
        request.session[REPORT] = _carry_out(request.user, done, ids, now)
    except Refused as error:
        return refused(request, error, back)
    return redirect(back)


@dataclass(frozen=True, slots=True)
class Deed:
    """What may be done with messages: the operation, and the words for those it was done to."""

    operation: Callable[..., set[int]]
    words: str
    # Where there was nothing to do; the state in force is added.
    vain: str


_DEEDS = {
    "retry": Deed(retry_dead_letters, "is tried again now", "is no dead letter"),
    "cancel": Deed(cancel_notifications, "is called off", "can’t be called off"),
}


def _asked(request: SignedIn) -> tuple[Deed, list[int]]:
    """Return what a form asks for: a row's own button says the row, the others are about those ticked."""
    for name, deed in _DEEDS.items():
        if name in request.POST:
            return deed, _numbers([request.POST[name]])
    deed_of_all = _DEEDS.get(request.POST.get("do", ""))
    if deed_of_all is None:
        raise Refused("Nothing was asked for.", field="do", mend="Use one of the buttons.")
    return deed_of_all, _numbers(request.POST.getlist("row"))


def _numbers(texts: Iterable[str]) -> list[int]:
    ids = sorted({int(text) for text in texts if _NUMBER.fullmatch(text)})
    if not ids:
        raise Refused("No message is ticked.", field="row", mend="Tick at least one.")
    if len(ids) > MOST_ROWS:
        raise Refused(
            f"{len(ids)} messages are too many at once.",
            field="row",
            value=len(ids),
            mend=f"Tick {MOST_ROWS} at most.",
        )
    return ids


def _carry_out(user: User, deed: Deed, ids: list[int], now: Any) -> list[dict[str, Any]]:
    """Do it to those that this person may see; return what became of each as the session can keep it."""
    scope = scope_of(user, Verb.VIEW)
    seen = Notification.objects.filter(visible_rows(scope), pk__in=ids).values_list("pk", flat=True)
    done = deed.operation(notification_ids=list(seen), actor=user, now=now)
    rows = _with_names(seen)
    report = []
    for pk in ids:
        if pk not in rows:
            report.append({"pk": pk, "ok": False, "whom": "", "words": "is not there, or not yours to see"})
            continue
        row = Row.of(rows[pk])
        words = deed.words if pk in done else f"{deed.vain} ({row.state.lower()})"
        if pk in done and row.message.state == State.SENDING:
            words = "is on its way already; if this attempt fails, there is no other"
        report.append({"pk": pk, "ok": pk in done, "whom": row.message.address, "words": words})
    return report


def _named() -> Any:
    rows = Notification.objects.select_related("contact", "user", "ticket")
    return rows.only(*_SHOWN)


def _with_names(ids: Iterable[int]) -> dict[int, Notification]:
    found: dict[int, Notification] = _named().in_bulk(list(ids))
    return found


def _narrowed(filters: Filters) -> list[tuple[str, str]]:
    """Return the filters that no field of the form shows, in words, with the address without each."""
    chips = []
    if filters.contact:
        name = Contact.objects.filter(pk=filters.contact).values_list("name", flat=True).first()
        chips.append((f"To {name or 'nobody known'}", filters.as_params(contact=None)))
    if filters.person:
        person = User.objects.filter(pk=filters.person).first()
        chips.append((f"To {person or 'nobody known'}", filters.as_params(person=None)))
    return chips

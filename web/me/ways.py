"""Add ways in which one is reached oneself, try them, take them away."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.rules import Verb
from core.db import database_now
from core.errors import Refused
from notifications.models import Channel, ContactMethod
from notifications.operations import add_method, remove_method, send_test
from web.doors import act, done
from web.me.reach import QuietForm, WayForm, own_contact, show
from web.shell import SignedIn, arrive, may


@require_POST
@may(Verb.ACKNOWLEDGE)
def add(request: SignedIn) -> HttpResponse:
    """Add a way to be reached; a webhook's signing key is shown in the answer, and never again."""
    contact, now = own_contact(request), arrive(request)
    form = WayForm(request.POST)
    status = 422
    extra: dict[str, Any] = {}
    if form.is_valid():
        data = form.cleaned_data
        try:
            kept = add_method(
                contact=contact,
                channel=data["channel"],
                address=data["address"],
                secret_url=data["secret_url"],
                actor=request.user,
                now=now,
            )
        except Refused as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            if not kept.signing_key:
                text = f"{Channel(data['channel']).label} is added, tried last. Send a test to see that it works."
                return done(request, text, reverse("web:reach"))
            form, status, extra = WayForm(), 200, {"signing_key": kept.signing_key}
    return show(request, contact, QuietForm(contact=contact), now, status=status, way_form=form, **extra)


@require_POST
@may(Verb.ACKNOWLEDGE)
def try_out(request: SignedIn, pk: int) -> HttpResponse:
    """Send a test to a way of one's own, through the outbox."""
    method, now = _own(request, pk), database_now()
    text = "A test is on its way; the provider's answer stands beside it in a moment."
    back = reverse("web:reach")
    return act(request, back, now, lambda: send_test(method=method, actor=request.user, now=now), text)


@require_POST
@may(Verb.ACKNOWLEDGE)
def remove(request: SignedIn, pk: int) -> HttpResponse:
    """Take a way of one's own away; the last one that is on stays."""
    method, now = _own(request, pk), database_now()

    def take_away() -> None:
        others = ContactMethod.objects.filter(contact=method.contact, is_active=True).exclude(pk=pk)
        if method.is_active and not others.exists():
            raise Refused(
                f"{method} is the only way left to reach you.",
                field="method",
                value=str(method),
                mend="Add another one first.",
            )
        remove_method(method=method, actor=request.user, now=now)

    return act(request, reverse("web:reach"), now, take_away, "Taken away.")


def _own(request: SignedIn, pk: int) -> ContactMethod:
    # A lead may change other people's elsewhere; this page is about oneself.
    rows: Any = ContactMethod.objects.select_related("contact")
    found: ContactMethod = get_object_or_404(rows, pk=pk, contact__user=request.user)
    return found

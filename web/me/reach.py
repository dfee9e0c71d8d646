"""“How Belay reaches you”: one's methods in order, quiet hours, and where one stands."""

import datetime as dt
import zoneinfo
from typing import Any

from django import forms
from django.conf.locale import LANG_INFO
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.rules import Verb
from core.errors import Refused
from notifications.models import Channel, Contact, Weekday
from notifications.operations import contacts_for, move_method, save_quiet_hours, switch_method
from notifications.queries.lists import quiet_of
from notifications.queries.reach import languages_written, places_of, turns_of, ways_of
from web.doors import act, done
from web.shell import SignedIn, arrive, may


class QuietForm(forms.Form):
    """When one is left in peace, on which wall clock, and in which language one is told."""

    quiet_from = forms.TimeField(
        label="From",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time", "class": "in"}, format="%H:%M"),
    )
    quiet_until = forms.TimeField(
        label="Until",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time", "class": "in"}, format="%H:%M"),
    )
    quiet_days = forms.TypedMultipleChoiceField(
        label="Days that are quiet from midnight to midnight",
        required=False,
        coerce=int,
        choices=Weekday.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    time_zone = forms.ChoiceField(label="Time zone", widget=forms.Select(attrs={"class": "in"}))
    language = forms.ChoiceField(label="Language of messages", widget=forms.Select(attrs={"class": "in"}))

    def __init__(self, data: Any = None, *, contact: Contact) -> None:
        super().__init__(
            data,
            initial={
                "quiet_from": contact.quiet_from,
                "quiet_until": contact.quiet_until,
                "quiet_days": contact.quiet_days,
                "time_zone": contact.time_zone,
                "language": contact.language,
            },
        )
        fields: dict[str, Any] = self.fields
        zones = sorted({*zoneinfo.available_timezones(), contact.time_zone})
        fields["time_zone"].choices = [(name, name.replace("_", " ")) for name in zones]
        codes = {"en", contact.language, *languages_written()}
        fields["language"].choices = sorted(
            ((code, _language(code)) for code in codes), key=lambda pair: pair[1]
        )


class WayForm(forms.Form):
    """A further way to be reached."""

    channel = forms.ChoiceField(
        label="Channel", choices=Channel.choices, widget=forms.Select(attrs={"class": "in"})
    )
    address = forms.CharField(
        label="Address, or a label where a secret address is given below",
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
    )
    secret_url = forms.CharField(
        label="Secret address",
        required=False,
        max_length=2000,
        help_text="A room's webhook address as the service gave it, an Apprise URL, or where a webhook is to be "
        "posted. It is kept encrypted and never shown again.",
        widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off", "spellcheck": "false"}),
    )


@require_safe
@never_cache
@may(Verb.ACKNOWLEDGE)
def reach(request: SignedIn) -> HttpResponse:
    """Show how the person signed in is reached."""
    contact = own_contact(request)
    return show(request, contact, QuietForm(contact=contact), arrive(request))


@require_POST
@may(Verb.ACKNOWLEDGE)
def quiet(request: SignedIn) -> HttpResponse:
    """Set one's quiet hours, time zone and language."""
    contact = own_contact(request)
    now = arrive(request)
    form = QuietForm(request.POST, contact=contact)
    if not form.is_valid():
        return show(request, contact, form, now, status=422)
    data = form.cleaned_data
    try:
        save_quiet_hours(
            contact_id=contact.pk,
            begins=data["quiet_from"],
            ends=data["quiet_until"],
            days=data["quiet_days"],
            time_zone=data["time_zone"],
            language=data["language"],
            actor=request.user,
        )
    except Refused as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return show(request, contact, form, now, status=422)
    return done(request, "Saved.", reverse("web:reach"))


@require_POST
@may(Verb.ACKNOWLEDGE)
def move(request: SignedIn, pk: int) -> HttpResponse:
    """Let a method of one's own be tried earlier or later."""
    _check_own(request, pk)
    up = request.POST.get("way") == "up"
    return act(
        request,
        reverse("web:reach"),
        arrive(request),
        lambda: move_method(method_id=pk, up=up, actor=request.user),
        "Moved up." if up else "Moved down.",
    )


@require_POST
@may(Verb.ACKNOWLEDGE)
def switch(request: SignedIn, pk: int) -> HttpResponse:
    """Switch a method of one's own on or off."""
    _check_own(request, pk)
    on = request.POST.get("on") == "yes"
    return act(
        request,
        reverse("web:reach"),
        arrive(request),
        lambda: switch_method(method_id=pk, on=on, actor=request.user),
        "Switched on." if on else "Switched off.",
    )


def show(
    request: SignedIn,
    contact: Contact,
    form: QuietForm,
    now: dt.datetime,
    *,
    status: int = 200,
    way_form: WayForm | None = None,
    **extra: Any,
) -> HttpResponse:
    """Show the page of one's own contact with these forms."""
    turns, ways = turns_of(contact), ways_of(contact)
    context = {
        "contact": contact,
        "ways": ways,
        # The last one that is on stays on.
        "lone": sum(way.method.is_active for way in ways) == 1,
        "form": form,
        "way_form": way_form or WayForm(),
        "waiting": any(way.waiting for way in ways),
        "turns": turns,
        "places": places_of(contact, request.user, turns),
        "quiet_now": quiet_of(contact, now),
        "now": now,
        "section": "reach",
    }
    return render(request, "me/reach.html", context | extra, status=status)


def own_contact(request: SignedIn) -> Contact:
    """Return the contact of the person signed in, made when there is none."""
    return contacts_for([request.user])[request.user.pk]


def _check_own(request: SignedIn, method_id: int) -> None:
    # A lead may change other people's elsewhere; this page is about oneself.
    if not Contact.objects.filter(user=request.user, methods=method_id).exists():
        raise Http404("no such method of yours")


def _language(code: str) -> str:
    known: Any = LANG_INFO.get(code.lower())
    return str(known["name"]) if known and "name" in known else code

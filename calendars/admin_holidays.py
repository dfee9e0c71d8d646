"""Fill a calendar's holidays from a country's: choose, look at the days, add them (see `calendars.filling`)."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf.locale import LANG_INFO

from calendars.filling import PUBLIC, Offer, countries, days_of, offer_of
from calendars.models import Calendar
from calendars.rules import Hours, parse
from calendars.rules.filling import YEARS_AHEAD, Candidate, Source, candidates, last_filled, runs_out
from core.errors import Refused

# More at once is a slip of the keyboard, and nobody would read the list.
MOST_YEARS = 10


class HolidayChoice(forms.Form):
    """Whose holidays, which kinds of them, and for which years; what can be chosen follows from the country."""

    country = forms.ChoiceField(choices=[])
    subdivision = forms.ChoiceField(
        label="part of the country", required=False, choices=[("", "only the whole country's")]
    )
    categories = forms.MultipleChoiceField(
        label="kinds of days", widget=forms.CheckboxSelectMultiple, choices=[(PUBLIC, PUBLIC)]
    )
    language = forms.ChoiceField(label="names in", required=False, choices=[])
    since = forms.IntegerField(label="from", widget=forms.NumberInput(attrs={"size": 6}))
    until = forms.IntegerField(widget=forms.NumberInput(attrs={"size": 6}))

    def __init__(self, given: Mapping[str, Any], *, offer: Offer) -> None:
        super().__init__(given)
        self.offer = offer
        fields: dict[str, Any] = self.fields
        fields["country"].choices = countries()
        fields["subdivision"].choices = [("", "only the whole country's"), *offer.subdivisions]
        fields["categories"].choices = offer.categories
        fields["language"].choices = [(name, language_name(name)) for name in offer.languages] or [
            ("", "its own")
        ]

    def clean(self) -> dict[str, Any] | None:
        """Refuse years that run backwards, or too many of them."""
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since is not None and until is not None and not since <= until < since + MOST_YEARS:
            self.add_error(
                "until", f"“{until}” will not do. Take a year from {since} to {since + MOST_YEARS - 1}."
            )
        return cleaned

    def source(self) -> Source:
        """Return the choice as the rules know it."""
        cleaned = self.cleaned_data
        return Source(
            country=cleaned["country"],
            subdivision=cleaned["subdivision"],
            categories=tuple(cleaned["categories"]),
            language=cleaned["language"],
        )

    def days(self) -> Mapping[dt.date, str]:
        """Return the days chosen; none, with the reason beside its field, where the country has no such."""
        if not self.is_valid():
            return {}
        try:
            years = range(self.cleaned_data["since"], self.cleaned_data["until"] + 1)
            return days_of(self.source(), years)
        except Refused as refused:
            self.add_error(refused.field if refused.field in self.fields else None, str(refused))
            return {}


def choice_of(given: Any, calendar: Calendar, today: dt.date) -> HolidayChoice | None:
    """Return the form for what was sent, else for what was filled in last; None where no country is known yet."""
    kept: Mapping[str, Any] = calendar.holiday_source or {}
    country = str(given.get("country") or kept.get("country") or "")
    if country not in dict(countries()):
        return None
    offer = offer_of(country)
    same = country == kept.get("country")
    # Of another country chosen just now, what was sent is about the one before.
    sent = given if given.get("of") == country else None
    values: dict[str, Any] = {
        "country": country,
        "subdivision": kept.get("subdivision", "") if same else "",
        "categories": kept.get("categories", [PUBLIC]) if same else [PUBLIC],
        "language": (kept.get("language") if same else "") or offer.default_language,
        "since": max(today.year, offer.first_year),
        "until": min(today.year + YEARS_AHEAD, offer.last_year),
    }
    if not any(value == PUBLIC for value, _ in offer.categories) and not same:
        values["categories"] = [offer.categories[0][0]]
    if sent is not None:
        for name in ("subdivision", "language", "since", "until"):
            values[name] = sent.get(name, "")
        values["categories"] = sent.getlist("categories")
    return HolidayChoice(values, offer=offer)


def listed(calendar: Calendar, days: Mapping[dt.date, str]) -> tuple[Candidate, ...]:
    """Return the days with what they would change."""
    hours = hours_now(calendar)
    return candidates(hours, days) if hours is not None else ()


def hours_now(calendar: Calendar) -> Hours | None:
    """Return the hours in force."""
    return parse(calendar.current.hours) if calendar.current is not None else None


def filled_until(calendar: Calendar) -> int | None:
    """Return the last year that has holidays, None for a calendar without any."""
    hours = hours_now(calendar)
    return last_filled(hours.holidays if hours is not None else (), calendar.holidays_until)


def running_out(calendar: Calendar, today: dt.date) -> int | None:
    """Return the year after which no holidays are filled in, where that is soon or over; else None."""
    last = filled_until(calendar)
    return last if runs_out(last, today) else None


def language_name(code: str) -> str:
    """Return "English" for en_US; the code itself where nobody has named it."""
    info = (
        LANG_INFO.get(code.lower().replace("_", "-")) or LANG_INFO.get(code.partition("_")[0].lower()) or {}
    )
    return str(info.get("name") or info.get("name_local") or code)


def name_of(source: Source) -> str:
    """Return "Germany (Bayern)"."""
    name = dict(countries())[source.country]
    part = dict(offer_of(source.country).subdivisions).get(source.subdivision)
    return f"{name}, {part}" if part else name

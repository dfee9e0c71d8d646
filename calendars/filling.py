"""The holidays of the world's countries, as the library `holidays` knows them."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import holidays
from holidays.registry import COUNTRIES

from calendars.rules.filling import Source
from core.errors import Refused

PUBLIC = "public"
ENGLISH = "en_US"


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be chosen for one country; pairs of value and label."""

    subdivisions: tuple[tuple[str, str], ...]
    categories: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    default_language: str
    first_year: int
    last_year: int


@cache
def countries() -> tuple[tuple[str, str], ...]:
    """Return the countries there are holidays of, as (code, name), by name."""
    found = [(names[1], _spaced(names[0])) for names in COUNTRIES.values()]
    return tuple(sorted(found, key=lambda pair: pair[1]))


@cache
def offer_of(country: str) -> Offer:
    """Return what can be chosen for a country. Raises Refused for an unknown one."""
    _check("country", country, dict(countries()), "Choose one of the list.")
    known: Any = holidays.country_holidays(country)
    labels = {code: label for label, code in known.subdivisions_aliases.items()}
    categories = sorted(known.supported_categories, key=lambda name: (name != PUBLIC, name))
    languages = tuple(known.supported_languages)
    own = known.default_language or ""
    return Offer(
        subdivisions=tuple(
            sorted(
                ((code, _named(code, labels.get(code, ""))) for code in known.subdivisions),
                key=lambda pair: pair[1],
            )
        ),
        categories=tuple((name, name.replace("_", " ")) for name in categories),
        languages=languages,
        default_language=ENGLISH if ENGLISH in languages else own,
        first_year=known.start_year,
        last_year=known.end_year,
    )


def days_of(source: Source, years: range) -> Mapping[dt.date, str]:
    """Return the holidays of some years with their names. Raises Refused for what the country does not have."""
    offer = offer_of(source.country)
    if source.subdivision:
        _check("subdivision", source.subdivision, dict(offer.subdivisions), "Choose one of the list.")
    if not source.categories:
        raise Refused("Which days?", field="categories", value="", mend="Choose at least one kind of days.")
    for category in source.categories:
        _check("categories", category, dict(offer.categories), "Choose from the list.")
    if source.language:
        _check("language", source.language, dict.fromkeys(offer.languages), "Choose one of the list.")
    if not years or years[0] < offer.first_year or years[-1] > offer.last_year:
        raise Refused(
            f"Holidays of {dict(countries())[source.country]} are known from {offer.first_year} to {offer.last_year}.",
            field="until",
            value=years[-1] if years else "",
            mend="Choose years between them.",
        )
    found: Any = holidays.country_holidays(
        source.country,
        subdiv=source.subdivision or None,
        years=years,
        categories=source.categories,
        language=source.language or None,
        # Looking a day up must not fill in years that nobody asked for.
        expand=False,
    )
    # Observed days may fall into the years around.
    return {day: str(name) for day, name in sorted(found.items()) if day.year in years}


def _check(field: str, value: str, known: Mapping[str, object], mend: str) -> None:
    if value not in known:
        raise Refused(f"“{value}” is not known.", field=field, value=value, mend=mend)


def _spaced(name: str) -> str:
    """Turn "UnitedStates" into "United States"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)


def _named(code: str, label: str) -> str:
    return f"{label} ({code})" if label else code

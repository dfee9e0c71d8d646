"""Everything a path can name, read once per page, and its names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import Organisation, Team, Tier
from calendars.models import Calendar
from notifications.models import Contact, ContactList
from tickets.models import Category, Complexity, Impact, Service, Severity, Source

Options = list[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Choices:
    """The rows a path can name, as (id, label); those switched off say so, since an old path may name them."""

    calendars: Options
    contacts: Options
    contact_lists: Options
    teams: Options
    categories: Options
    services: Options
    organisations: Options

    def name(self, kind: str, pk: int | None) -> str:
        """Return the label of a row by id, or its number when it is gone."""
        return str(dict(getattr(self, kind)).get(pk, f"no. {pk}"))


def load_choices() -> Choices:
    """Return all choices; seven queries, however many steps the page has."""
    return Choices(
        calendars=[(row.pk, row.name) for row in Calendar.objects.order_by("name")],
        contacts=_labelled(Contact.objects.order_by("name", "pk")),
        contact_lists=[(row.pk, row.name) for row in ContactList.objects.order_by("name")],
        teams=[
            (team.pk, f"{team.name} ({Tier(team.tier).label})" + ("" if team.is_active else ", switched off"))
            for team in Team.objects.order_by("tier", "name")
        ],
        categories=_labelled(Category.objects.order_by("name")),
        services=_labelled(Service.objects.order_by("name")),
        organisations=[(row.pk, row.name) for row in Organisation.objects.order_by("name")],
    )


def _labelled(rows: Any) -> Options:
    return [(row.pk, row.name if row.is_active else f"{row.name} (switched off)") for row in rows]


# Of a fixed set; the keys are those of escalation.rules.conditions.
FIXED: Mapping[str, Options] = {
    "severities": list(Severity.choices),
    "criticalities": list(Service.Criticality.choices),
    "impacts": list(Impact.choices),
    "complexities": list(Complexity.choices),
    "sources": list(Source.choices),
}
# Rows of tables.
ROWS = ("services", "categories", "organisations")

WORDS: Mapping[str, str] = {
    "severities": "severity",
    "categories": "category",
    "services": "service",
    "criticalities": "criticality of the service",
    "organisations": "organisation",
    "vip": "VIP",
    "tags": "tag",
    "impacts": "impact",
    "complexities": "complexity",
    "sources": "source",
}


def conditions_in_words(conditions: Mapping[str, Any], choices: Choices) -> list[str]:
    """Return conditions as phrases: ["severity SEV1 or SEV2", "VIP organisations"]."""
    phrases = []
    for key, wanted in conditions.items():
        if key == "vip":
            if wanted is not None:
                phrases.append("VIP organisations" if wanted else "organisations that are not VIP")
        elif wanted:
            if key in ROWS:
                names = [choices.name(key, pk) for pk in wanted]
            else:
                labels = dict(FIXED.get(key, ()))
                names = [str(labels.get(item, item)) for item in wanted]
            phrases.append(f"{WORDS.get(key, key)} {' or '.join(names)}")
    return phrases

"""The admin index and side bar, in sections that people think in rather than one per app."""

import datetime as dt
from typing import Any

from django import template
from django.contrib import admin

from core.admin import OTHERS, Section, instant_text
from core.durations import spoken

register = template.Library()


@register.simple_tag
def in_sections(app_list: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the models of Django's `app_list` by the section that their admin page names."""
    found: dict[Section, list[dict[str, Any]]] = {}
    for app in app_list:
        for model in app["models"]:
            page = (
                admin.site.get_model_admin(model["model"])
                if admin.site.is_registered(model["model"])
                else None
            )
            found.setdefault(getattr(page, "section", OTHERS), []).append(
                {**model, "app_label": app["app_label"]}
            )
    sections = sorted(found, key=lambda section: (section.place, section.title))
    return [
        {
            "title": section.title,
            "models": sorted(
                found[section],
                key=lambda model: getattr(admin.site.get_model_admin(model["model"]), "section_order", 50),
            ),
        }
        for section in sections
    ]


@register.filter
def instant(value: dt.datetime | None) -> str:
    """Return an instant in the zone in force, with the zone's name."""
    return instant_text(value)


@register.filter
def duration(value: dt.timedelta | None) -> str:
    """Return a duration as people say it: "2 h 06"."""
    return "" if value is None else spoken(value)

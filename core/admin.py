"""What all admin pages share: sections of the index, read-only state, capped counts, instants in one's own zone."""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.html import format_html
from django.utils.text import capfirst

from core.durations import parse_duration, spoken, written
from core.errors import Refused
from core.panels import panels_for

# Counting a million rows takes longer than reading any page of them.
CAP = 10_000

_Child = TypeVar("_Child", bound=models.Model)
_Parent = TypeVar("_Parent", bound=models.Model)

admin.site.site_header = "Belay"
admin.site.site_title = "Belay"
admin.site.index_title = "Administration"
admin.site.empty_value_display = "–"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading on the index; the lowest place comes first."""

    place: int
    title: str


# Of apps that say nothing about it.
OTHERS = Section(90, "Machinery")


def own_zone(request: HttpRequest) -> dt.tzinfo:
    """Return the reader's time zone."""
    try:
        return zoneinfo.ZoneInfo(getattr(request.user, "time_zone", "") or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def instant_text(value: dt.datetime | None) -> str:
    """Return an instant in the zone in force, with the zone's name."""
    if value is None:
        return ""
    return format_date(timezone.localtime(value), "j M Y, H:i:s T")


class CappedPaginator(Paginator[Any]):
    """A paginator that counts to CAP and no further; what lies beyond is found by filter and search."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows[: CAP + 1].count() if isinstance(rows, models.QuerySet) else len(rows)

    @property
    def capped(self) -> bool:
        """Tell whether there are more than were counted."""
        return self.count > CAP


def _without_side_doors(field: Any) -> Any:
    """Take the add, change and look links off a choice: they open windows over a form that is being filled in."""
    if isinstance(getattr(field, "widget", None), RelatedFieldWidgetWrapper):
        field.widget = field.widget.widget
    return field


class LabelledFormSet(BaseInlineFormSet[Any, Any, Any]):
    """Rows whose every field says to a screen reader what and which row it is; the column heads don't reach it."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """Name every field by its label and row."""
        super().add_fields(form, index)
        for name, field in form.fields.items():
            label = "Delete" if name == "DELETE" else str(field.label or name).capitalize()
            row = "new row" if index is None else f"row {index + 1}"
            field.widget.attrs.setdefault("aria-label", f"{label}, {row}")


class LabelledInline(admin.TabularInline[_Child, _Parent], Generic[_Child, _Parent]):
    """A table of rows below a form."""

    formset = LabelledFormSet

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        return _without_side_doors(super().formfield_for_dbfield(db_field, request, **kwargs))


class BelayAdmin(admin.ModelAdmin[Any]):
    """The base of our admin pages: instants in the reader's zone, counts that stay cheap, panels of higher apps."""

    section: Section = OTHERS
    # Names the place of `core.panels` whose panels stand below the form.
    panel_place = ""
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    change_form_template = "admin/belay/change_form.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list in the reader's zone."""
        context = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        return self._in_own_zone(request, lambda: super(BelayAdmin, self).changelist_view(request, context))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form in the reader's zone."""
        return self._in_own_zone(
            request,
            lambda: super(BelayAdmin, self).changeform_view(request, object_id, form_url, extra_context),
        )

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        return _without_side_doors(super().formfield_for_dbfield(db_field, request, **kwargs))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the panels that higher apps have registered for the place."""
        subject = context.get("original")
        if self.panel_place and subject is not None:
            context["panels"] = panels_for(self.panel_place, subject)
        return super().render_change_form(request, context, *args, **kwargs)

    @staticmethod
    def _in_own_zone(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
        with timezone.override(own_zone(request)):
            response = answer()
            # Lazily, it would be rendered after the zone is gone.
            return response.render() if isinstance(response, TemplateResponse) else response


class ReadOnlyAdmin(BelayAdmin):
    """State to look at: nobody adds, changes or deletes it here, and a POST is refused like a click (STYLE 17)."""

    actions = None
    # Exact lookups on indexed columns: the number typed (with or without #), and the text typed.
    number_search: tuple[str, ...] = ("pk",)
    text_search: tuple[str, ...] = ()
    search_fields = ("pk",)
    ordering = ("-pk",)

    def __init__(self, model: Any, admin_site: Any) -> None:
        super().__init__(model, admin_site)
        self.list_display = [_readable(model, name) for name in self.list_display]
        if self.fields:
            columns: Any = [_readable(model, name) for name in self.fields]
            self.fields = columns  # type: ignore[misc]
            self.readonly_fields = columns  # type: ignore[misc]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(getattr(request.user, "is_staff", False))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Find by number or exact text: reading through a million rows for a part of a word helps nobody."""
        term = search_term.strip()
        if not term:
            return queryset, False
        number = term.removeprefix("#")
        wanted = Q()
        if number.isascii() and number.isdecimal() and len(number) < 19:
            for lookup in self.number_search:
                wanted |= Q((lookup, int(number)))
        for lookup in self.text_search:
            wanted |= Q((lookup, term))
        return (queryset.filter(wanted) if wanted else queryset.none()), False


def _readable(model: Any, name: Any) -> Any:
    """Return a column that shows instants, durations and hashes as people read them."""
    if not isinstance(name, str) or name in {"__str__", "pk"}:
        return name
    try:
        field = model._meta.get_field(name)  # noqa: SLF001 - Django's documented API
    except FieldDoesNotExist:
        return name  # a method or a property: shown as it is
    if isinstance(field, models.DateTimeField):
        return _column(field, instant_text)
    if isinstance(field, models.DurationField):
        return _column(field, spoken)
    if isinstance(field, models.BooleanField):
        return _column(field, lambda value: "yes" if value else "no")
    if isinstance(field, models.BinaryField):
        return _column(field, lambda value: format_html("<code>{}</code>", bytes(value).hex()))
    return name


def _column(field: Any, text: Callable[[Any], str]) -> Any:
    @admin.display(description=field.verbose_name, ordering=field.name)
    def column(row: Any) -> str:
        value = getattr(row, field.name)
        return text(value) if value is not None else "–"

    column.__name__ = field.name
    return column


class DurationField(forms.CharField):
    """A duration as people type it: 15 min, 1 h 30 min, 2 d; whole seconds, empty for none."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("max_length", 40)
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        """Return a timedelta, or None for nothing. Raises ValidationError with the value and the mend."""
        try:
            duration = parse_duration(super().to_python(value) or "")
        except Refused as refused:
            raise ValidationError(str(refused)) from refused
        except OverflowError as error:
            raise ValidationError(
                f"“{value}” is far too long. Write it like 45 min, 1 h 30 min or 2 d."
            ) from error
        return None if duration is None else dt.timedelta(seconds=round(duration.total_seconds()))

    def validate(self, value: Any) -> None:
        if self.required and value is None:
            raise ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        """Leave out the validators of text: a timedelta is none."""

    def prepare_value(self, value: Any) -> Any:
        return written(value) if isinstance(value, dt.timedelta) else value


def put_refusal(form: forms.BaseForm, refused: Refused, fields: Iterable[str] = ()) -> None:
    """Let a form show what an operation refused, beside the field it names."""
    known = refused.field in form.fields and (not fields or refused.field in set(fields))
    form.add_error(refused.field if known else None, str(refused))

"""What a requester writes, in their own words."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from core.errors import Refused
from tickets.models import Impact, Service, Urgency
from tickets.operations import Upload

IMPACTS = (
    (Impact.LOW, "Only me"),
    (Impact.MEDIUM, "Several people, or my team"),
    (Impact.HIGH, "A whole site, or many people"),
)
URGENCIES = (
    (Urgency.LOW, "It can wait a few days"),
    (Urgency.MEDIUM, "It slows work down"),
    (Urgency.HIGH, "Work has stopped"),
)


class NewRequest(forms.Form):
    """A new request; severity follows from the two plain questions."""

    subject = forms.CharField(
        label="In one line",
        max_length=300,
        error_messages={"required": "Say in a few words what it is about."},
    )
    body = forms.CharField(
        label="What happened?",
        widget=forms.Textarea,
        max_length=settings.BELAY_MAX_BODY,
        error_messages={"required": "Tell us what happened; a sentence is enough."},
    )
    impact = forms.TypedChoiceField(
        label="Who is affected?", choices=IMPACTS, coerce=int, initial=Impact.LOW, widget=forms.RadioSelect
    )
    urgency = forms.TypedChoiceField(
        label="How badly does it hurt?",
        choices=URGENCIES,
        coerce=int,
        initial=Urgency.MEDIUM,
        widget=forms.RadioSelect,
    )
    service = forms.ModelChoiceField(
        label="What is it about?",
        queryset=Service.objects.filter(is_active=True).order_by("name"),
        required=False,
        empty_label="Something else, or I don't know",
    )


class Reply(forms.Form):
    """An answer, or what is still wrong."""

    body = forms.CharField(
        label="Your message",
        widget=forms.Textarea,
        max_length=settings.BELAY_MAX_BODY,
        error_messages={"required": "Write a few words first."},
    )


class Wish(forms.Form):
    """Why it can't wait."""

    reason = forms.CharField(
        label="Why can't it wait?",
        widget=forms.Textarea,
        max_length=5_000,
        error_messages={"required": "Say why it can't wait; the lead decides by it."},
    )


def uploads_in(request: HttpRequest) -> list[Upload]:
    """Return the files that came with a form; names and types are claims, nothing more."""
    return [
        Upload(file.name or "file", file, file.content_type or "application/octet-stream")
        for file in request.FILES.getlist("files")
        if isinstance(file, UploadedFile)
    ]


def put_error(form: forms.Form, error: Refused) -> None:
    """Show a refusal at the field it names, above the form when it names none of them."""
    form.add_error(error.field if error.field in form.fields else None, str(error))


def limits() -> dict[str, Any]:
    """Return what the pages say about files before anybody tries."""
    return {"files": settings.BELAY_MAX_FILES, "megabytes": settings.BELAY_MAX_FILE_BYTES // 1_000_000}

"""Words for kinds of messages: edited with every name at hand, and looked at before they are sent."""

from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import path
from django.utils.decorators import method_decorator

from accounts.models import User
from core.admin import BelayAdmin, put_refusal
from core.db import database_now
from core.errors import Refused
from notifications.admin.contacts import ESCALATION
from notifications.models import MessageTemplate, Notification
from notifications.operations.wording import check_wording, remove_template, save_template
from notifications.rendering import Rendered, kinds, name_of
from notifications.rendering import render as render_row
from notifications.wording import BUILT_IN, FACTS, NAMES, apply, example

# A mail as it is: its styles may speak, nothing runs and nothing is fetched.
_POLICY: dict[str, Any] = {
    "default-src": [NONE],
    "style-src": ["'unsafe-inline'"],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [SELF],
}
WHAT_FOR = ("kind", "form", "channel", "language")
FIELDS = ("kind", "form", "channel", "language", "subject", "body", "is_active")


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """Words for one kind; what the operation would refuse is said beside its field."""

    kind = forms.ChoiceField(help_text="Which message.")

    class Meta:
        model = MessageTemplate
        fields = FIELDS
        widgets = {  # noqa: RUF012 - as Django documents it
            "subject": forms.TextInput(attrs={"size": 80, "class": "vLargeTextField"}),
            "body": forms.Textarea(attrs={"rows": 16, "cols": 90, "class": "vLargeTextField"}),
        }
        help_texts = {  # noqa: RUF012
            "channel": "Of a short form: the one channel it is for; empty: all that have none of their own.",
            "language": "Such as de, for readers whose language it is; empty: everybody else.",
            "subject": "Of a mail; empty: the built-in one.",
            "body": "Parts of the message and names as listed below; empty lines separate paragraphs.",
            "is_active": "Off: the built-in words are used.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["kind"]
        choice.choices = sorted(((kind, name_of(kind)) for kind in kinds()), key=lambda pair: pair[1])
        if self.instance.pk:
            # What the words are for stays: another message has words of its own.
            for name in WHAT_FOR:
                self.fields[name].disabled = True
        else:
            self.initial.setdefault("body", BUILT_IN[MessageTemplate.Form.MAIL])

    def clean(self) -> dict[str, Any] | None:
        """Check the words as the operation does."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                check_wording(
                    kind=cleaned["kind"],
                    form=cleaned["form"],
                    subject=cleaned["subject"],
                    body=cleaned["body"],
                    channel=cleaned["channel"],
                )
            except Refused as refused:
                put_refusal(self, refused)
        return cleaned


@admin.register(MessageTemplate)
class MessageTemplateAdmin(BelayAdmin):
    """What kinds of messages say; without a template the built-in words stand."""

    section = ESCALATION
    section_order = 50
    form = TemplateForm
    change_form_template = "admin/belay/wording.html"
    list_display = ("named", "form", "sent_by", "reads_in", "is_active", "changed_at", "changed_by")
    list_filter = ("form", "channel", "is_active")
    search_fields = ("kind", "subject", "body")
    ordering = ("kind", "form", "channel", "language")

    @admin.display(description="message", ordering="kind")
    def named(self, row: Any) -> str:
        """Return what the kind is called."""
        return name_of(row.kind)

    @admin.display(description="channel", ordering="channel")
    def sent_by(self, row: Any) -> str:
        """Return which channel says it so."""
        if row.form == MessageTemplate.Form.MAIL:
            return "Email"
        return row.get_channel_display() or "all others"

    @admin.display(description="language", ordering="language")
    def reads_in(self, row: Any) -> str:
        """Return whose words these are."""
        return row.language or "everybody else"

    def get_urls(self) -> list[Any]:
        """Add the preview's address."""
        preview = self.admin_site.admin_view(self.preview)
        return [
            path("preview/", preview, name="notifications_messagetemplate_preview"),
            *super().get_urls(),
        ]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the names that may be used."""
        context |= {
            "names": NAMES,
            "facts": FACTS,
            "built_in": {form.label: BUILT_IN[form] for form in BUILT_IN},
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save by the operation."""
        saved = save_template(
            kind=obj.kind,
            form=obj.form,
            language=obj.language,
            channel=obj.channel,
            subject=obj.subject,
            body=obj.body,
            is_active=obj.is_active,
            actor=request.user if isinstance(request.user, User) else None,
            now=database_now(),
        )
        obj.pk = saved.pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Go back to the built-in words."""
        remove_template(template=obj, actor=request.user if isinstance(request.user, User) else None)

    @method_decorator(csp(_POLICY))
    def preview(self, request: HttpRequest) -> HttpResponse:
        """Show how the words in the form would read, from the latest message of the kind or from an example."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        values = {name: request.POST.get(name, "") for name in ("kind", "form", "subject", "body", "channel")}
        if of := request.GET.get("of"):
            # A disabled field is not posted.
            row = self.get_object(request, of)
            if row is None:
                raise Http404
            values |= {"kind": row.kind, "form": row.form, "channel": row.channel}
        context: dict[str, Any] = {"values": values, "name": name_of(values["kind"])}
        try:
            check_wording(**values)
        except Refused as refused:
            return render(
                request, "admin/belay/wording_preview.html", context | {"refused": refused}, status=422
            )
        rendered, context["latest"] = _latest(values["kind"])
        draft = MessageTemplate(kind=values["kind"], form=values["form"])
        draft.subject, draft.body = values["subject"], values["body"]
        is_mail = draft.form == MessageTemplate.Form.MAIL
        shown = apply(
            rendered.letter, rendered, mail=draft if is_mail else None, short=None if is_mail else draft
        )
        context |= {"shown": shown, "is_mail": is_mail}
        return render(request, "admin/belay/wording_preview.html", context)


def _latest(kind: str) -> tuple[Rendered, Notification | None]:
    """Return the latest message of a kind as it reads now; an example where there is none that can be read."""
    row = (
        Notification.objects.filter(kind=kind)
        .select_related("contact", "user", "method")
        .order_by("-pk")
        .first()
    )
    if row is not None and kind in kinds():
        try:
            rendered = render_row(row)
        except (LookupError, ValueError):
            row = None
        else:
            if rendered.letter is not None:
                return rendered, row
    return example(), None

"""Contacts and contact lists out as CSV, and in again: look at every change first, then confirm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.models import User
from core.errors import Refused
from notifications.models import Contact, ContactList
from notifications.operations.transfer import (
    Preview,
    import_contacts,
    import_entries,
    preview_contacts,
    preview_entries,
)
from notifications.queries.transfer import contact_world, entry_world
from notifications.rules.transfer import contacts, entries
from notifications.rules.transfer.plan import Plan
from notifications.rules.transfer.sheets import MOST_BYTES, MOST_LINES

# How long somebody may look at a preview before it is too old to be confirmed.
PREVIEW_SECONDS = 3600
_SALT = "belay.transfer"


@dataclass(frozen=True, slots=True)
class Transfer:
    """What the pages of one sheet need."""

    what: str
    file_name: str
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    export: Callable[[], bytes]
    preview: Callable[..., Preview]
    apply: Callable[..., Plan[Any]]
    # The rows that a plan has written, for the log.
    touched: Callable[[Plan[Any]], Any]


CONTACTS = Transfer(
    what="contacts",
    file_name="contacts.csv",
    columns=contacts.NAMES,
    notes=(
        (
            "A line is about the contact with its number; without one, about whoever has its account, else its name. "
            "Nobody is removed by being left out."
        ),
        (
            "Methods stand in order: email:ann@example.org | sms:+49301234567 | off ntfy:ann. Those left out are "
            "switched off. What has a secret is only named, and left as it is."
        ),
    ),
    export=lambda: contacts.write_contacts(contact_world().contacts),
    preview=preview_contacts,
    apply=import_contacts,
    touched=lambda plan: Contact.objects.filter(
        Q(pk__in={change.after.number for change in plan.changed})
        | Q(name__in={change.after.name for change in plan.added})
    ),
)
ENTRIES = Transfer(
    what="contact lists",
    file_name="contact-lists.csv",
    columns=entries.NAMES,
    notes=(
        (
            "A line is about one contact on one list; a list that is not there yet is added. Nobody is taken off "
            "a list by being left out."
        ),
        "Where several contacts have one name, their number stands behind it: Duty #12.",
    ),
    export=lambda: entries.write_entries(entry_world()),
    preview=preview_entries,
    apply=import_entries,
    touched=lambda plan: ContactList.objects.filter(
        name__in={change.after.list_name for change in (*plan.added, *plan.changed)}
    ),
)


class UploadForm(forms.Form):
    """The file to look at."""

    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))


class TransferPages(admin.ModelAdmin[Any]):
    """Adds to a list of rows its export and its import."""

    transfer: Transfer
    change_list_template = "admin/notifications/with_transfer.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the two pages."""
        name = f"notifications_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            path("export/", view(self.export_view), name=f"{name}_export"),
            path("import/", view(self.import_view), name=f"{name}_import"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Link the two pages."""
        links = {"export_url": self._url("export"), "import_url": self._url("import")}
        return super().changelist_view(request, {**links, **(extra_context or {})})

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Send the sheet."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        answer = HttpResponse(self.transfer.export(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{self.transfer.file_name}"'
        answer["Cache-Control"] = "no-store"
        return answer

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for a file, show what it would change, and write just that when it is confirmed."""
        user = request.user
        if not isinstance(user, User) or not self.has_change_permission(request):
            raise PermissionDenied
        if request.method == "POST" and "confirm" in request.POST:
            return self._confirm(request, user)
        form = UploadForm(request.POST or None, request.FILES or None)
        shown: dict[str, Any] = {}
        if request.method == "POST" and form.is_valid():
            try:
                shown = self._look(form.cleaned_data["file"], user)
            except Refused as refused:
                form.add_error("file", str(refused))
        return self._page(request, form, shown)

    def _look(self, upload: Any, user: User) -> dict[str, Any]:
        # One byte beyond what may be: the reader says the rest.
        data = upload.read(MOST_BYTES + 1)
        if upload.size > MOST_BYTES:
            raise Refused(
                f"The file has {upload.size:,} bytes.",
                field="file",
                mend=f"Send {MOST_BYTES:,} at most, in parts.",
            )
        found = self.transfer.preview(data=data, actor=user)
        sealed = {"what": self.transfer.what, "user": user.pk, "digest": found.digest, "data": data.decode()}
        token = signing.dumps(sealed, salt=_SALT, compress=True) if found.plan.does_something else ""
        return {"plan": found.plan, "token": token, "file_name": upload.name}

    def _confirm(self, request: HttpRequest, user: User) -> HttpResponse:
        back = redirect(self._url("import"))
        try:
            sealed = signing.loads(request.POST["confirm"], salt=_SALT, max_age=PREVIEW_SECONDS)
        except signing.BadSignature:
            messages.error(request, "This preview is too old, or none of ours. Send the file again.")
            return back
        if (sealed["what"], sealed["user"]) != (self.transfer.what, user.pk):
            messages.error(request, "This preview was somebody else’s. Send the file again.")
            return back
        try:
            with transaction.atomic():
                plan = self.transfer.apply(data=sealed["data"].encode(), digest=sealed["digest"], actor=user)
                self._log(user, plan)
        except Refused as refused:
            messages.error(request, str(refused))
            return back
        messages.success(
            request,
            f"Taken over: {len(plan.added)} added, {len(plan.changed)} changed, {plan.unchanged} as they were.",
        )
        return redirect(reverse(f"admin:notifications_{self.opts.model_name}_changelist"))

    def _log(self, user: User, plan: Plan[Any]) -> None:
        flag = CHANGE if plan.changed else ADDITION
        LogEntry.objects.log_actions(
            user.pk, self.transfer.touched(plan), flag, "Taken over from a CSV file", single_object=False
        )

    def _page(self, request: HttpRequest, form: UploadForm, shown: dict[str, Any]) -> HttpResponse:
        plan: Plan[Any] | None = shown.get("plan")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Import {self.transfer.what}",
            "opts": self.opts,
            "transfer": self.transfer,
            "form": form,
            "most_bytes": MOST_BYTES,
            "most_lines": MOST_LINES,
            "export_url": self._url("export"),
            **shown,
        }
        bad = bool(form.errors) or (plan is not None and bool(plan.problems))
        return TemplateResponse(
            request, "admin/notifications/import.html", context, status=422 if bad else 200
        )

    def _url(self, page: str) -> str:
        return reverse(f"admin:notifications_{self.opts.model_name}_{page}")

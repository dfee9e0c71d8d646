"""Files that came with a conversation."""

from django.http import FileResponse, Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request

from accounts.rules import Verb
from api.views.base import Door
from api.views.conversation import PUBLIC
from tickets.models import Attachment, Ticket


class AttachmentView(Door):
    """One file."""

    queryset = Attachment.objects.none()
    pagination_class = None

    @extend_schema(
        operation_id="download_attachment",
        summary="Download a file",
        description="Always as plain bytes to be saved, whatever the sender called it.",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        tags=["attachments"],
    )
    def get(self, request: Request, pk: int) -> FileResponse:
        visible = Ticket.objects.visible_to(self.user)
        files = Attachment.objects.filter(entry__ticket__in=visible, entry__erased_at__isnull=True)
        if not self.user.may(Verb.READ_NOTES):
            files = files.filter(entry__kind__in=PUBLIC)
        attachment = get_object_or_404(files, pk=pk)
        try:
            content = attachment.file.open("rb")
        except FileNotFoundError as error:
            raise Http404 from error
        return FileResponse(
            content, as_attachment=True, filename=attachment.name, content_type="application/octet-stream"
        )

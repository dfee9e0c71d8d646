"""What all views of the API share: who may come in, how errors look, which moment it is."""

import datetime as dt
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.models import User
from accounts.operations import permit
from accounts.queries import scope_of
from accounts.rules import Reach, Verb
from api import problems
from api.authentication import Token
from api.fields import Body
from api.filters import Filters
from api.idempotency import idempotent
from api.pagination import NEWEST, OLDEST, KeysetPagination, Ordering
from api.parsers import Form, Json
from api.schema import BelaySchema
from core.db import database_now
from core.errors import NotAllowed
from tickets.models import Ticket

Row = TypeVar("Row", bound=Model)


class Door(GenericAPIView[Any]):
    """A view of the API; deny by default: signed in, and with `verb` where one is named."""

    authentication_classes: Any = (Token, SessionAuthentication)
    permission_classes: Any = (IsAuthenticated,)
    parser_classes: Any = (Json,)
    renderer_classes = (JSONRenderer,)
    filter_backends: Any = (Filters,)
    pagination_class: Any = KeysetPagination
    metadata_class = None
    # Which orders a list may come in; the first one is taken when none is asked for.
    orderings: Mapping[str, Ordering] = NEWEST
    schema: Any = BelaySchema()
    # What the role must allow for anything here at all.
    verb: Verb | None = None

    @cached_property
    def now(self) -> dt.datetime:
        """The moment of this request, by the database's clock (DESIGN 2)."""
        return database_now()

    @property
    def user(self) -> User:
        user = self.request.user
        assert isinstance(user, User)
        return user

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.verb is not None:
            permit(self.user, self.verb)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        # What one person may see is kept by no cache on the way.
        response.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)

    def get_orderings(self) -> Mapping[str, Ordering]:
        return self.orderings

    def get_exception_handler(self) -> Any:
        return problems.answer

    def read(self, body: type[Body]) -> dict[str, Any]:
        """Return the request's body as `body` understands it. Raises ValidationError."""
        serializer = body(data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def show(self, serializer: type[BaseSerializer[Any]], subject: Any, **context: Any) -> Any:
        """Return `subject` as a document."""
        return serializer(subject, context={**self.get_serializer_context(), **context}).data

    def page(
        self, queryset: QuerySet[Any], serializer: type[BaseSerializer[Any]], **context: Any
    ) -> Response:
        """Answer with one page of rows."""
        rows = self.paginate_queryset(queryset)
        assert rows is not None
        shown = serializer(rows, many=True, context={**self.get_serializer_context(), **context})
        return self.get_paginated_response(shown.data)

    def about_visible_tickets(self, queryset: QuerySet[Row], verb: Verb = Verb.VIEW) -> QuerySet[Row]:
        """Keep the rows whose `ticket` the caller may see with this verb."""
        scope = scope_of(self.user, verb)
        if scope.reach == Reach.ALL:
            # No subquery over a million tickets for those who see them all.
            return queryset
        return queryset.filter(ticket__in=Ticket.objects.within(scope))


class TicketDoor(Door):
    """A view about one ticket, named by `pk` in its path."""

    def ticket(self, verb: Verb = Verb.VIEW) -> Ticket:
        """Return the ticket if the caller may see it and do this with it.

        Raises Http404 when it is not theirs to see, NotAllowed when they see it but may not do this.
        """
        user, pk = self.user, self.kwargs["pk"]
        rows = Ticket.objects.visible_to(user).for_list()
        ticket: Ticket = get_object_or_404(rows.select_related("standing"), pk=pk)
        if verb != Verb.VIEW:
            permit(user, verb)
            scope = scope_of(user, verb)
            if scope.reach != Reach.ALL and not Ticket.objects.within(scope).filter(pk=pk).exists():
                raise NotAllowed(f"You may not {verb.replace('_', ' ')} #{pk}.", field="ticket", value=pk)
        return ticket


def verb(
    url_path: str,
    *,
    operation_id: str,
    summary: str,
    body: type[Body],
    answer: type[BaseSerializer[Any]],
    status: int = 200,
    form: type[Body] | None = None,
    examples: Any = (),
    tag: str = "tickets",
) -> Callable[[Callable[..., Response]], Any]:
    """Make a method a POST on one row: documented, and safe to repeat with an Idempotency-Key.

    With `form` it takes files too.
    """
    request: dict[str, Any] = {"application/json": body}
    if form is not None:
        request["multipart/form-data"] = form

    def decorate(handler: Callable[..., Response]) -> Any:
        made = action(
            detail=True,
            methods=["post"],
            url_path=url_path,
            parser_classes=(Json, Form) if form is not None else (Json,),
        )(idempotent(handler))
        return extend_schema(
            operation_id=operation_id,
            summary=summary,
            description=" ".join((handler.__doc__ or "").split()),
            request=request,
            responses={status: answer},
            examples=list(examples),
            tags=[tag],
        )(made)

    return decorate


def part(
    url_path: str,
    *,
    operation_id: str,
    summary: str,
    answer: type[BaseSerializer[Any]],
    orderings: Mapping[str, Ordering] = OLDEST,
) -> Callable[..., Any]:
    """Make a method a GET of a list that belongs to one ticket; it has no filters."""

    def decorate(handler: Callable[..., Response]) -> Any:
        made = action(
            detail=True,
            methods=["get"],
            url_path=url_path,
            orderings=orderings,
            filterset_class=None,
            public_filterset_class=None,
        )(handler)
        return extend_schema(
            operation_id=operation_id,
            summary=summary,
            description=" ".join((handler.__doc__ or "").split()),
            responses={200: answer(many=True)},
            tags=["tickets"],
        )(made)

    return decorate


class Nowhere(Door):
    """Whatever else is asked for under /api/: a problem document, not a page."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound(f"There is nothing at {request.path}.")

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise NotFound

    post = put = patch = delete = get

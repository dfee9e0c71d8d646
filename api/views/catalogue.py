"""What tickets are sorted by, who works them, and the paths they climb."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ViewSetMixin

from accounts.models import Organisation, Team, User
from accounts.queries import scope_of
from accounts.rules import Reach, Verb
from api.pagination import OLDEST
from api.serializers.catalogue import CategorySerializer, PathSerializer, ServiceSerializer
from api.serializers.people import MeSerializer, OrganisationSerializer, TeamSerializer
from api.views.base import Door
from escalation.models import EscalationPath, ServiceTarget, Step, StepContactList, StepTarget
from tickets.models import Category, Service


class _Catalogue(ViewSetMixin, Door):
    """Rows to read: a list and each by its id."""

    lookup_value_converter = "int"
    orderings = OLDEST

    def list(self, request: Request) -> Response:
        return self.page(self.filter_queryset(self.get_queryset()), self._document())

    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(self.show(self._document(), get_object_or_404(self.get_queryset(), pk=pk)))

    def _document(self) -> type[BaseSerializer[Any]]:
        assert self.serializer_class is not None
        return self.serializer_class


def described(noun: str, nouns: str, says: str) -> Any:
    """Describe list and retrieve of a catalogue class."""

    def decorate(view: type[_Catalogue]) -> type[_Catalogue]:
        name = nouns.replace(" ", "_")
        tag = nouns.replace(" ", "-")
        # Not `extend_schema_view`, which would need a copy of both methods in each class anyway.
        for method, operation_id, summary in (
            ("list", f"list_{name}", f"List {nouns}"),
            ("retrieve", f"get_{noun.replace(' ', '_')}", f"Look at one {noun}"),
        ):
            inherited = getattr(_Catalogue, method)

            def handler(
                self: Any, request: Request, *args: Any, _call: Any = inherited, **kwargs: Any
            ) -> Response:
                answer: Response = _call(self, request, *args, **kwargs)
                return answer

            handler.__name__ = method
            setattr(
                view,
                method,
                extend_schema(operation_id=operation_id, summary=summary, description=says, tags=[tag])(
                    handler
                ),
            )
        return view

    return decorate


@described("team", "teams", "People who hold tickets of one tier together.")
class TeamViews(_Catalogue):
    verb = Verb.READ_NOTES
    queryset = Team.objects.none()
    serializer_class = TeamSerializer

    def get_queryset(self) -> QuerySet[Team]:
        active = User.objects.filter(is_active=True).order_by("name", "pk")
        return Team.objects.select_related("lead").prefetch_related(
            Prefetch("members", queryset=active, to_attr="active_members")
        )


@described("service", "services", "What tickets are about.")
class ServiceViews(_Catalogue):
    queryset = Service.objects.none()
    serializer_class = ServiceSerializer

    def get_queryset(self) -> QuerySet[Service]:
        return Service.objects.select_related("owner", "team")


@described("category", "categories", "Kinds of requests.")
class CategoryViews(_Catalogue):
    queryset = Category.objects.none()
    serializer_class = CategorySerializer

    def get_queryset(self) -> QuerySet[Category]:
        return Category.objects.all()


@described(
    "organisation", "organisations", "Whose people open tickets; people outside see their own one only."
)
class OrganisationViews(_Catalogue):
    queryset = Organisation.objects.none()
    serializer_class = OrganisationSerializer

    def get_queryset(self) -> QuerySet[Organisation]:
        if scope_of(self.user, Verb.READ_NOTES).reach == Reach.NOTHING:
            return Organisation.objects.filter(people=self.user)
        return Organisation.objects.all()


@described("path", "paths", "Escalation paths with steps and escalation matrix, as they are now.")
class PathViews(_Catalogue):
    verb = Verb.WATCH
    queryset = EscalationPath.objects.none()
    serializer_class = PathSerializer

    def get_queryset(self) -> QuerySet[EscalationPath]:
        steps = "current__ordered_steps"
        lists = StepContactList.objects.select_related("contact_list").order_by("position", "pk")
        return EscalationPath.objects.select_related(
            "current__calendar", "current__fallback"
        ).prefetch_related(
            Prefetch(
                "current__steps",
                queryset=Step.objects.select_related("team", "calendar").order_by("position"),
                to_attr="ordered_steps",
            ),
            Prefetch(f"{steps}__targets", queryset=StepTarget.objects.order_by("severity"), to_attr="cells"),
            Prefetch(f"{steps}__step_lists", queryset=lists, to_attr="ordered_lists"),
            Prefetch(
                "current__targets",
                queryset=ServiceTarget.objects.order_by("severity"),
                to_attr="ordered_targets",
            ),
        )


class MeView(Door):
    """Who is calling."""

    serializer_class = MeSerializer
    pagination_class = None
    filter_backends: Any = ()

    @extend_schema(
        operation_id="get_me",
        summary="Who am I, and what may I do?",
        responses={200: MeSerializer},
        tags=["me"],
    )
    def get(self, request: Request) -> Response:
        return Response(self.show(MeSerializer, self.user))

"""Which view answers which path of the API."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from rest_framework.routers import SimpleRouter

from api.views.attachments import AttachmentView
from api.views.base import Nowhere
from api.views.catalogue import (
    CategoryViews,
    MeView,
    OrganisationViews,
    PathViews,
    ServiceViews,
    TeamViews,
)
from api.views.docs import DocsView, SchemaView
from api.views.escalations import ClockViews, EscalationRequestViews, EscalationViews, NotificationViews
from api.views.tickets import TicketViews
from api.views.tokens import SignInView, SignOutView, TokensView, TokenView

app_name = "api"

router = SimpleRouter(use_regex_path=False)
router.register("tickets", TicketViews, basename="ticket")
router.register("escalations", EscalationViews, basename="escalation")
router.register("escalation-requests", EscalationRequestViews, basename="escalation-request")
router.register("clocks", ClockViews, basename="clock")
router.register("notifications", NotificationViews, basename="notification")
router.register("paths", PathViews, basename="path")
router.register("teams", TeamViews, basename="team")
router.register("services", ServiceViews, basename="service")
router.register("categories", CategoryViews, basename="category")
router.register("organisations", OrganisationViews, basename="organisation")

v1: list[URLPattern | URLResolver] = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
    path("me/", MeView.as_view(), name="me"),
    path("auth/token/", SignInView.as_view(), name="sign-in"),
    path("auth/tokens/", TokensView.as_view(), name="tokens"),
    path("auth/tokens/<str:token_key>/", TokenView.as_view(), name="token"),
    path("auth/sign-out/", SignOutView.as_view(), name="sign-out"),
    path("attachments/<int:pk>/", AttachmentView.as_view(), name="attachment"),
    *router.urls,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include(v1)),
    re_path("", Nowhere.as_view()),
]

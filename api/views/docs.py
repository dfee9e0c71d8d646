"""The OpenAPI document and a page to read and try it."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.views import View
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from api import problems


@cache
def openapi() -> Any:
    """Return the OpenAPI document; made once per process, it depends on nothing but the code."""
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, as YAML or, asked for by `Accept` or `?format=json`, as JSON; open to all."""

    authentication_classes = ()

    def get_exception_handler(self) -> Any:
        return problems.answer

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        kind = self.perform_content_negotiation(request, force=True)[0].format
        suffix = "json" if "json" in str(kind) else "yaml"
        return Response(
            openapi(), headers={"Content-Disposition": f'inline; filename="belay-openapi.{suffix}"'}
        )


class DocsView(View):
    """Swagger UI under the strict Content-Security-Policy: no inline script, no inline style; open to all."""

    def get(self, request: HttpRequest) -> HttpResponse:
        context = {"schema_url": reverse("api:schema"), "csrf_token_value": get_token(request)}
        return render(request, "api/docs.html", context)

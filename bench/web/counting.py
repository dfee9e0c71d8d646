"""How many statements a request sends, told in its answer where it asks for it."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

ASKED = "X-Bench-Count"
TOLD = "X-Bench-Queries"


def count_queries(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Count all statements of a request, the session's and the person's included (BEGIN and COMMIT apart)."""

    def counted(request: HttpRequest) -> HttpResponse:
        if ASKED not in request.headers:
            return get_response(request)
        sent = 0

        def see(execute: Callable[..., Any], *statement: Any) -> Any:
            nonlocal sent
            sent += 1
            return execute(*statement)

        with connection.execute_wrapper(see):
            response = get_response(request)
        response[TOLD] = str(sent)
        return response

    return counted

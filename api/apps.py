from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "api"

    def ready(self) -> None:
        # Registers itself with the generator of the OpenAPI document.
        from api import authentication  # noqa: F401

"""Pages for people: the desk, the board, the portal."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from web import shell, signing_in

app_name = "web"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", shell.home, name="home"),
    path("bell/", shell.bell, name="bell"),
    path("theme/", shell.set_theme, name="theme"),
    path("sign-in/", signing_in.SignIn.as_view(), name="sign_in"),
    path("sign-out/", signing_in.SignOut.as_view(), name="sign_out"),
]
for module in ("web.agent.urls", "web.board.urls", "web.portal.urls"):
    if find_spec(module.rpartition(".")[0]) and find_spec(module):
        urlpatterns.append(path("", include(module)))

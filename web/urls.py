"""Pages for people: the desk, the board, who is on call, the portal."""

from django.urls import include, path

from web import shell, signing_in

app_name = "web"

urlpatterns = [
    path("", shell.home, name="home"),
    path("waiting/", shell.waiting, name="waiting"),
    path("alarm/", shell.alarm, name="alarm"),
    path("theme/", shell.set_theme, name="theme"),
    path("sign-in/", signing_in.SignIn.as_view(), name="sign_in"),
    path("sign-out/", signing_in.SignOut.as_view(), name="sign_out"),
    path("", include("web.agent.urls")),
    path("", include("web.bell.urls")),
    path("", include("web.board.urls")),
    path("", include("web.me.urls")),
    path("", include("web.outbox.urls")),
    path("", include("web.oncall.urls")),
    path("", include("web.portal.urls")),
    path("", include("web.watching.urls")),
]

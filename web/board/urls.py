"""The ladder board."""

from django.urls import include, path

from web.board import views

urlpatterns = [
    path("board/", views.board, name="board"),
    path("board/part/", views.board_part, name="board_part"),
    path("board/card/<int:ticket_id>/", views.card, name="board_card"),
    path("board/doubts/", views.doubts, name="board_doubts"),
    path("board/take/<int:ticket_id>/", views.take, name="board_take"),
    path("", include("web.mail.urls")),
]

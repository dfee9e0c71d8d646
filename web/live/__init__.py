"""The live stream: what happened, told to the browsers that may know (DESIGN 4)."""

from web.live.stream import application

__all__ = ["application"]

"""Loading files into a running service, over HTTP as any client would."""

from apps.load.command import add_load

__all__ = ["add_load"]

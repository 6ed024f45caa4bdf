"""The demonstration: a small data centre's samples, and their way into a running service."""

from apps.demo.loading import load_demo

__all__ = ["load_demo"]

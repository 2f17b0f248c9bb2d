"""Microsoft Graph: reads, and the interpreter of Graph writes."""

from .client import Graph

__all__ = ["Graph"]

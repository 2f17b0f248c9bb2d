"""exosp: give one application access to chosen Exchange Online mailboxes, and prove it with a real login."""

__version__ = "0.1.0"

"""Who runs exosp, and the application's own token."""

from .identity import Admin, Token, admin, app_token

__all__ = ["Admin", "Token", "admin", "app_token"]

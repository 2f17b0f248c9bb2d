"""Who runs exosp, and the application's own token."""

from .choice import NAMES, Asked, admin, clients
from .identity import Admin, Token, app_token
from .place import tenant_id

__all__ = ["NAMES", "Admin", "Asked", "Token", "admin", "app_token", "clients", "tenant_id"]

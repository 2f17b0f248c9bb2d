"""Find out what the one who runs exosp may do: from the tokens, from Exchange, from the tenant's rules where they can be
read. Judges nothing; what could not be read is kept with its reason."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import CloudError, Error, Forbidden, Throttled, Unreachable
from ..graph import standing
from ..preflight import (
    ROLES,
    Condition,
    Rights,
    Who,
    app_management,
    conditional_access,
    dehydrated,
    security_defaults,
    unread,
)

if TYPE_CHECKING:
    from ..exchange.online import Online
    from ..graph import Graph
    from ..patience import Patience
    from ..playbook import Playbook
    from ..signin import Admin, Token

T = TypeVar("T")


class Reader:
    """One look at one sign-in. ``exchange`` None: nothing says where cmdlets run. ``by_host``: a management host connects to
    Exchange with a certificate of its own, so no token for it is asked for."""

    def __init__(
        self, admin: "Admin", graph: "Graph", exchange: "Online | None", patience: "Patience", *, by_host: bool = False
    ) -> None:
        self._by_host = by_host
        self._admin = admin
        self._graph = graph
        self._exchange = exchange
        self._patience = patience
        self._why: dict[str, str] = {}
        self._shut = False

    def rights(self, *, cmdlets: bool = True, roles: bool = True) -> Rights:
        """``cmdlets``: ask Exchange too; ``roles``: ask what lies ready in PIM. Raises Error where nobody is signed in at all."""
        self._why = {}
        graph = self._try("graph", self._admin.graph_token)
        if self._by_host:
            exchange, self._why["exchange"] = None, "the host connects with a certificate of its own"
        else:
            exchange = self._try("exchange", self._admin.exchange_token)
        if graph is None and exchange is None:  # once more, for its error
            self._patience.transport(self._admin.graph_token if self._by_host else self._admin.exchange_token)
        who = _who(self._admin, exchange or graph)
        held: tuple[frozenset[str], frozenset[str] | None] | None = None
        if cmdlets and self._exchange is not None:
            held = self._cmdlets(self._exchange)
        elif cmdlets:
            self._why["cmdlets"] = "nothing says where Exchange's cmdlets run: set EXOSP_REMOTING"
        eligible = self._eligible(who) if roles and who.object_id else None
        return Rights(
            who=who,
            graph=graph.permissions if graph else None,
            exchange=exchange.permissions if exchange else None,
            cmdlets=held[0] if held else None,
            covered=held[1] if held else None,
            active=_active(graph, exchange),
            eligible=eligible,
            unread=dict(self._why),
            shut=self._shut,
        )

    def conditions(self, who: Who, want: "Playbook | None") -> tuple[Condition, ...]:
        found = []
        for name, read, judged in _RULES:
            body = self._try(name, partial(read, self._graph))
            found.append(unread(name, self._why[name]) if body is None else judged(body, who, want))
        if self._exchange is not None:
            state = self._try("organization", self._exchange.is_dehydrated)
            found.append(unread("organization", self._why["organization"]) if state is None else dehydrated(state))
        return tuple(found)

    def with_owner(self, rights: Rights, application: str) -> Rights:
        """The rights, and whether who runs exosp owns an application that is there. That nobody owns it can be late news
        of one that was made a moment ago, so it is unknown."""
        found = self._try("owners", lambda: standing.owners(self._graph, application))
        if not found:
            why = self._why.get("owners", "nobody is said to own the application, which can be late news of a new one")
            return replace(rights, unread={**rights.unread, "owners": why})
        owned = rights.who.object_id.lower() in {owner.lower() for owner in found}
        return replace(rights, owns="" if owned else application)

    def _cmdlets(self, exchange: "Online") -> tuple[frozenset[str], frozenset[str] | None] | None:
        """None where it cannot be told. Who may not even connect has none."""
        try:
            return self._patience.transport(exchange.commands)
        except (Throttled, Unreachable):
            raise
        except Error as fault:
            self._why["cmdlets"] = _said(fault)
            if isinstance(fault, Forbidden):
                return frozenset(), None
            self._shut = True
            return None

    def _eligible(self, who: Who) -> frozenset[str] | None:
        found = self._try("eligible", lambda: standing.eligible(self._graph, who.object_id))
        return None if found is None else frozenset(ROLES.get(role.lower(), role) for role in found)

    def _try(self, name: str, read: Callable[[], T]) -> T | None:
        """What a read answers; None and its reason where it is refused. What is only late or busy is asked again."""
        try:
            return self._patience.transport(read)
        except (Throttled, Unreachable):
            raise
        except Error as fault:  # a service's refusal, or a reason of this machine's that no session could be opened
            self._why[name] = _said(fault)
            return None


def _said(fault: Error) -> str:
    """What went wrong, and its cause and what to do where the diagnosis table knows it."""
    from ..diagnosis.naming import named

    found = named(fault) if isinstance(fault, CloudError) and fault.service != "graph" else None
    if found is None:
        return fault.what
    return f"{fault.what} (cause: {found.key}: {found.cause}; fix: {found.fix})"


# What is read of the tenant's rules, and what it means. Each may be refused by itself.
_RULES: tuple[tuple[str, Callable[["Graph"], Any], Callable[[Any, Who, "Playbook | None"], Condition]], ...] = (
    ("application management policy", standing.app_management, lambda body, who, want: app_management(body, want)),
    ("security defaults", standing.security_defaults, lambda body, who, want: security_defaults(body, who)),
    ("Conditional Access for workload identities", standing.conditional_access,
     lambda rows, who, want: conditional_access(rows, who)),
)  # fmt: skip


def _active(*tokens: "Token | None") -> frozenset[str] | None:
    """Directory roles that the tokens say are active (``wids``); None where none of them says."""
    said = [token.claims["wids"] for token in tokens if token and isinstance(token.claims.get("wids"), list)]
    if not said:
        return None
    return frozenset(ROLES[str(role).lower()] for roles in said for role in roles if str(role).lower() in ROLES)


def _who(admin: "Admin", token: "Token | None") -> Who:
    claims = token.claims if token else {}
    person = token.of_person if token else False
    name = token.user_principal_name if token and person else str(claims.get("app_displayname") or "")
    return Who(
        sign_in=admin.sign_in,
        person=person,
        name=name,
        app_id=str(claims.get("appid") or claims.get("azp") or ""),
        object_id=str(claims.get("oid") or ""),
        tenant_id=str(claims.get("tid") or ""),
        home=token.home if token else "",
    )

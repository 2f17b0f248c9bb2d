"""Open a tenant for an audit: cloud, sign-in, remoting, the two ports of its census; then read it all, and say how far that
is. It decides nothing."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__, signin
from ..audit import file
from ..audit.collect import Progress, collect
from ..audit.gathered import Head, Wishes
from ..audit.wanted import gather
from ..exchange.census import Census
from ..exchange.cmdlets import READS
from ..graph.census import DirectoryCensus
from ..inventory import Inventory, Section
from .audit import left_out
from .screen import Screen
from .wiring import Session, naming

if TYPE_CHECKING:
    from ..inventory import Wanted

_DOING: dict[Section, str] = {
    "entries": "service principals in Exchange", "role-grants": "application permissions",
    "scope-grants": "delegated permissions", "enterprise-applications": "enterprise applications",
    "last-use": "sign-in activity", "directory-log": "the directory's log", "exchange-log": "Exchange's log",
    "recipient-permissions": "who may send as whom", "client-access": "the mailboxes' protocols",
}  # fmt: skip


def inventory(
    screen: Screen,
    *,
    tenant: str | None,
    cloud_file: Path | None,
    deadline: float,
    sign_in: signin.Asked,
    folders: bool,
    evidence: bool,
    playbooks: Path | None,
    snapshot: Path | None,
) -> Inventory:
    """Read the whole tenant. Raises UsageError, and CloudError where nothing of it can be read."""
    with ExitStack() as stack:
        screen.working("signing in")
        nothing = naming(
            tenant or os.environ.get("AZURE_TENANT_ID", ""), where="--tenant",
            hint="give --tenant contoso.onmicrosoft.com, or set AZURE_TENANT_ID",
        )  # fmt: skip
        session = Session(nothing, screen, cloud_file=cloud_file, deadline=deadline, sign_in=sign_in, commands=READS)
        stack.callback(session._close)
        token = session.patience.transport(session.admin.exchange_token)
        tenant_id = str(token.claims.get("tid", ""))
        names = session.names(tenant_id)
        session.want = replace(session.want, tenant=names[0])
        screen.tenant = names[0]
        wanted = _wanted(playbooks, {tenant_id.lower(), *names}, screen)
        asked = Wishes(
            folders=folders,
            evidence=evidence,
            app_ids=frozenset(app_id for one in wanted or () for app_id in one.app_ids),
            unique_names=frozenset(one.unique_name for one in wanted or () if one.unique_name),
        )
        who = token.user_principal_name or str(token.claims.get("app_displayname") or token.claims.get("appid", ""))
        head = Head(
            tenant=names[0], tenant_id=tenant_id, cloud=session.cloud.name, operator=who, at=datetime.now(UTC),
            version=__version__, emulated=session.cloud.emulated, asked=asked,
        )  # fmt: skip
        keeping = stack.enter_context(file.kept(snapshot, head)) if snapshot is not None else file.in_memory(head)
        exchange = Census(session.remoting, session.pieces, session.patience.transport)
        stack.callback(exchange.close)
        with screen.counting("reading the tenant", 0):
            found = collect(
                DirectoryCensus(session.graph, session.patience.transport),
                exchange,
                session.patience,
                keeping,
                _teller(screen),
            )
        return replace(found, wanted=wanted)


def _wanted(folder: Path | None, names: set[str], screen: Screen) -> "tuple[Wanted, ...] | None":
    if folder is None:
        return None
    found, others = gather(folder, os.environ, names)
    left_out(others, screen)
    return found


def _teller(screen: Screen) -> Callable[[Progress], None]:
    """The moving line: what is read, how many of how many, and how many a second. The screen's own column has the time left."""
    state: dict[str, float | str] = {"section": "", "at": 0.0, "done": 0}

    def tell(progress: Progress) -> None:
        doing = _DOING.get(progress.section, progress.section.replace("-", " "))
        if progress.section != state["section"]:
            state.update(section=progress.section, at=time.monotonic())
        more = progress.done - int(state["done"])
        state["done"] = progress.done
        took = time.monotonic() - float(state["at"])
        rate = f", {progress.done / took:,.0f} a second" if progress.done and took > 1 else ""
        screen.working(f"reading {doing}{rate}", done=more, total=progress.total or 0)

    return tell

"""Find what a cmdlet's -Identity, -User or -Trustee names: recipients, service principals, trustees. It changes nothing
except that entries whose Entra object is gone go too.

Texts: FACTS §2 "Not found / ambiguous". The cmdlets' help says that an unknown identity of a Get-* returns every object;
reports show ManagementObjectNotFoundException: the knob unknown-identity decides.
"""

from collections.abc import Callable, Iterable, Iterator

from ..exchange import Exchange, Mailbox, Row
from ..tenant import Tenant
from .outcome import Failure, Item, Output, Warn
from .session import Call, exchange_error

NOT_FOUND = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
AMBIGUOUS = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException"
DEFAULT_RESULT_SIZE = 1000

# Kinds that -Identity <MailboxIdParameter> finds without -GroupMailbox; any other kind is another object to Exchange.
GUIDS = ("Guid", "ExchangeGuid")


def not_found(call: Call, identity: str) -> Failure:
    controller = f"{call.exchange.server_name[:2]}A01DC001.EURPR10A001.PROD.OUTLOOK.COM"
    return exchange_error(
        call,
        NOT_FOUND,
        f"The operation couldn't be performed because object '{identity}' couldn't be found on '{controller}'.",
    )


def ambiguous(call: Call, identity: str) -> Failure:
    return exchange_error(
        call,
        AMBIGUOUS,
        f"The operation couldn't be performed because '{identity}' matches multiple entries.",
        "Ex2B3F5C",
    )


def is_mailbox(mailbox: Mailbox, *, group: bool = False) -> bool:
    """Does a MailboxIdParameter find it? A MailUser never; a group mailbox with -GroupMailbox, and nothing else then."""
    return mailbox.kind == "GroupMailbox" if group else mailbox.kind not in ("GroupMailbox", "MailUser")


def one(
    call: Call, identity: str, fits: Callable[[Mailbox], bool] = lambda _: True, *, soft_deleted: bool = False
) -> Mailbox:
    """The one recipient of that name. Raises Failure: none, or several."""
    found = [m for m in call.exchange.recipients(identity, soft_deleted=soft_deleted) if fits(m)]
    if len(found) == 1:
        return found[0]
    raise ambiguous(call, identity) if found else not_found(call, identity)


def some(
    call: Call, fits: Callable[[Mailbox], bool], *, identity: str | None, soft_deleted: bool = False
) -> Iterable[Mailbox]:
    """What a Get-* is about: the one it names, or all that fit. Raises Failure."""
    everyone = (m for m in call.exchange.mailboxes if m.soft_deleted == soft_deleted and fits(m))
    if identity is None:
        return everyone
    try:
        return [one(call, identity, fits, soft_deleted=soft_deleted)]
    except Failure as failure:
        if unknown_returns_all(call) and NOT_FOUND in failure.types:
            return everyone
        raise


def unknown_returns_all(call: Call) -> bool:
    if call.tenant.faults["unknown-identity"] == 0:
        call.tenant.faults.note("unknown-identity")
        return True
    return False


def principals(tenant: Tenant) -> list[Row]:
    """Exchange's service principals. One that Entra held and holds no more is gone (application-rbac FAQ)."""
    exchange, known, gone = tenant.exchange, tenant.directory.service_principals, []
    for row in exchange.service_principals:
        properties = row.properties
        if properties["ObjectId"].lower() in known:
            properties["_entra"] = True
        elif properties["_entra"]:
            gone.append(row)
    for row in gone:
        exchange.remove_service_principal(row)
    return exchange.service_principals


def matching_principals(rows: Iterable[Row], identity: str, *, display_name: bool = False) -> list[Row]:
    """By Name, DN, GUID, AppId or ObjectId (Get-ServicePrincipal's help); by DisplayName only where a trustee is meant."""
    wanted = identity.lower()
    names = ("Name", "DistinguishedName", "Guid", "AppId", "ObjectId", *(("DisplayName",) if display_name else ()))
    return [row for row in rows if any(str(row[name]).lower() == wanted for name in names)]


def trustee(call: Call, identity: str) -> str:
    """Whom -User or -Trustee means: an ObjectId or a UPN, as ``_trustee`` keeps it. Raises Failure.

    A service principal answers to ObjectId, AppId, Identity, DisplayName (field practice, FACTS §2); a person to any
    name of the mailbox. Display names can be ambiguous.
    """
    found = [row["ObjectId"] for row in matching_principals(principals(call.tenant), identity, display_name=True)]
    found += [m.properties["UserPrincipalName"] for m in call.exchange.recipients(identity) if m.kind != "GroupMailbox"]
    people = call.tenant.directory.people
    if not found:  # an account without a mailbox is somebody too
        found = [user.upn for user in people.users.values() if identity.lower() in user.trustees]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise ambiguous(call, identity)
    raise exchange_error(
        call,
        NOT_FOUND,
        f"User or group \"{identity}\" wasn't found. Please make sure you've typed it correctly.",
        "Ex83E3D0",
    )


class Names:
    """How rows show their trustees, looked up once for a cmdlet's whole answer, and not at all where no row names one."""

    def __init__(self, tenant: Tenant, knob: str = "permission-user") -> None:
        self._tenant = tenant
        self._exchange: Exchange = tenant.exchange
        self._people = tenant.directory.people
        self._faults, self._knob = tenant.faults, knob
        self._form = int(tenant.faults[knob])
        self._principals: dict[str, Row] | None = None

    def ready(self) -> dict[str, Row]:
        """The entries by object ID. To be called before rows are read: theirs change with an entry that is gone."""
        if self._principals is None:
            self._principals = {row.properties["ObjectId"].lower(): row for row in principals(self._tenant)}
        return self._principals

    def shown(self, trustee: str) -> str | None:
        """What ``User`` or ``Trustee`` shows; None where the trustee is gone and only its SID is left.

        For a service principal no source shows the form: a knob decides.
        """
        row = self.ready().get(trustee.lower())
        if row is not None:
            if self._form:
                self._faults.note(self._knob)
            forms = (row["ObjectId"], row["DisplayName"] or row["ObjectId"], row["_sid"])
            return str(forms[self._form] if self._form < len(forms) else forms[0])
        known = self._exchange.recipients(trustee) or ("@" in trustee and self._people.by_name(trustee))
        return trustee if known else None

    def sid(self, trustee: str) -> str:
        return self._exchange.sid(trustee)


def limited(rows: Iterable[Output], call: Call) -> Iterator[Output]:
    """At most -ResultSize rows, with the warning that there are more."""
    given = "ResultSize" in call.values
    most = call.values.get("ResultSize") if given else DEFAULT_RESULT_SIZE
    shown = 0
    for row in rows:
        if isinstance(row, Item):
            if most is not None and shown >= most:
                yield Warn(_MORE if given else _FIRST_THOUSAND)
                return
            shown += 1
        yield row


_MORE = (
    "There are more results available than are currently displayed. To view them, increase the value for the ResultSize "
    "parameter."
)
_FIRST_THOUSAND = (
    "By default, only the first 1000 items are returned. Use the ResultSize parameter to specify the number of items "
    'returned. To return all items, specify "-ResultSize Unlimited". Be aware that, depending on the actual number of '
    "items, returning all items can take a long time and consume a large amount of memory."
)

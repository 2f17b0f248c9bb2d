"""From a tree of nodes to a Playbook, from the top to the bottom of the file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

from .. import opath
from ..clouds import CLOUDS
from ..errors import Fault
from ..snapshot import Address, Protocol
from . import rules
from .keys import EXAMPLES, Keys, Text, is_empty, quoted
from .rules import Refused
from .values import (
    PROTOCOLS,
    Access,
    App,
    Audience,
    Box,
    Playbook,
    Reach,
    ScopeKind,
    SecretCredential,
    SendAs,
    SmtpScope,
)
from .yaml_nodes import Mapping as Keyed
from .yaml_nodes import Node, Scalar, Sequence

CLOUD_HINTS = {
    "gcc": "tenants of GCC (not High) use `global`",
    "gcc-moderate": "tenants of GCC (not High) use `global`",
}


class Reader(Keys):
    """Reads one playbook; where a method answers nothing, there was a fault."""

    _access: Access = "application"

    # A playbook from the top

    def playbook(self, root: Node) -> Playbook | None:
        """None where there was a fault."""
        start = 0 if isinstance(root, Keyed) else root.start
        keys = self.keys("", "the playbook", root, start)
        if keys is None:
            return None
        self._version(keys.get("exosp"))
        tenant = self.optional(keys, "tenant", rules.tenant, field="tenant")
        cloud = self.optional(keys, "cloud", self._cloud, field="cloud")
        access = self.optional(keys, "access", self.one_of(rules.ACCESS, "kind of access"), field="access")
        self._access = cast(Access, access or "application")
        app = self._app(*keys["app"]) if "app" in keys else None
        protocols = self._protocols("protocols", keys["protocols"][1]) if "protocols" in keys else PROTOCOLS
        boxes = self._boxes(keys["mailboxes"], protocols) if "mailboxes" in keys else ()
        smtp = self._smtp(*keys["smtp"], boxes) if "smtp" in keys else None
        exchange = self._exchange(*keys["exchange"]) if "exchange" in keys else Reach()
        prune = self._truth("prune", *keys["prune"]) if "prune" in keys else False
        if self.faults or tenant is None or app is None:
            return None
        cloud = cloud or "global"
        return Playbook(self.path, tenant, cloud, app, protocols, boxes, exchange, prune, self._access, smtp)

    def _truth(self, field: str, key: Scalar, node: Node) -> bool:
        """true or false, as YAML writes them: any other word could be meant either way."""
        filled = self.filled(field, key, node)
        if isinstance(filled, Scalar) and filled.text in ("true", "false") and filled.kind == "truth":
            return filled.text == "true"
        if filled is not None:
            self.fault(filled.start, f"`{field}` is true or false", f"{field}: true")
        return False

    def _version(self, held: tuple[Scalar, Node] | None) -> None:
        if held is None:
            return
        node = self.filled("exosp", *held)
        if isinstance(node, Scalar) and node.kind == "number" and node.text == "1":
            return
        if isinstance(node, Scalar):
            self.fault(
                node.start, f"`exosp`: {quoted(node.text)} is no version that this exosp reads", "write exosp: 1"
            )
        elif node is not None:
            self.fault(node.start, "`exosp` must be the number 1", "write exosp: 1")

    def _cloud(self, name: str) -> str:
        if name in CLOUDS:
            return name
        raise Refused("is no cloud", CLOUD_HINTS.get(name.lower()) or self.meant(name, CLOUDS))

    def _app(self, key: Scalar, node: Node) -> App | None:
        keys = self.keys("app", "`app`", self.filled("app", key, node), key.start)
        if keys is None:
            return None
        app_id = self.optional(keys, "id", rules.app_id, field="app.id")
        found = self.optional(keys, "key", rules.key, field="app.key")
        name = self.optional(keys, "name", rules.name, field="app.name")
        identity = self.optional(keys, "managed_identity", rules.managed_identity, field="app.managed_identity")
        audience = self.optional(keys, "audience", self.one_of(rules.AUDIENCES, "audience"), field="app.audience")
        home = self.optional(keys, "registered_in", rules.tenant, field="app.registered_in")
        if "registered_in" in keys:
            self._elsewhere(keys)
        kept = "registered_in" in keys
        credential = self._credential(*keys["credential"], kept=kept) if "credential" in keys else None
        if "managed_identity" in keys:
            self._identity_alone(keys)
        elif "credential" not in keys and self._access == "application":
            self.fault(key.start, "`app` has no `credential`", f"add {EXAMPLES['app.credential']}")
        if "credential" in keys and self._access == "delegated":
            what = "`access: delegated` makes a public client, which has no credential"
            self.fault(keys["credential"][0].start, what, "leave `credential` out: people sign in")
        if app_id is None and identity is None and (found is None or name is None):
            return None
        secret = credential if isinstance(credential, SecretCredential) else None
        called = found or app_id or identity or ""
        place = self.place(key.start)
        return App(
            called,
            name or "",
            secret,
            place,
            app_id,
            credential == "federated",
            identity,
            cast(Audience, audience or "single-tenant"),
            home or "",
        )

    def _elsewhere(self, keys: Mapping[str, tuple[Scalar, Node]]) -> None:
        """What belongs beside `registered_in`, and what is the other tenant's affair."""
        if "id" not in keys:
            what = "`registered_in` needs `id`: the application is known here by its Application (client) ID alone"
            self.fault(keys["registered_in"][0].start, what, "add id: …")
        for name, why in (("audience", "is said"), ("managed_identity", "has its identity")):
            if name in keys:
                self.fault(
                    keys[name][0].start, f"`{name}` cannot stand beside `registered_in`: there it {why}", "leave it out"
                )

    def _identity_alone(self, keys: Mapping[str, tuple[Scalar, Node]]) -> None:
        """What cannot stand beside a managed identity."""
        if "credential" in keys:
            what = "a managed identity has no `credential`: Azure gives its workload tokens without one"
            self.fault(keys["credential"][0].start, what, "leave `credential` out")
        if "id" in keys:
            self.fault(keys["id"][0].start, "`id` and `managed_identity` are two applications", "keep one of them")
        if self._access == "delegated":
            what = "nobody signs in to a managed identity, and `access: delegated` is for people"
            self.fault(keys["managed_identity"][0].start, what, "leave `access` out")

    def _credential(
        self, key: Scalar, node: Node, *, kept: bool = False
    ) -> "SecretCredential | Literal['federated'] | None":
        """What the application proves itself by. A federated one is made and used elsewhere: nothing more is said of it.
        ``kept``: a secret that the application's own playbook made and saved; it has no ``valid_for`` here."""
        field = "app.credential"
        filled = self.filled(field, key, node)
        if _is_federated(filled):
            keys = self.keys(field, f"`{field}`", filled, key.start, frozenset(("valid_for", "save_to")))
            for name in ("valid_for", "save_to"):
                if keys and name in keys:
                    self.fault(keys[name][0].start, f"a federated credential has no `{name}`", "it is made elsewhere")
            return "federated"
        keys = self.keys(field, f"`{field}`", filled, key.start, frozenset(("valid_for",)) if kept else frozenset())
        if keys is None:
            return None
        if kept and "valid_for" in keys:
            what = "the secret is made where the application is registered, so `valid_for` says nothing here"
            self.fault(keys["valid_for"][0].start, what, "leave it out")
        self.optional(keys, "type", self.one_of(rules.CREDENTIALS, "type of credential"), field=f"{field}.type")
        valid_for = self.optional(keys, "valid_for", rules.valid_for, field=f"{field}.valid_for")
        valid_for = 0 if kept else valid_for
        save_to = self.optional(keys, "save_to", self._save_to, field=f"{field}.save_to")
        if valid_for is None or save_to is None:
            return None
        written = cast(Scalar, keys["save_to"][1])
        return SecretCredential(valid_for, save_to, written.text, self.place(written.start))

    def _save_to(self, value: str) -> Path:
        """Where the credential goes, without symbolic links on the way."""
        allowed = "--allow-outside lifts this"
        if value.startswith("~"):
            raise Refused("begins with ~, which is not replaced", "write a path from the playbook's folder")
        if Path(value).is_absolute() and not self.allow_outside:
            raise Refused("is an absolute path", f"write a path from the playbook's folder; {allowed}")
        try:
            folder = self.path.parent.resolve()
            aim = folder / value
            named = aim.name not in ("", "..") and not value.endswith(("/", "/."))
            found = aim.parent.resolve() / aim.name if named else aim.resolve()
            if not found.is_relative_to(folder) and not self.allow_outside:
                raise Refused("leads out of the playbook's folder", allowed)
            if not named or (found.is_dir() and not found.is_symlink()):
                raise Refused("is a folder", "name a file, such as support-desk.env")
            if found.is_symlink():
                raise Refused("is a symbolic link", "name the file itself")
            if found == self.path.resolve() or (found.exists() and self.path.exists() and found.samefile(self.path)):
                raise Refused("is the playbook itself", "name another file, such as support-desk.env")
        except (OSError, RuntimeError, ValueError) as fault:  # too long, a loop of links, a NUL
            why = os.strerror(fault.errno) if isinstance(fault, OSError) and fault.errno else "no such path can exist"
            raise Refused(f"cannot be a path: {why}") from None
        return found

    # Mailboxes

    def _boxes(self, held: tuple[Scalar, Node], protocols: tuple[Protocol, ...]) -> tuple[Box, ...]:
        key, node = held
        if node is not None and is_empty(node):
            self.fault(key.start, "`mailboxes` names no mailbox", EXAMPLES["mailboxes"])
            return ()
        if not isinstance(node, Sequence):
            self.wrong("mailboxes", node, "a list of mailboxes", EXAMPLES["mailboxes"])
            return ()
        boxes = [self._box(item, protocols) for item in node.items]
        if not boxes:
            self.fault(key.start, "`mailboxes` names no mailbox", EXAMPLES["mailboxes"])
        return tuple(box for box in self._unique(boxes) if box is not None)

    def _unique(self, boxes: "list[tuple[Box, str] | None]") -> list[Box]:
        first: dict[str, Box] = {}
        for box, shown in (held for held in boxes if held is not None):
            other = first.setdefault(box.address.lower(), box)
            if other is not box:
                lines = f"lines {other.place.line} and {box.place.line}"
                self.faults.append(
                    Fault(box.place.line, box.place.column, f"{quoted(shown)} is listed twice: {lines}", "keep one")
                )
        return list(first.values())

    def _box(self, node: Node, protocols: tuple[Protocol, ...]) -> tuple[Box, str] | None:
        if is_empty(node):
            self.fault(node.start, "an entry of `mailboxes` is empty", "write an address, or drop the dash")
            return None
        if not isinstance(node, Keyed):
            found = self.text("mailboxes", node)
            address = self.checked("", found, rules.address)
            if found is None or address is None:
                return None
            return Box(Address(address), frozenset(protocols), None, self.place(found.start)), found.shown
        keys = self.keys("mailboxes", "a mailbox", node, node.start)
        assert keys is not None
        held = self.text("mailboxes.address", keys["address"][1], keys["address"][0]) if "address" in keys else None
        address = self.checked("", held, rules.address)
        own = protocols
        if "protocols" in keys:
            own = self._protocols("mailboxes.protocols", keys["protocols"][1])
        send_as = self._send_as(keys["send_as"], address, own) if "send_as" in keys else None
        if held is None or address is None:
            return None
        return Box(Address(address), frozenset(own), send_as, self.place(held.start)), held.shown

    def _protocols(self, field: str, node: Node) -> tuple[Protocol, ...]:
        """In the order written. Nothing where there was a fault."""
        hint = "[imap, pop, smtp], or some of them"
        if not isinstance(node, Sequence):
            self.wrong(field, node, "a list of protocols", hint)
            return ()
        if not node.items:
            self.fault(node.start, f"`{field}` names no protocol", hint)
        found: dict[Protocol, None] = {}
        for item in node.items:
            text = self.text(field, item)
            name = cast("Protocol | None", self.checked("", text, self.one_of(PROTOCOLS, "protocol")))
            if name in found:
                self.fault(item.start, f"{quoted(text.shown if text else '')} is listed twice", "keep one")
            elif name is not None:
                found[name] = None
        return tuple(found)

    def _send_as(
        self, held: tuple[Scalar, Node], address: str | None, protocols: tuple[Protocol, ...]
    ) -> SendAs | None:
        key, node = held
        field = "mailboxes.send_as"
        keys = self.keys(field, "`send_as`", self.filled(field, key, node), key.start)
        if keys is None:
            return None
        sender = self.optional(keys, "from", rules.address, field="")
        by = self.optional(keys, "by", self.one_of(("app", "mailbox"), "holder of SendAs"), field=f"{field}.by")
        if protocols and "smtp" not in protocols:
            self.fault(key.start, "`send_as` needs smtp, which is not among this mailbox's protocols")
        if sender is not None and address is not None and by == "mailbox" and sender.lower() == address.lower():
            self.fault(keys["from"][1].start, "a mailbox needs no right to send as itself", "drop `send_as`")
        if self._access == "delegated":
            self.fault(
                key.start, "`send_as` is the application's, and with `access: delegated` people hold their own rights"
            )
        if sender is None:
            return None
        return SendAs(Address(sender), cast(Literal["app", "mailbox"], by or "app"), self.place(key.start))

    # SMTP by RBAC for Applications

    def _smtp(self, key: Scalar, node: Node, boxes: tuple[Box, ...]) -> SmtpScope | None:
        """None where it goes by the claim, or at a fault."""
        keys = self.keys("smtp", "`smtp`", self.filled("smtp", key, node), key.start)
        if keys is None:
            return None
        access = self.optional(keys, "access", self.one_of(rules.SMTP_ACCESS, "access for SMTP"), field="smtp.access")
        given = [name for name in ("scope", "filter", "admin_unit") if name in keys]
        if access == "claim":
            for name in given:
                what = f"`{name}` narrows `access: rbac`, and the claim SMTP.SendAsApp knows no scope"
                self.fault(keys[name][0].start, what, "write access: rbac, or leave it out")
        if access != "rbac":
            return None
        if self._access == "delegated":
            what = "`smtp: {access: rbac}` is an application's, and with `access: delegated` people sign in"
            self.fault(key.start, what, "leave one of the two out")
        if boxes and not any("smtp" in box.protocols for box in boxes):
            self.fault(key.start, "`smtp` says how SMTP is let in, and no mailbox uses it", "add smtp to `protocols`")
        if len(given) != 1:
            held = " and ".join(f"`{name}`" for name in given) or "none of them stands here"
            what = f"`smtp` needs exactly one of `scope`, `filter` and `admin_unit`: {held}"
            self.fault(keys[given[1]][0].start if given else key.start, what, EXAMPLES["smtp"])
            return None
        name = given[0]
        kinds: dict[str, ScopeKind] = {"scope": "group", "filter": "filter", "admin_unit": "admin_unit"}
        value = self._filter(*keys["filter"]) if name == "filter" else self.optional(
            keys, name, rules.address if name == "scope" else rules.admin_unit, field=f"smtp.{name}"
        )  # fmt: skip
        return None if value is None else SmtpScope(kinds[name], value, self.place(keys[name][1].start))

    def _filter(self, key: Scalar, node: Node) -> str | None:
        """An OPATH filter, or properties with the values that they must have, which may come from variables."""
        field = "smtp.filter"
        if not isinstance(node, Keyed):
            held = self.text(field, node, key)
            if held is not None and held.replaced:
                what = f"{quoted(held.shown)}: a variable's value could say more than it should in a filter"
                self.fault(
                    held.start, what, "give it by property, and it is quoted: filter: {Department: ${EXOSP_VAR_…}}"
                )
                return None
            return self.checked(field, held, rules.recipient_filter)
        values = {}
        for name, value in node.pairs:
            text = self.text(f"{field}.{name.text}", value, name)
            plain = self.checked(f"{field}.{name.text}", text, str)
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name.text):
                self.fault(name.start, f"{quoted(name.text)} is no recipient property", "such as Department")
            elif plain is not None:
                values[name.text] = plain
        if not node.pairs:
            self.fault(key.start, "`smtp.filter` is empty", "filter: {Department: Sales}")
        return opath.all_of(values) if values and len(values) == len(node.pairs) else None

    # Exchange

    def _exchange(self, key: Scalar, node: Node) -> Reach:
        keys = self.keys("exchange", "`exchange`", self.filled("exchange", key, node), key.start)
        if keys is None:
            return Reach()
        read = self.optional
        for one, other in (("app", "thumbprint"), ("thumbprint", "app")):
            if one in keys and other not in keys:
                self.fault(
                    keys[one][0].start, f"`exchange.{one}` goes with `{other}`",
                    "the application's client ID, and the thumbprint of its certificate on the host",
                )  # fmt: skip
        return Reach(
            remoting=read(keys, "remoting", self.one_of(rules.REMOTINGS, "remoting"), field="exchange.remoting"),
            host=read(keys, "host", rules.host, field="exchange.host"),
            port=self._port(*keys["port"]) if "port" in keys else None,
            path=read(keys, "path", rules.url_path, field="exchange.path"),
            auth=read(keys, "auth", self.one_of(rules.AUTHS, "way to authenticate"), field="exchange.auth"),
            configuration=read(keys, "configuration", rules.configuration, field="exchange.configuration"),
            app=read(keys, "app", rules.app_id, field="exchange.app"),
            thumbprint=read(keys, "thumbprint", rules.thumbprint, field="exchange.thumbprint"),
            place=self.place(key.start),
        )

    def _port(self, key: Scalar, node: Node) -> int | None:
        """A plain number, or a variable that holds one."""
        filled = self.filled("exchange.port", key, node)
        if isinstance(filled, Scalar) and filled.kind == "number":
            held: Text | None = Text(filled.text, filled.text, filled.start, replaced=False)
        else:
            held = self.text("exchange.port", filled) if filled is not None else None
        return self.checked("exchange.port", held, _port_number)


def _is_federated(node: Node | None) -> bool:
    """Whether a credential says that it is one."""
    return isinstance(node, Keyed) and any(
        name.text == "type" and isinstance(value, Scalar) and value.text == "federated" for name, value in node.pairs
    )


def _port_number(value: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", value) or int(value) > 65535:
        raise Refused("is no port", "a plain number from 1 to 65535")
    return int(value)

"""Run one pipeline as PowerShell does: find the command, bind it, feed it its input, and report by streams.

It knows no wire: commands come as data, output goes to a Sink. Each item costs what Options say, and one identity runs at
most so many at once. A cmdlet that is not there and one that the caller lacks are told apart by nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..audit_log import cmdlet_record
from ..faults import Faults
from ..tenant import Tenant
from . import TABLE, builtin, connection, endpoints
from .binding import Bound, Spec, bind, bind_input, schema, spec
from .outcome import (
    RUNTIME,
    Failure,
    Item,
    Output,
    Warn,
    command_not_found,
    no_language,
    no_user_interaction,
    not_emulated,
)
from .session import Call, Cmdlet, Connection, Runspace, exchange_error

_WRITING = frozenset({"New", "Add", "Set", "Remove", "Enable", "Disable"})  # the verbs of cmdlets that change a tenant
_EVERY = 25  # items between two turns of the event loop, where nothing else waits


@dataclass(frozen=True)
class Command:
    """One command of a pipeline, as the client built it: name, then parameters in order (None: positional)."""

    name: str
    parameters: tuple[tuple[str | None, Any], ...] = ()
    is_script: bool = False


class Sink(Protocol):
    """Where a pipeline's streams go. ``item``: the 1-based number of the input object."""

    def output(self, row: Item) -> None: ...

    def warning(self, text: str, item: int) -> None: ...

    def error(self, failure: Failure, item: int) -> None: ...


@dataclass(frozen=True)
class _Entry:
    """A command that exists in this session."""

    spec: Spec
    cmdlet: Cmdlet
    connection: Connection | None


class Engine:
    """One per host: it holds how many cmdlets each identity runs at once. ``service``: how requests are counted."""

    def __init__(self, tenant: Tenant, service: str = "remoting") -> None:
        self.tenant = tenant
        self._service = service
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._overslept = 0.0  # seconds, over all cmdlets that are charged

    async def run(
        self,
        runspace: Runspace,
        statements: Sequence[Sequence[Command]],
        items: AsyncIterator[Any] | None,
        sink: Sink,
        *,
        full_language: bool,
    ) -> None:
        """Run the statements in order. Raises Failure where the pipeline ends in error.

        In a batch of statements a terminating error is reported and the next statement runs, except where
        -ErrorAction Stop caused it (PowerShell's source, LocalPipeline).
        """
        if not full_language and (len(statements) > 1 or any(len(s) > 1 or s[0].is_script for s in statements)):
            raise no_language()
        for statement in statements:
            try:
                await self._statement(runspace, statement, items, sink, full_language)
            except _Stopped as stop:
                raise stop.failure from None
            except Failure as failure:
                if len(statements) == 1:
                    raise
                sink.error(failure, 0)

    async def _statement(
        self,
        runspace: Runspace,
        commands: Sequence[Command],
        items: AsyncIterator[Any] | None,
        sink: Sink,
        full_language: bool,
    ) -> None:
        first, *rest = commands
        self.tenant.count(self._service, _canonical(first.name) if not first.is_script else "script")
        try:
            if any(command.is_script for command in commands):
                raise not_emulated("scripts; add commands and parameters instead")
            entry = self._find(runspace, first.name)
            shape = _shape(rest)
            bound = bind(
                entry.spec, first.parameters, entry.cmdlet.parameters, entry.cmdlet.sets, piped=items is not None
            )
        except Failure as failure:
            failure.activity = failure.activity or _canonical(first.name)
            raise
        streams = _Streams(sink, bound, shape, self.tenant.faults if items is not None else None)
        number = 0
        try:
            async for item in items if items is not None else _nothing():
                number += 1
                await self._one(entry, bound, runspace, item, items is not None, number, streams)
                streams.surface(number)
                if number % _EVERY == 0:
                    await asyncio.sleep(0)
        finally:
            streams.surface(number, last=True)

    async def _one(
        self, entry: _Entry, bound: Bound, runspace: Runspace, item: Any, piped: bool, number: int, streams: "_Streams"
    ) -> None:
        name = bound.spec.name
        try:
            values = bind_input(bound, item) if piped else bound.values
            if runspace.endpoint.wrapped:
                endpoints.check(bound, values)
            await self._charge(entry.connection)
            if entry.connection is not None and self.tenant.clock.now() >= entry.connection.expires:
                raise connection.unauthorized()  # -AccessToken cannot be renewed by the module
            call = Call(name, self.tenant, runspace, values)
            if (
                entry.connection is not None
                and not entry.cmdlet.module
                and self.tenant.faults.strikes("item-transient")
            ):
                raise _transient(call)
            write = entry.connection is not None and not entry.cmdlet.module and name.partition("-")[0] in _WRITING
            if write:
                self.tenant.tell("before", f"{self._service} {name}")
            for count, output in enumerate(self._outputs(entry, call), 1):
                streams.take(output, number)
                if count % _EVERY == 0:
                    await asyncio.sleep(0)
            if write:
                self._log(call, entry.connection)
                self.tenant.tell("after", f"{self._service} {name}")
        except Failure as failure:
            failure.activity = name
            if failure.terminating:
                raise
            streams.fail(failure, number)

    def _log(self, call: Call, connection: Connection | None) -> None:
        """The audit log's record of a cmdlet that changed something. How it names an application is assumed."""
        if connection is None or call.values.get("WhatIf"):
            return
        tenant, identity = (
            self.tenant,
            str(call.values.get("Identity") or call.values.get("AppId") or call.values.get("Name") or ""),
        )
        boxes = call.exchange.recipients(identity)
        entries = [row for row in call.exchange.service_principals if row["AppId"] == identity]
        target = str(boxes[0].properties["Identity"] if boxes else entries[-1]["Identity"] if entries else identity)
        actor = tenant.directory.actor(connection.object_id)
        who = actor.upn or f"ServicePrincipal_{connection.object_id}"
        parameters = {name: _told(value) for name, value in call.values.items() if name != "Confirm"}
        record = cmdlet_record(
            call.name, target, parameters, who, tenant.tenant_id, tenant.domain, call.exchange.server_name, tenant.clock.now()
        )  # fmt: skip
        call.exchange.admin_log.append(record | {"AppId": connection.app_id})
        call.exchange.log_shows[record["Id"]] = tenant.clock.now() + tenant.faults.draw("audit-log-lag")

    def _outputs(self, entry: _Entry, call: Call) -> Iterator[Output]:
        if entry.spec.name == "Get-Command":
            return builtin.get_command(call, self._visible(call.runspace))
        return entry.cmdlet.run(call)

    async def _charge(self, connection: Connection | None) -> None:
        seconds = self.tenant.options.cmdlet_time
        if seconds <= 0:
            return
        if connection is None:
            await asyncio.sleep(seconds)
            return
        most = max(1, self.tenant.options.cmdlets_at_once)
        async with self._slots.setdefault(connection.object_id, asyncio.Semaphore(most)):
            # What a timer oversleeps (a millisecond of ten, and more while others work) is taken off the next cmdlet, so that
            # the price is the one that was asked for and not the emulator's own.
            early = min(self._overslept, seconds)
            self._overslept -= early
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.sleep(seconds - early)
            late = loop.time() - began - (seconds - early)
            self._overslept = min(self._overslept + late, most * seconds)

    def _find(self, runspace: Runspace, name: str) -> _Entry:
        """The command of that name in this session. Raises Failure."""
        canonical = _canonical(name)
        if runspace.endpoint.wrapped:
            return self._find_wrapped(runspace, canonical, name)
        if canonical in builtin.SPECS:
            parameters = frozenset(builtin.SPECS[canonical].parameters)
            cmdlet = builtin.CMDLETS.get(canonical, Cmdlet(lambda call: iter(()), parameters))
            return _Entry(builtin.SPECS[canonical], cmdlet, None)
        if canonical not in self._visible(runspace):
            raise command_not_found(name)
        if canonical in _OWN_SETTINGS and self.tenant.exchange.dehydrated():
            self.tenant.faults.note("dehydrated")
            raise _dehydrated(canonical)
        if canonical not in TABLE:
            raise not_emulated(f"the cmdlet {canonical}")
        if canonical in MODULE_CMDLETS:
            newest = runspace.connections[-1] if runspace.connections and canonical.startswith("Get-EXO") else None
            return _Entry(connection.of_version(spec(canonical), self.tenant.options.module), TABLE[canonical], newest)
        held = runspace.connection(canonical)
        return _Entry(spec(canonical), TABLE[canonical], held)

    def _find_wrapped(self, runspace: Runspace, canonical: str, name: str) -> _Entry:
        """A command of a constrained endpoint. A wrapper is there before a connection; what it calls is not."""
        if canonical not in endpoints.visible(runspace.endpoint):
            raise command_not_found(name)
        if canonical in endpoints.OWN and not self.tenant.options.module:
            raise command_not_found("Connect-ExchangeOnline")
        if canonical in builtin.SPECS:
            parameters = frozenset(builtin.SPECS[canonical].parameters)
            cmdlet = builtin.CMDLETS.get(canonical, Cmdlet(lambda call: iter(()), parameters))
            return _Entry(builtin.SPECS[canonical], cmdlet, None)
        if runspace.endpoint.connected and not runspace.connections and self.tenant.options.module:
            connection.connect_by_host(self.tenant, runspace, endpoints.wrappers(runspace.endpoint))
        if canonical in endpoints.OWN:
            return _Entry(*endpoints.OWN[canonical], None)
        held = runspace.connection(canonical)
        if held is None:
            raise command_not_found(name)
        if canonical not in TABLE:
            raise not_emulated(f"the cmdlet {canonical}")
        return _Entry(endpoints.wrapper(canonical), TABLE[canonical], held)

    def _visible(self, runspace: Runspace) -> set[str]:
        if runspace.endpoint.wrapped:
            return set(endpoints.visible(runspace.endpoint))
        connected = {name for connection in runspace.connections for name in connection.cmdlets}
        return connected | (MODULE_CMDLETS if self.tenant.options.module else set()) | set(builtin.SPECS)


def _told(value: Any) -> str:
    return ";".join(map(str, value)) if isinstance(value, list) else str(value)


# The module's own, there before a connection: its connection cmdlets and the nine Get-EXO*.
MODULE_CMDLETS = {name for name, cmdlet in TABLE.items() if cmdlet.module} | {
    name for name in schema() if name.startswith("Get-EXO")
}


def _canonical(name: str) -> str:
    """The name as the vendor writes it; the client's own, cut short, where nobody knows it."""
    return _NAMES.get(name.rpartition("\\")[2].lower(), name[:64])


_NAMES = {name.lower(): name for name in (*schema(), *builtin.SPECS, *endpoints.OWN)}


# What an organization with the standard settings refuses (Enable-OrganizationCustomization's help; FACTS §13).
_OWN_SETTINGS = frozenset({"New-ManagementScope", "New-ManagementRoleAssignment", "New-RoleGroup"})


def _dehydrated(name: str) -> Failure:
    kind = "Microsoft.Exchange.Configuration.Tasks.InvalidOperationInDehydratedContextException"
    return Failure(
        f"Ex6B3B7A|{kind}|The command you tried to run isn't currently allowed in your organization. To run this command, "
        "you first need to run the command: Enable-OrganizationCustomization.",
        kind,
        types=(kind, "System.Exception"),
        target=name,
    )


def _shape(rest: Iterable[Command]) -> Callable[[Item], Item | None]:
    """What the commands after the first make of a row. Raises Failure for any that does more than shape rows."""
    shapes = []
    for command in rest:
        name = _canonical(command.name)
        if name not in builtin.SINKS:
            raise not_emulated(f"a pipeline into {name}")
        bound = bind(builtin.SPECS[name], command.parameters, frozenset(builtin.SPECS[name].parameters))
        shapes.append(builtin.sink(name, bound.values))

    def apply(row: Item) -> Item | None:
        shaped: Item | None = row
        for shape in shapes:
            shaped = shape(shaped) if shaped is not None else None
        return shaped

    return apply


async def _nothing() -> AsyncIterator[None]:
    yield None


class _Stopped(Exception):
    """-ErrorAction or -WarningAction Stop: it ends the whole pipeline, batch or not."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _transient(call: Call) -> Failure:
    """Nothing was done; the same item works a moment later (michevnew/PowerShell#9)."""
    kind = "Microsoft.Exchange.Data.Directory.ADServerSettingsChangedException"
    return exchange_error(call, kind, "An error caused a change in the current set of domain controllers.", "Ex59B80C")


class _Streams:
    """A sink behind the common parameters of one command. ``faults``: those of input that the module sends in tens."""

    def __init__(
        self, sink: Sink, bound: Bound, shape: Callable[[Item], Item | None], faults: Faults | None = None
    ) -> None:
        self._faults = faults
        self._held: list[tuple[int, int, Failure]] = []  # the item at which it surfaces, its own, the error
        self._sink = sink
        self._name = bound.spec.name
        self._shape = shape
        self._errors = bound.common.get("ErrorAction") or "Continue"
        self._warnings = bound.common.get("WarningAction") or "Continue"

    def take(self, output: Output, item: int) -> None:
        match output:
            case Warn(text):
                self._warn(text, item)
            case Failure():
                output.activity = self._name
                self.fail(output, item)
            case Item():
                shaped = self._shape(output)
                if shaped is not None:
                    self._sink.output(shaped)

    def _warn(self, text: str, item: int) -> None:
        match self._warnings:
            case "SilentlyContinue" | "Ignore":
                return
            case "Stop":
                raise _Stopped(Failure(
                    "The running command stopped because the preference variable \"WarningPreference\" or common "
                    f"parameter is set to Stop: {text}",
                    "ActionPreferenceStop",
                    types=("System.Management.Automation.ActionPreferenceStopException", *RUNTIME),
                    category="OperationStopped",
                ))  # fmt: skip
            case "Inquire":
                raise no_user_interaction(text)
        self._sink.warning(text, item)

    def fail(self, failure: Failure, item: int) -> None:
        match self._errors:
            case "SilentlyContinue" | "Ignore":
                return
            case "Stop":
                raise _Stopped(failure)
            case "Inquire":
                raise no_user_interaction(failure.message)
        most = int(self._faults["late-errors"]) if self._faults else 0
        late = self._faults.generator("late-errors").randint(0, most) if self._faults and most else 0
        self._held.append((item + late, item, failure))

    def surface(self, item: int, *, last: bool = False) -> None:
        """Report the errors whose time has come with this item; all of them where it is the last."""
        due = [row for row in self._held if last or row[0] <= item]
        self._held = [row for row in self._held if row not in due]
        for _, own, failure in due:
            if self._faults and item > own:
                self._faults.note("late-errors")
            self._sink.error(failure, item)

"""A running Dask cluster: its workers hold processes as this machine would, and the loads go to them by name.

Dask decides nothing here. Who gets what is decided as for local processes, so that it is known what was lost with a
worker; one that is not heard of, or computes with something else, gets nothing. A load travels as bytes which neither
Dask's scheduler nor its workers unpickle, so the scheduler needs no Learnability, and a worker that lacks it says so.
"""

from __future__ import annotations

import asyncio
import pickle
import secrets
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from learnability import provenance
from learnability.errors import RequestError
from learnability.source import one_line
from learnability.sweep import wire
from learnability.sweep.batches import Load
from learnability.sweep.crew import SweepWarning
from learnability.sweep.perform import debugging
from learnability.sweep.process import LEASE, NOTICE, PATIENCE

__all__ = ["DaskCrew"]

CONNECT_SECONDS, WORKER_SECONDS = 5.0, 5.0
"""How long a scheduler may take to answer, and to have a worker."""

_POLL, _ANSWER, _SILENT, _IDLE = 1.0, 10.0, 30.0, 60.0
"""Seconds between two looks at the scheduler, that it may take to answer, that a worker may not be heard of, and that
a process there waits for an order before it ends."""

_UNBORN = 3
"""Processes that may fail to start at one worker before it gets no load any more."""


@dataclass(eq=False)
class _Member:
    """A Dask worker."""

    address: str
    threads: int = 1
    state: str = "greeted"  # then "usable" or "out"
    running: bool = True
    seen: float = 0.0  # by the scheduler, on its clock
    heard: float = field(default_factory=time.monotonic)  # when that last changed
    unborn: int = 0
    why: str = ""
    late: set[Load] = field(default_factory=set)
    flying: dict[Load, asyncio.Task[None]] = field(default_factory=dict)
    holds: set[str] = field(default_factory=set)

    @property
    def silent(self) -> bool:
        return time.monotonic() - self.heard > _SILENT

    @property
    def usable(self) -> bool:
        return self.state == "usable" and self.running and not self.silent

    @property
    def room(self) -> int:
        """One load for each thread, and one behind each where they do not take long."""
        if not self.usable:
            return 0
        slow = self.late or any(load.seconds > 2 * LEASE for load in self.flying)
        return max(self.threads * (1 if slow else 2) - len(self.flying), 0)


class DaskCrew:
    """The workers of a Dask scheduler, those included that come later.

    Parameters
    ----------
    address : str
        The scheduler's. Certificates and the like are those of Dask's configuration.
    wanted : mapping
        What this process computes with; workers with something else are left out.
    limit : float or None
        Seconds that one task may take.

    Raises
    ------
    RequestError
        If no scheduler answers at the address, or it has no worker that can be used.
    """

    def __init__(self, address: str, wanted: Mapping[str, str], limit: float | None) -> None:
        self.events = SimpleQueue[tuple[Load, str, str]]()
        self.address, self.wanted, self.limit = address, wanted, limit
        self._sweep = f"learnability-{secrets.token_hex(8)}"
        self._members: dict[str, _Member] = {}
        self._loads: dict[int, Load] = {}
        self._notices = deque[str]()
        self._left_out = set[tuple[str, str]]()
        self._lacks: tuple[str, float] | None = (f"the Dask scheduler at {address}", time.monotonic())
        self._told_of: tuple[str, float] | None = None
        self._given, self._count = deque[Load](), 0
        self._client: Any = None
        self._scheduler, self._connected = "", 0.0
        self._refused: str | None = None
        self._loud = {} if debugging() else wire.quietened()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        try:
            self._wait_for_workers()
        except BaseException:
            self.close()
            raise

    # What the caller's thread asks.

    def slots(self) -> int:
        """How many tasks may run at a time."""
        return sum(member.threads for member in [*self._members.values()] if member.usable)

    def room(self) -> int:
        """How many loads are wanted."""
        return sum(member.room for member in [*self._members.values()]) - len(self._given)

    def give(self, load: Load) -> None:
        """Send a load to the worker with the most room."""
        self._given.append(load)
        self._loop.call_soon_threadsafe(self._assign)

    def look(self) -> Iterator[str]:
        """Workers that are left out, and what is waited for. Gives up after :data:`~process.PATIENCE` seconds."""
        while self._notices:
            yield self._notices.popleft()
        lacks = self._lacks
        if lacks is None:
            return
        waited = time.monotonic() - lacks[1]
        if waited >= PATIENCE:
            raise ConnectionError(
                f"waited {PATIENCE:.0f} s for {lacks[0]}: finished tasks are kept, run again for the rest"
            )
        if waited >= NOTICE and lacks != self._told_of:
            self._told_of = lacks
            yield f"waiting for {lacks[0]}, since {waited:.0f} s"

    def failed(self, load: Load, how: str, told: str) -> None:
        """That worker gets no more; others may."""

    def hear_out(self) -> None:
        """Nothing: a load's answers come all at once."""

    def close(self) -> None:
        """End what runs there and let go of the cluster; it takes no longer than a few seconds."""
        if self._thread.is_alive():
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(timeout=10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
        for logger, level in self._loud.items():
            logger.setLevel(level)

    def _wait_for_workers(self) -> None:
        """Return when there is a worker that can be used."""
        wrong = f"scheduler must be the address of a running Dask scheduler, got {self.address!r}"
        while not self.slots():
            if self._refused is not None:
                raise RequestError(f"{wrong}: {self._refused}")
            members = [*self._members.values()]
            if members and all(member.state == "out" for member in members):
                told = "; ".join(f"{member.address} {member.why}" for member in members[:3])
                raise RequestError(f"{wrong}: none of its workers can be used: {told}")
            if self._connected and not members and time.monotonic() - self._connected > WORKER_SECONDS:
                raise RequestError(f"{wrong}: it has no workers")
            for told in self.look():
                warnings.warn(told, SweepWarning, stacklevel=2)
            time.sleep(0.05)

    # What happens in the thread of the event loop.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._living = self._loop.create_task(self._live())
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        with suppress(Exception):
            self._loop.run_until_complete(asyncio.sleep(0.05))

    async def _live(self) -> None:
        """Be connected, again and again."""
        while True:
            try:
                await asyncio.wait_for(
                    wire.probe(self.address, CONNECT_SECONDS), CONNECT_SECONDS + 0.5
                )  # its own limit knows more
                await self._attend()
            except Exception as error:
                if not self._connected:
                    self._refused = wire.why(error, CONNECT_SECONDS)
                    return
            for member in [*self._members.values()]:
                self._drop(member, "lost")
            await self._disconnect()
            self._need(f"the Dask scheduler at {self.address}")
            await asyncio.sleep(_POLL)

    async def _attend(self) -> None:
        """Look at the scheduler's workers now and then, until it is gone."""
        from distributed import Client

        connecting = Client(
            self.address, asynchronous=True, timeout=CONNECT_SECONDS, set_as_default=False, name="learnability"
        )
        self._client = client = await asyncio.wait_for(connecting, 2 * CONNECT_SECONDS)
        client.subscribe_topic(self._sweep, self._hear)
        self._scheduler = ""
        while client.status == "running":
            asked = time.monotonic()
            try:
                found = await asyncio.wait_for(client.scheduler.identity(), _ANSWER)
            except TimeoutError:
                self._need(f"the Dask scheduler at {self.address}")
                continue
            if found["id"] != (self._scheduler or found["id"]):
                return  # another one at the same address: what it was given before is lost
            first, self._scheduler = not self._scheduler, found["id"]
            self._connected = self._connected or time.monotonic()
            if first or time.monotonic() - asked > _POLL:  # as long as it did not answer nobody was heard of
                for member in self._members.values():
                    member.heard = time.monotonic()
            self._compare(found["workers"])
            await asyncio.sleep(_POLL)

    def _compare(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Greet who is new, and take back the loads of those who are gone or not heard of."""
        for address in [address for address in self._members if address not in workers]:
            self._drop(self._members[address], "gone")
        for address, found in workers.items():
            member = self._members.get(address)
            if member is None:
                member = self._members[address] = _Member(address)
                self._loop.create_task(self._greet(member))
            if found.get("last_seen") != member.seen:
                member.seen, member.heard = found.get("last_seen", 0.0), time.monotonic()
            member.threads = int(found.get("nthreads", 1))
            member.running = found.get("status", "running") == "running"
            if member.silent and member.flying:
                self._notices.append(f"{address} has not been heard of for {_SILENT:.0f} s: others do its tasks")
                self._take_back(member, "lost")
        if self.slots():
            self._lacks = None
        else:
            out = [member for member in self._members.values() if member.state == "out"]
            told = f" ({len(out)} left out: {out[0].address} {out[0].why})" if out else ""
            self._need(f"workers of {self.address}{told}")

    async def _greet(self, member: _Member) -> None:
        """Find out whether a worker can be used."""
        while member.state == "greeted" and self._members.get(member.address) is member:
            try:
                how, told, ran_on = await self._ask(member, "greet", {"wanted": dict(self.wanted)})
            except Exception as error:
                how, told, ran_on = "unborn", one_line(error), None
            if how == "ready" and (strange := provenance.strange(self.wanted, ran_on)):
                how, told = "stranger", strange
            if how == "ready":
                member.state, member.unborn = "usable", 0
            else:
                self._refuse(member, how, told)

    def _assign(self) -> None:
        load = self._given.popleft()
        member = max(self._members.values(), key=lambda member: member.room, default=None)
        if member is None or not member.room:
            self.events.put((load, "lost", ""))
            return
        member.flying[load] = self._loop.create_task(self._follow(member, load))

    async def _follow(self, member: _Member, load: Load) -> None:
        """Send a load to a worker and wait for what becomes of it."""
        self._count += 1
        number, digest = self._count, load.parcel.digest
        order = {**load.order, "load": number, "limit": self.limit, "wanted": dict(self.wanted)}
        if digest in member.holds:
            order["content"] = None
        member.holds.add(digest)
        self._loads[number] = load
        try:
            how, told, answers, load.ran_on, load.memory = await self._ask(member, "perform", order)
            if answers and (strange := provenance.strange(self.wanted, load.ran_on or {})):
                how, told, answers = "stranger", strange, []
            load.answers += answers
        except asyncio.CancelledError:
            raise
        except Exception as error:
            how, told = wire.fate(error)
        finally:
            del self._loads[number]
        member.flying.pop(load, None)
        member.late.discard(load)
        if how == "lacking":
            member.holds.discard(digest)
        if how in ("stranger", "unborn"):
            self._refuse(member, how, told)
        elif how == "over":
            member.unborn = 0
        self.events.put((load, how, told))

    async def _ask(self, member: _Member, what: str, message: Mapping[str, Any]) -> Any:
        """Let a worker do something, and what it answers."""
        told = {**message, "sweep": self._sweep, "topic": self._sweep, "idle": _IDLE}
        future = self._client.submit(
            eval,
            wire.EXPRESSION,
            wire.place(what, pickle.dumps(told)),
            key=f"{self._sweep}-{secrets.token_hex(8)}",
            workers=[member.address],
            allow_other_workers=False,
            pure=False,
        )
        try:
            return pickle.loads(await future)
        finally:
            future.release()

    def _hear(self, event: Any) -> None:
        """A worker tells something of a load that it has."""
        number, what, told = event[1]
        if what == "waits":
            self._notices.append(f"waiting for {told}")
        load = self._loads.get(number)
        member = next((member for member in self._members.values() if load in member.flying), None)
        if load is None or member is None or what != "overdue":
            return
        member.late.add(load)
        self.events.put((load, "overdue", told))
        if len(member.late) >= member.threads:  # what waits there would wait long
            for waiting in [*member.flying][member.threads :]:
                member.flying.pop(waiting).cancel()
                self.events.put((waiting, "lost", ""))

    def _refuse(self, member: _Member, how: str, told: str) -> None:
        """A worker computes with something else, or no process starts there."""
        member.unborn += 1
        if member.state == "out" or (how != "stranger" and member.unborn < _UNBORN):
            return
        member.state = "out"
        member.why = f"has {told}" if how == "stranger" else f"starts no process, it {told}"
        host = member.address.rpartition(":")[0]
        if (host, member.why) not in self._left_out:
            self._left_out.add((host, member.why))
            self._notices.append(f"the worker {member.address} is left out: it {member.why}")

    def _take_back(self, member: _Member, how: str) -> None:
        """Let others do a worker's loads. Only those that it may have begun can be the cause of its end."""
        for place, (load, following) in enumerate([*member.flying.items()]):
            following.cancel()
            begun = place < member.threads
            self.events.put((load, how if begun else "lost", f"with the Dask worker {member.address}"))
        member.flying.clear()
        member.late.clear()

    def _drop(self, member: _Member, how: str) -> None:
        self._members.pop(member.address, None)
        self._take_back(member, how)

    def _need(self, what: str) -> None:
        """What is lacking, since when."""
        if self._lacks is None or self._lacks[0] != what:
            self._lacks = what, time.monotonic() if self._lacks is None else self._lacks[1]

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                await asyncio.wait_for(client.close(), 2)
            with suppress(Exception):
                client.scheduler_comm.comm.abort()

    async def _leave(self) -> None:
        self._living.cancel()
        if self._client is not None and self._client.status == "running":
            leaving = wire.place("dismiss", self._sweep)
            with suppress(Exception):
                addresses = [member.address for member in self._members.values() if member.state == "usable"]
                dismissed = self._client.run(eval, wire.EXPRESSION, leaving, workers=addresses, on_error="return")
                await asyncio.wait_for(dismissed, 2)
        for member in [*self._members.values()]:
            for following in member.flying.values():
                following.cancel()
        await self._disconnect()

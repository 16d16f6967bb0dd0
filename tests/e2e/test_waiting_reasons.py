"""Reasons why a packet waits, each provoked on a running network, told by the trace, and then taken away.

Two more have their tests in ``test_network.py``, a gateway that is down and an application that is paused, and the
signatures of notaries theirs in ``test_network_kinds.py``.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from piebridge.cli import network_file, processes, sending
from piebridge.cli.accounts import account_key
from piebridge.cli.collect import collect
from piebridge.cli.facts import SentPacket
from piebridge.cli.trace import Reason, State, Trace, trace
from piebridge.cli.view import NetworkView
from piebridge.cli.wallet import Call, Wallet
from piebridge.contracts.loader import load
from piebridge.crypto import keystore
from piebridge.crypto.keystore import KeyPurpose
from piebridge.crypto.signature import address_of_private_key
from piebridge.protocol_stack.governor_hub_bodies import Pause, PauseScope, Protocols, RegisterApplication, Unpause
from testkit.command_line import CommandLine, processes_that_mention
from testkit.local_governor import govern

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

APPLICATION = 100
"""An application whose contract on chain-1 is the account carol: she may ask her hub for any header."""
NOTARISE = 1
HANDLER_GAS = 100_000
RELIABLE = 2
SPV = 1
SECONDS_LIMIT = 30.0
PLAIN_TRANSFER_GAS = 21_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    line = CommandLine(tmp_path_factory.mktemp("waiting"))
    line.up("--parachains", 2, "--gateways", 1)
    try:
        asyncio.run(register_carol(line))
        yield line
    finally:
        assert line.in_network("network", "down").exit_code == 0
        assert processes_that_mention(line.folder) == []


async def register_carol(line: CommandLine) -> None:
    async with scene(line) as on:
        creation = Call(load("RecordNotary").deployment_data(on.view.chain("chain-2").hub))
        (receipt,) = await on.wallet("chain-2").execute([creation])
        notary = bytes.fromhex(receipt["contractAddress"][2:])
        allowed = Protocols.NONE | Protocols.FORWARD
        await govern(line, "chain-2", RegisterApplication(APPLICATION, notary, allowed))
        await govern(line, "chain-1", RegisterApplication(APPLICATION, on.view.address("carol"), allowed))


@dataclass(frozen=True, slots=True)
class Scene:
    """The network as a test of one reason uses it."""

    line: CommandLine
    view: NetworkView

    def wallet(self, chain_name: str, account: str = "carol") -> Wallet:
        chain = self.view.chain(chain_name)
        key = account_key(self.view.network, self.view.directory, self.view.network.account(account))
        return Wallet(chain.client, key, chain.entry.evm_chain_id)

    async def send(self, *calls: Call, account: str = "carol") -> list[SentPacket]:
        key = account_key(self.view.network, self.view.directory, self.view.network.account(account))
        return await sending.send(self.view.chain("chain-1"), key, list(calls))

    async def record(self) -> SentPacket:
        """Send a record through the record notary of the network: a free lane, FORWARD, a receipt comes home."""
        expiry = sending.expiry_in(600)
        chain = self.view.chain("chain-1")
        call = sending.notarise_call(self.view, chain, 2, secrets.token_bytes(32), secrets.token_bytes(32), expiry)
        return (await self.send(call))[0]

    def own(self, *, channel: int = 0, depth: int = 0) -> Call:
        """Call the hub as the application 100 with whatever header a test needs."""
        domain, destination, wanted = self.view.network.domain.id, 2, 2
        transport = wanted << 232 | domain << 192 | destination << 128 | channel << 64
        transaction = 4 << 248 | sending.expiry_in(600) << 32 | HANDLER_GAS
        data = load("Hub").function_data(
            "send",
            transport.to_bytes(32, "big"),
            bytes([SPV, depth, 0, 0, 0, 0, 0, 0]),
            transaction.to_bytes(32, "big"),
            (NOTARISE << 192).to_bytes(32, "big"),
            bytes(32),
            secrets.token_bytes(64),
        )
        return Call(data, self.view.chain("chain-1").hub)

    async def until(self, packet: SentPacket, reason: Reason) -> Trace:
        """Trace a packet until it waits for this reason; fail if it does not, or has come to its end."""
        deadline = time.monotonic() + SECONDS_LIMIT
        while True:
            found = trace(await collect(self.view, packet))
            if reason in {wait.reason for wait in found.waits}:
                return found
            assert not found.state.final, f"it waited for nothing and is {found.state}"
            assert time.monotonic() < deadline, f"it waits for something else: {found.waits}"
            await asyncio.sleep(0.2)

    async def end(self, packet: SentPacket) -> Trace:
        """Trace a packet until nothing more will happen to it."""
        deadline = time.monotonic() + 2 * SECONDS_LIMIT
        while not (found := trace(await collect(self.view, packet))).state.final:
            assert time.monotonic() < deadline, f"it is {found.state} and waits: {found.waits}"
            await asyncio.sleep(0.2)
        assert found.waits == ()
        return found


@asynccontextmanager
async def scene(line: CommandLine) -> AsyncIterator[Scene]:
    async with NetworkView.open(line.network_folder) as view:
        yield Scene(line, view)


def text_of(found: Trace, reason: Reason) -> str:
    (text,) = [wait.text for wait in found.waits if wait.reason is reason]
    return text


@asynccontextmanager
async def process_down(line: CommandLine, name: str) -> AsyncIterator[None]:
    """Have no such process for a while, and start it again by the command."""
    processes.kill(line.process(name))
    yield
    outcome = await asyncio.to_thread(line.in_network, "network", "start", name)
    assert outcome.exit_code == 0, outcome.errors


async def test_not_final(running: CommandLine) -> None:
    async with scene(running) as on:
        (packet,) = await on.send(on.own(depth=2))
        found = await on.until(packet, Reason.NOT_FINAL)
        assert found.state is State.SENT
        block = packet.block_number
        assert text_of(found, Reason.NOT_FINAL) == (
            f"block {block} of chain-1 has 0 blocks above it; 2 are demanded, so it is final at block {block + 2}"
        )
        for _ in range(2):  # the chain makes a block where there is a transaction
            await on.wallet("chain-1").execute([Call(b"", on.view.address("bob"), PLAIN_TRANSFER_GAS)])
        # Its depth is known at the relay chain once something newer was proven of that chain.
        follower = await on.record()
        assert (await on.end(packet)).state is State.COMPLETED
        assert (await on.end(follower)).state is State.COMPLETED


async def test_too_few_signatures_names_the_validators_that_are_missing(running: CommandLine, tmp_path: Path) -> None:
    strangers = []
    for number in range(2):
        path = tmp_path / f"stranger-{number}.json"
        secret = secrets.token_bytes(32)
        passphrase = (running.network_folder / "keys" / "password").read_text().strip()
        keystore.save(path, secret, KeyPurpose.ENDORSEMENT, passphrase, dev=True)
        strangers.append((str(path), f"0x{address_of_private_key(secret).hex()}"))
    async with scene(running) as on:
        honest = restart_relay(running, {index: path for index, (path, _) in enumerate(strangers)})
        packet = await on.record()
        found = await on.until(packet, Reason.TOO_FEW_SIGNATURES)
        assert found.state is State.RECORDED
        text = text_of(found, Reason.TOO_FEW_SIGNATURES)
        assert text.startswith("2 of 3 signatures that entry ")
        for index, (_, address) in enumerate(strangers):
            assert (
                f"validator {index} ({on.view.network.relay_chains[0].validators[index].endorsement_address})" in text
            )
            assert f"endorsement key {address} is not in the set of epoch 1" in text
        assert "validator 2" not in text
        restart_relay(running, honest)
        assert (await on.end(packet)).state is State.COMPLETED


def restart_relay(line: CommandLine, endorsement_keys: dict[int, str]) -> dict[int, str]:
    """Start the relay chain again with other endorsement keys at some places; return those that stood there."""
    network = line.network()
    entry = line.process("relay-1")
    command, places = list(entry.command), [i for i, word in enumerate(entry.command) if word == "--endorsement-key"]
    before = {index: command[places[index] + 1] for index in endorsement_keys}
    for index, path in endorsement_keys.items():
        command[places[index] + 1] = path
    assert processes.stop([entry]) == []
    begun = processes.start_again(replace(entry, command=tuple(command)), line.network_folder)
    others = tuple(item for item in network.processes if item.name != "relay-1")
    network_file.save(network.with_processes((*others, begun)), line.network_folder)
    return before


async def test_gas_too_low(running: CommandLine) -> None:
    async with scene(running) as on:
        entry = on.view.network.gateways[0]
        passphrase = (running.network_folder / "keys" / "password").read_text().strip()
        key = keystore.load(running.network_folder / entry.key_file, KeyPurpose.GATEWAY, passphrase, dev=True)
        chain = on.view.chain("chain-2")
        poor = Wallet(chain.client, key, chain.entry.evm_chain_id)
        balance = await chain.balance(entry.address)
        # Enough for the fee of this one transaction, and less than that of a delivery.
        base_fee = int((await chain.block((await chain.head())[0]))["baseFeePerGas"], 16)
        dues = PLAIN_TRANSFER_GAS * (3 * base_fee + 10**9)
        await poor.execute([Call(b"", on.view.address("bob"), PLAIN_TRANSFER_GAS, balance - dues)])
        packet = await on.record()
        found = await on.until(packet, Reason.GAS_TOO_LOW)
        assert found.state is State.RECORDED
        text = text_of(found, Reason.GAS_TOO_LOW)
        assert text.startswith("no working gateway can pay about ")
        assert "for a transaction on chain-2: gateway-1 has " in text
        await on.wallet("chain-2", "bob").execute([Call(b"", poor.address, PLAIN_TRANSFER_GAS, 10**18)])
        assert (await on.end(packet)).state is State.COMPLETED


async def test_expired(running: CommandLine) -> None:
    async with scene(running) as on:
        async with process_down(running, "gateway-1"):
            chain = on.view.chain("chain-1")
            transfer = sending.Transfer(2, on.view.address("bob"), sending.TOKEN_UNIT, sending.expiry_in(3))
            call = await sending.transfer_call(on.view, chain, transfer)
            (packet,) = await on.send(call, account="alice")
            found = await on.until(packet, Reason.EXPIRED)
            assert found.state is State.SENT
            assert "on chain-2's clock; once delivered it ends EXPIRED" in text_of(found, Reason.EXPIRED)
        assert (await on.end(packet)).state is State.REFUNDED


async def test_lane_blocked(running: CommandLine) -> None:
    async with scene(running) as on:
        hub, chain = load("Hub"), on.view.chain("chain-1")
        await on.wallet("chain-1").execute([Call(hub.function_data("openChannel", RELIABLE), chain.hub)])
        await govern(running, "chain-2", Pause(PauseScope.APPLICATION, APPLICATION))
        first, second = await on.send(on.own(channel=1), on.own(channel=1))
        found = await on.until(second, Reason.LANE_BLOCKED)
        assert found.state is State.RECORDED
        assert "chain-2 waits for sequence 1; this is 2" in text_of(found, Reason.LANE_BLOCKED)
        head = await on.until(first, Reason.PAUSED)
        assert Reason.LANE_BLOCKED not in {wait.reason for wait in head.waits}
        await govern(running, "chain-2", Unpause(PauseScope.APPLICATION, APPLICATION))
        assert (await on.end(first)).state is State.COMPLETED
        assert (await on.end(second)).state is State.COMPLETED


async def test_relay_unreachable(running: CommandLine) -> None:
    async with scene(running) as on:
        async with process_down(running, "relay-1"):
            packet = await on.record()
            found = await on.until(packet, Reason.RELAY_UNREACHABLE)
            assert "relay-1 does not answer" in text_of(found, Reason.RELAY_UNREACHABLE)
        assert (await on.end(packet)).state is State.COMPLETED

"""Four governors, each with its store, over the contract GovernorBoard on a real EVM node."""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.contracts.loader import load
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of_private_key
from piebridge.management_chain.governor.board_messages import reshared, rotate_board
from piebridge.management_chain.governor.ceremony import CeremonyKind, Epochs, GovernorSet
from piebridge.management_chain.governor.decisions import WantedSharing
from piebridge.management_chain.governor.evm_board import EvmBoard
from piebridge.management_chain.governor.governor import GovernorSettings
from piebridge.management_chain.governor.service import GovernorService
from piebridge.management_chain.governor.store import GovernorStore
from piebridge.management_chain.node.account import AgentAccount
from piebridge.protocol_stack.management.tags import Place
from testkit.anvil import ANVIL_CHAIN_ID, ANVIL_KEY, running_anvil
from testkit.governors import Decisions, message

if TYPE_CHECKING:
    from piebridge.management_chain.governor.decisions import DecidedMessage

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

SETTINGS = GovernorSettings(round_blocks=60, turn_blocks=3, retry_blocks=4)
KEYS = [keccak256(b"governor key of a test %d" % number) for number in range(1, 6)]
ACCOUNTS = tuple(address_of_private_key(key) for key in KEYS)
FOUNDERS = GovernorSet(3, ACCOUNTS[:4])


async def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a condition of several tasks, looked at from outside
            await asyncio.sleep(0.1)


async def test_key_signature_resharing_and_rotation_on_the_contract(tmp_path: Path) -> None:
    artifact, decisions = load("GovernorBoard"), Decisions()
    delivered: dict[bytes, DecidedMessage] = {}
    async with running_anvil(block_time_seconds=0.5) as url, JsonRpcClient(url) as client:
        admin = AgentAccount([client], ANVIL_KEY, ANVIL_CHAIN_ID)
        place = Place(
            ANVIL_CHAIN_ID, await deploy(client, admin.address, artifact.deployment_data(FOUNDERS.hash, False))
        )

        async def ask(function: str, *arguments: object) -> tuple[object, ...]:
            call = {
                "to": "0x" + place.contract.hex(),
                "data": "0x" + artifact.function_data(function, *arguments).hex(),
            }
            answer = await client.call("eth_call", [call, "latest"])
            return artifact.decode_result(function, bytes.fromhex(str(answer)[2:]))

        services, stores = [], []
        for number, key in enumerate(KEYS, 1):
            account = AgentAccount([client], key, ANVIL_CHAIN_ID)
            await client.call("anvil_setBalance", ["0x" + account.address.hex(), hex(10**20)])
            stores.append(GovernorStore(tmp_path / str(number), "test", dev=True))
            services.append(
                GovernorService(
                    account.address,
                    place,
                    EvmBoard(client, place, account.execute),
                    stores[-1],
                    decisions,
                    secrets.token_bytes,
                    lambda signed: delivered.__setitem__(signed.digest, signed),
                    settings=SETTINGS,
                    poll_seconds=0.1,
                )
            )
        view = services[0].governor.view
        tasks = [asyncio.create_task(service.run()) for service in services]

        # A key is made, and stands on the contract.
        decisions.wanted = [WantedSharing(CeremonyKind.KEY_GENERATION, FOUNDERS, Epochs(1, 1))]
        await wait_for(lambda: view.key_epoch == 1)
        assert view.shares is not None
        key = view.shares.key.public_key
        assert await ask("governorKey") == (key, 1)

        # It signs in two rounds, and the contract says so.
        decisions.due = [message(1)]
        await wait_for(lambda: {message(1).digest} <= view.signatures.keys() & delivered.keys())
        assert view.ended[max(view.ended)].rounds.round == 2
        assert await ask("isSignedByGovernors", message(1).digest, delivered[message(1).digest].signature) == (True,)
        assert await ask("isSignedByGovernors", message(2).digest, delivered[message(1).digest].signature) == (False,)

        # A fifth governor joins; the set is adopted by a message of the four.
        grown = GovernorSet(4, ACCOUNTS)
        decisions.wanted = [WantedSharing(CeremonyKind.RESHARING, grown, Epochs(1, 2))]
        await wait_for(lambda: bool(view.made))
        [number] = view.made
        adopt = reshared(view, number, 1)
        decisions.due = [adopt]
        await wait_for(lambda: {adopt.digest} <= view.signatures.keys() & delivered.keys())
        await carry(admin, place, artifact.function_data("governor", delivered[adopt.digest].encode()))
        await wait_for(lambda: view.shares is not None and view.shares.ceremony.governors == grown)
        assert await ask("currentSet") == (grown.hash,)
        decisions.due = [message(3)]
        await wait_for(lambda: {message(3).digest} <= view.signatures.keys() & delivered.keys())
        assert await ask("isSignedByGovernors", message(3).digest, delivered[message(3).digest].signature) == (True,)

        # One leaves: a new key, and the old one signs ROTATE for the board.
        rest = GovernorSet(3, ACCOUNTS[:4])
        decisions.wanted = [WantedSharing(CeremonyKind.KEY_GENERATION, rest, Epochs(2, 1))]
        await wait_for(lambda: bool(view.made))
        [number] = view.made
        rotate = rotate_board(view, number, 2)
        decisions.due = [rotate]
        await wait_for(lambda: {rotate.digest} <= view.signatures.keys() & delivered.keys())
        await carry(admin, place, artifact.function_data("governor", delivered[rotate.digest].encode()))
        await wait_for(lambda: view.key_epoch == 2)
        [new_key, epoch] = await ask("governorKey")
        assert epoch == 2
        assert new_key != key

        for task in tasks:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for store in stores:
            store.close()
    assert not any(state.rounds.culprits for state in view.ended.values())


async def carry(account: AgentAccount, place: Place, data: bytes) -> None:
    """Bring a signed message to the board, as soon as enough members have confirmed what it names."""
    for _ in range(60):
        try:
            await account.execute(place.contract, data)
        except Exception as error:
            if "TooFewConfirmations" not in str(error) and "revert" not in str(error).lower():
                raise
            await asyncio.sleep(0.5)
        else:
            return
    raise AssertionError("the board never took it")


async def deploy(client: JsonRpcClient, sender: bytes, data: bytes) -> bytes:
    transaction = {"from": "0x" + sender.hex(), "data": "0x" + data.hex(), "gas": hex(8_000_000)}
    made = await client.call("eth_sendTransaction", [transaction])
    for _ in range(100):
        receipt = await client.call("eth_getTransactionReceipt", [made])
        if isinstance(receipt, dict):
            return bytes.fromhex(receipt["contractAddress"][2:])
        await asyncio.sleep(0.1)
    raise AssertionError("the board was never deployed")

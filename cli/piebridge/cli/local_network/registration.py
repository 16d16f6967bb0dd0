"""Registers an application of a user with the hubs of a running --dev network, by the local governor key."""

from collections.abc import Mapping
from pathlib import Path

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli import accounts
from piebridge.cli.local_network.deploy import Governor, check_messages
from piebridge.cli.network_file import ChainEntry, NetworkFile
from piebridge.cli.wallet import Call, Wallet
from piebridge.contracts.loader import load
from piebridge.crypto.errors import ConfigurationError
from piebridge.protocol_stack.governor_hub_bodies import Protocols, RegisterApplication

_HUB_WIDE = 0
_GAS_OF_MESSAGE = 900_000


async def register_application(
    network: NetworkFile,
    directory: Path,
    application: int,
    addresses: Mapping[str, bytes],
    protocols: Protocols,
) -> dict[str, str]:
    """Register an application on some chains; return the transaction hash by chain.

    Args:
        network: a running --dev network.
        directory: its folder, which holds the governor key.
        application: application id, the same on all chains.
        addresses: contract address (20 bytes) by the name of its chain.
        protocols: transaction protocols that it may use.

    Raises:
        ConfigurationError: the network has no local governor key, or there is no contract at an address.
        ChainError: a node does not answer, or the hub refuses the registration.
    """
    signing_key = accounts.governor_key(network, directory)
    carrier_key = accounts.account_key(network, directory, network.accounts[0])
    done = {}
    for name, address in addresses.items():
        chain = network.chain(name)
        body = RegisterApplication(application, address, protocols)
        done[name] = await _register(chain, signing_key, carrier_key, body)
    return done


async def _register(chain: ChainEntry, governor_key: bytes, carrier_key: bytes, body: RegisterApplication) -> str:
    hub, hub_address = load("Hub"), bytes.fromhex(chain.hub[2:])
    async with JsonRpcClient(chain.rpc_url) as client:
        code = await client.call("eth_getCode", ["0x" + body.contract.hex(), "latest"])
        if code in ("0x", None):
            raise ConfigurationError(
                f"there is no contract at 0x{body.contract.hex()} on {chain.name}: deploy it first"
            )
        call = {"to": chain.hub, "data": "0x" + hub.function_data("counterOf", _HUB_WIDE).hex()}
        counter = int(str(await client.call("eth_call", [call, "latest"])), 16)
        governor = Governor(governor_key, chain.registration, hub_address, {_HUB_WIDE: counter})
        message = Call(hub.function_data("governor", governor.message(body)), hub_address, _GAS_OF_MESSAGE)
        receipts = await Wallet(client, carrier_key, chain.evm_chain_id).execute([message])
    check_messages(chain.name, receipts)
    return str(receipts[0]["transactionHash"])

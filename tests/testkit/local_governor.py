"""The --dev governor key of a network that runs on this machine, and who brings its messages to hubs."""

import secrets

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli.accounts import account_key, governor_key
from piebridge.cli.local_network.deploy import check_messages
from piebridge.cli.view import NetworkView
from piebridge.cli.wallet import Call, Wallet
from piebridge.contracts.loader import load
from piebridge.crypto.threshold.signing import sign_single
from piebridge.protocol_stack.governor_hub_bodies import HUB_WIDE_KINDS, HubBody, Pause, PauseScope, Unpause
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from testkit.command_line import CommandLine

_KEY_EPOCH = 1
_GAS = 900_000


async def govern(line: CommandLine, chain_name: str, body: HubBody, *, life_cycle: int = 1) -> None:
    """Sign a message with the local governor key, bring it to a hub, and check that the hub did what it says.

    Args:
        line: where the network runs.
        chain_name: whose hub is governed.
        body: what it is told.
        life_cycle: number that a pause names, for pauses stand outside the order; 1 for what was never let go on.
    """
    async with NetworkView.open(line.network_folder) as view:
        network, chain = view.network, view.chain(chain_name)
        secret = int.from_bytes(governor_key(network, view.directory), "big")
        domain = 0 if _concerns_whole_hub(body) else network.domain.id
        (last,) = await chain.call(chain.hub, load("Hub"), "counterOf", domain)
        counter = life_cycle if isinstance(body, Pause) else last + 1
        message = GovernorMessage(
            TargetKind.HUB, domain, chain.entry.registration, _KEY_EPOCH, body.KIND, chain.hub, counter, body.encode()
        ).signed(lambda digest: sign_single(secret, digest, secrets.token_bytes(32)))
        call = Call(load("Hub").function_data("governor", message.encode()), chain.hub, _GAS)
        async with JsonRpcClient(chain.entry.rpc_url) as client:
            carrier_key = account_key(network, view.directory, network.account("carol"))
            wallet = Wallet(client, carrier_key, chain.entry.evm_chain_id)
            check_messages(chain.name, await wallet.execute([call]))


def _concerns_whole_hub(body: HubBody) -> bool:
    if isinstance(body, Pause | Unpause):
        return body.scope is PauseScope.APPLICATION
    return body.KIND in HUB_WIDE_KINDS

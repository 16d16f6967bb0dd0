"""The same contracts on any EVM chain."""

import time
from dataclasses import dataclass

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli.management.management_file import ManagementFile
from piebridge.cli.progress import Progress
from piebridge.cli.wallet import Call, Wallet
from piebridge.crypto.errors import ConfigurationError, PermanentChainError, TransientChainError
from piebridge.management_chain.chain.contracts import ContractName, ManagementContracts, ManagementRules, creation_data


@dataclass(frozen=True, slots=True)
class Deployment:
    """What to deploy where."""

    rpc_url: str
    """``eth_*`` JSON-RPC of the chain."""
    private_key: bytes
    """Of the account that pays, and has no power afterwards; 32 bytes."""
    rules: ManagementRules
    """What the contracts are made with."""
    timeout_seconds: float = 300.0
    """How long the transactions may take until they are in blocks."""


async def deploy(deployment: Deployment, progress: Progress) -> ManagementFile:
    """Deploy the contracts and return the description of what stands there.

    Raises:
        ConfigurationError: the rules are refused.
        PermanentChainError: a creation reverts, or leaves no contract where it should.
        TransientChainError: the node does not answer, or makes no blocks.
    """
    deployment.rules.check()
    async with JsonRpcClient(deployment.rpc_url) as client:
        chain_id = int(str(await client.call("eth_chainId")), 16)
        wallet = Wallet(client, deployment.private_key, chain_id)
        sender = f"0x{wallet.address.hex()}"
        nonce, pending = await client.batch(
            [("eth_getTransactionCount", [sender, "latest"]), ("eth_getTransactionCount", [sender, "pending"])]
        )
        if nonce != pending:
            raise ConfigurationError(
                f"{sender} has transactions under way: its next addresses are not known. Wait, or use another key"
            )
        contracts = ManagementContracts.made_by(wallet.address, int(str(nonce), 16), chain_id)
        progress.working(f"deploying {len(ContractName)} contracts to EVM chain {chain_id}")
        first_block: int | None = None
        # One after the other: a constructor may ask the contract before it, and gas is estimated on what stands there.
        for name, data in creation_data(contracts, deployment.rules):
            try:
                (receipt,) = await wallet.execute([Call(data)], timeout_seconds=deployment.timeout_seconds)
            except PermanentChainError as error:
                raise PermanentChainError(f"{name} cannot be deployed to {deployment.rpc_url}: {error}") from error
            made = bytes.fromhex(str(receipt["contractAddress"])[2:])
            if made != contracts.address(name):
                raise PermanentChainError(
                    f"{name} stands at 0x{made.hex()} and not at 0x{contracts.address(name).hex()}: the key was used "
                    "for something else meanwhile. Deploy again with a key of its own"
                )
            first_block = int(str(receipt["blockNumber"]), 16) if first_block is None else first_block
            progress.done(f"{name} at 0x{made.hex()}")
        await _check_codes(client, contracts)
    assert first_block is not None, "there are contracts"
    return ManagementFile(
        name=f"evm-{chain_id}",
        created_at=int(time.time()),
        dev=deployment.rules.dev,
        engine=None,
        cometbft_chain_id=None,
        rpc_urls=(deployment.rpc_url,),
        websocket_urls=(),
        cometbft_rpc_urls=(),
        trusted_height=None,
        trusted_hash=None,
        deployed_in_block=first_block,
        contracts=contracts,
        rules=deployment.rules,
        governor_key_file=None,
        accounts=(),
        processes=(),
    )


async def _check_codes(client: JsonRpcClient, contracts: ManagementContracts) -> None:
    for name in ContractName:
        code = await client.call("eth_getCode", [f"0x{contracts.address(name).hex()}", "latest"])
        if not isinstance(code, str):
            raise TransientChainError(f"{client.url}: no answer about the code of {name}")
        if code == "0x":
            raise PermanentChainError(f"{name} was created and left no code at 0x{contracts.address(name).hex()}")

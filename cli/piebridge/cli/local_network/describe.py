"""Turns the plan of a network and what came of it into its network file."""

from collections.abc import Mapping, Sequence

from eth_utils.address import to_checksum_address

from piebridge.cli.local_network.deploy import Addresses
from piebridge.cli.local_network.genesis import FIRST_EPOCH
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import (
    DOMAIN,
    HOST,
    PASSWORD_FILE,
    Engine,
    NetworkPlan,
    ParachainKind,
    ParachainPlan,
    RelayPlan,
)
from piebridge.cli.network_file import (
    AccountEntry,
    ApplicationEntry,
    ChainEntry,
    DomainEntry,
    GatewayEntry,
    NetworkFile,
    NotaryEntry,
    ProcessEntry,
    RelayChainEntry,
    ValidatorEntry,
)
from piebridge.protocol_stack.application.door import DOOR
from piebridge.protocol_stack.application.record_notary import RECORD_NOTARY
from piebridge.protocol_stack.application.token import TOKEN
from piebridge.protocol_stack.header import MAX_BODY_DEFAULT


def describe(
    plan: NetworkPlan,
    keys: NetworkKeys,
    trusted_headers: Mapping[int, tuple[int, bytes]],
    processes: Sequence[ProcessEntry],
    created_at: int,
) -> NetworkFile:
    """Return the network file of a network that was started as planned.

    Args:
        plan: the plan.
        keys: its keys.
        trusted_headers: height and hash of a header of each relay chain, by relay id.
        processes: what runs.
        created_at: Unix seconds.
    """
    addresses = Addresses.of(keys.address(plan.deployer))
    return NetworkFile(
        name="local",
        created_at=created_at,
        dev=True,
        domain=DomainEntry(DOMAIN, MAX_BODY_DEFAULT, f"0x{keys.group_key(plan.governor).hex()}", plan.governor.file),
        chains=tuple(_chain(chain, addresses, plan.wishes.engine) for chain in plan.parachains),
        relay_chains=tuple(
            _relay(relay, keys, plan.wishes.engine, *trusted_headers[relay.relay]) for relay in plan.relays
        ),
        notaries=tuple(
            NotaryEntry(
                index=notary.index,
                address=to_checksum_address(keys.address(notary.key)),
                url=f"http://{HOST}:{notary.port}",
                set_epoch=FIRST_EPOCH,
                k=plan.notary_threshold,
                chains=tuple(chain.registration for chain in plan.parachains),
                log_file=_log(notary.name),
            )
            for notary in plan.notaries
        ),
        gateways=tuple(
            GatewayEntry(
                name=gateway.name,
                address=to_checksum_address(keys.address(gateway.key)),
                key_file=gateway.key.file,
                data_directory=gateway.data_directory,
                status_url=f"http://{HOST}:{gateway.status_port}",
                log_file=_log(gateway.name),
            )
            for gateway in plan.gateways
        ),
        accounts=tuple(
            AccountEntry(account.name, to_checksum_address(keys.address(account)), account.file, PASSWORD_FILE)
            for account in plan.accounts
        ),
        processes=tuple(processes),
    )


def _chain(chain: ParachainPlan, addresses: Addresses, engine: Engine) -> ChainEntry:
    embedded = chain.kind is ParachainKind.EMBEDDED
    return ChainEntry(
        name=chain.name,
        kind=chain.kind.value,
        registration=chain.registration,
        evm_chain_id=chain.evm_chain_id,
        rpc_url=chain.rpc_url,
        websocket_url=f"ws://{HOST}:{chain.rpc_port}",
        cometbft_rpc_urls=chain.cometbft_urls,
        second_rpc_url=None if embedded else f"http://{HOST}:{chain.proxy_port}",
        verification="spv" if embedded else "notary",
        finality_depth=chain.finality_depth,
        hub=to_checksum_address(addresses.hub),
        applications=(
            ApplicationEntry(DOOR, "erc7786-door", to_checksum_address(addresses.door)),
            ApplicationEntry(TOKEN, "token", to_checksum_address(addresses.token)),
            ApplicationEntry(RECORD_NOTARY, "record-notary", to_checksum_address(addresses.record_notary)),
        ),
        message_board=to_checksum_address(addresses.message_board),
        log_file=_log(chain.nodes[0].name if chain.nodes else chain.name),
        engine=engine.value if embedded else None,
        rpc_urls=chain.rpc_urls,
    )


def _relay(
    relay: RelayPlan, keys: NetworkKeys, engine: Engine, trusted_height: int, trusted_hash: bytes
) -> RelayChainEntry:
    return RelayChainEntry(
        id=relay.relay,
        chain_id=f"piebridge-{DOMAIN}-{relay.relay}",
        engine=engine.value,
        validators=tuple(
            ValidatorEntry(
                index=item.index,
                consensus_address=f"0x{keys.address(item.consensus_key).hex()}",
                endorsement_address=to_checksum_address(keys.address(item.endorsement_key)),
                rpc_url=item.rpc_url,
                websocket_url=f"ws://{HOST}:{item.rpc_port}/websocket",
                process=item.process,
            )
            for item in relay.validators
        ),
        trusted_height=trusted_height,
        trusted_hash=f"0x{trusted_hash.hex()}",
        k=relay.threshold,
        n=len(relay.validators),
        set_epoch=FIRST_EPOCH,
        log_file=_log(relay.validators[0].process),
    )


def _log(name: str) -> str:
    return f"logs/{name}.log"

"""What a local network can say of a domain: its chains, their hubs, its gateways."""

import re
from pathlib import Path

from piebridge.cli import network_file
from piebridge.cli.management.acting import parse_address
from piebridge.cli.network_file import ChainEntry, NetworkFile
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.domains.template import domain_template

_HEADING = re.compile(r"^# -+ (\w+)\n", re.MULTILINE)


def hub_of(hub: str | None, hub_chain: int | None, network: Path | None, chain: str | None) -> tuple[int, bytes] | None:
    """Return EVM chain id and address of a hub as the user named it; None where none was named.

    Raises:
        ConfigurationError: only half of it was named, or there is no such chain.
    """
    if network is not None or chain is not None:
        if network is None or chain is None or hub is not None or hub_chain is not None:
            raise ConfigurationError("name the hub either by --hub and --hub-chain, or by --network and --chain")
        entry = network_file.load(network).chain(chain)
        return entry.evm_chain_id, bytes.fromhex(entry.hub[2:])
    if hub is None and hub_chain is None:
        return None
    if hub is None or hub_chain is None:
        raise ConfigurationError("--hub and --hub-chain belong together: give both")
    return hub_chain, parse_address(hub, [])


def filled_template(network: NetworkFile) -> str:
    """Return the domain file for the chains and gateways of a local network."""
    template = domain_template()
    parachains, gateways = _sections(template)
    chains = "\n".join(_chain(chain, network) for chain in network.chains)
    carriers = "\n".join(f'[[gateway]]\naddress = "{item.address}"\nquota = 10_000\n' for item in network.gateways)
    return f"{template[:parachains]}\n{chains}\n{_comment(template, gateways)}\n{carriers}"


def _sections(template: str) -> tuple[int, int]:
    """Return where the text above the parachains ends, and where that of the gateways begins."""
    return template.index("\n[[chain]]"), next(
        match.start() for match in _HEADING.finditer(template) if match.group(1) == "gateways"
    )


def _comment(template: str, start: int) -> str:
    """Return the comment that begins at a place."""
    lines = template[start:].splitlines(keepends=True)
    return "".join(lines[: next(index for index, line in enumerate(lines) if not line.startswith("#"))])


def _chain(chain: ChainEntry, network: NetworkFile) -> str:
    urls = [*(chain.rpc_urls or (chain.rpc_url,)), *((chain.second_rpc_url,) if chain.second_rpc_url else ())]
    lines = [
        "[[chain]]",
        f'name = "{chain.name}"',
        f"registration = {chain.registration}",
        f'verification = "{chain.verification}"',
        f"depth = {chain.finality_depth}",
        f"rpc_urls = {_list(urls)}",
    ]
    if chain.cometbft_rpc_urls:
        lines += [f"cometbft_rpc_urls = {_list(chain.cometbft_rpc_urls)}", "", "[chain.light_client]"]
        lines += ["trusting_period_seconds = 1_209_600", "clock_drift_seconds = 10"]
    notaries = [notary for notary in network.notaries if chain.registration in notary.chains]
    if notaries:
        lines += ["", "[chain.notaries]", f"epoch = {notaries[0].set_epoch}", f"k = {notaries[0].k}"]
        for notary in notaries:
            lines += ["", "[[chain.notaries.member]]", 'operator = "this machine"', f'address = "{notary.address}"']
    return "\n".join(lines) + "\n"


def _list(urls: "list[str] | tuple[str, ...]") -> str:
    return "[" + ", ".join(f'"{url}"' for url in dict.fromkeys(urls)) + "]"

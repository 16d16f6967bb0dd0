"""Where each process of a network answers, read from the network file."""

from piebridge.cli.network_file import NetworkFile


def of_all(network: NetworkFile) -> dict[str, str]:
    """Return the address that people use of each process by its name."""
    found = of_parachain_nodes(network) | of_relay_nodes(network) | of_carriers(network)
    found |= {f"{chain.name}-proxy": chain.second_rpc_url for chain in network.chains if chain.second_rpc_url}
    for item in network.processes:
        if item.role == "broker" and "--port" in item.command[:-1]:
            found[item.name] = f"redis://127.0.0.1:{item.command[item.command.index('--port') + 1]}"
    return found


def of_parachain_nodes(network: NetworkFile) -> dict[str, str]:
    """Return the eth_* RPC of each process of a parachain."""
    found: dict[str, str] = {}
    for chain in network.chains:
        urls = chain.rpc_urls or (chain.rpc_url,)
        names = [chain.name] if len(urls) == 1 else [f"{chain.name}-validator-{index}" for index in range(len(urls))]
        found |= dict(zip(names, urls, strict=True))
    return found


def of_relay_nodes(network: NetworkFile) -> dict[str, str]:
    """Return the CometBFT RPC of each process of a relay chain; of several validators in one, the first's."""
    found: dict[str, str] = {}
    for relay in network.relay_chains:
        for validator in relay.validators:
            found.setdefault(validator.process or f"relay-{relay.id}", validator.rpc_url)
    return found


def of_carriers(network: NetworkFile) -> dict[str, str]:
    """Return the HTTP API of each gateway and notary."""
    found = {gateway.name: gateway.status_url for gateway in network.gateways if gateway.status_url}
    return found | {f"notary-{notary.index}": notary.url for notary in network.notaries}

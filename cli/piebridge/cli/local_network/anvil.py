"""Foundry's anvil as a parachain."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

from piebridge.cli.local_network.genesis import FUNDS_WEI, funded
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import HOST, NetworkPlan, ParachainPlan
from piebridge.crypto.errors import ConfigurationError

HARDFORK = "prague"
"""Rules of the EVM, as on our own chain."""
READY = "Listening on "
"""How the line begins that anvil prints once it serves."""
BLOCK_TIME_SECONDS = 1
"""Interval of blocks."""
BLOCK_GAS_LIMIT = 60_000_000
"""Gas of a block, as on our own chain."""


def find_anvil() -> Path:
    """Return the path of anvil: from this Python's environment, from PATH, or from a ``node_modules`` above.

    Raises:
        ConfigurationError: there is none.
    """
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    if found := shutil.which("anvil", path=search):
        return Path(found)
    for folder in (Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents):
        candidate = folder / "node_modules" / ".bin" / "anvil"
        if candidate.is_file():
            return candidate
    raise ConfigurationError(
        "anvil was not found: --parachain-kind anvil needs Foundry's node on PATH or in node_modules/.bin "
        "(`npm ci` in the repository installs it, `make demo PARACHAIN_KIND=anvil` does so by itself)"
    )


def write_anvil_genesis(chain: ParachainPlan, plan: NetworkPlan, keys: NetworkKeys, directory: Path) -> Path:
    """Write the genesis file of a chain, which funds the network's accounts, and return its path."""
    path = directory / chain.home / "config" / "genesis.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "config": {"chainId": chain.evm_chain_id},
        "difficulty": "0x0",
        "timestamp": hex(int(time.time())),
        "gasLimit": hex(BLOCK_GAS_LIMIT),
        "alloc": {f"0x{address.hex()}": {"balance": hex(FUNDS_WEI)} for address in funded(plan, keys)},
    }
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return path


def anvil_command(anvil: Path, chain: ParachainPlan, genesis: Path) -> list[str]:
    """Return the command line of a chain."""
    return [
        str(anvil),
        *("--host", HOST),
        *("--port", str(chain.rpc_port)),
        *("--chain-id", str(chain.evm_chain_id)),
        *("--init", str(genesis)),
        *("--accounts", "0"),
        *("--hardfork", HARDFORK),
        *("--gas-limit", str(BLOCK_GAS_LIMIT)),
        *("--order", "fifo"),
        *("--slots-in-an-epoch", "1"),
        *("--block-time", str(BLOCK_TIME_SECONDS)),
    ]

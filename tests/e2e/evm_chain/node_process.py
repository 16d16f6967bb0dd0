"""A process that runs an EVM chain until it is killed: python node_process.py <home> <eth port file>."""

import asyncio
import sys
from pathlib import Path

from piebridge.evm_chain.node import EvmNode, evm_genesis_document
from testkit.evm_chain_driver import GENESIS_SECONDS, genesis_state
from testkit.evm_chain_node import VALIDATOR_KEYS, SteppingClock


async def main(home: Path, address_file: Path) -> None:
    """Run the node."""
    keys = [key.public_key for key in VALIDATOR_KEYS]
    genesis = evm_genesis_document("evm-kill", GENESIS_SECONDS * 10**9, keys, genesis_state())
    clock = SteppingClock()
    clock.skip(int(address_file.suffix[1:]) * 1_000_000)  # later than in any earlier life of the chain
    node = EvmNode(home, genesis, VALIDATOR_KEYS, [0] * 4, 0, block_interval_seconds=0.01, now_ns=clock)
    await node.start()
    await asyncio.to_thread(address_file.write_text, node.eth_address)
    await node.wait()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))

"""EVM chains with a hub: EVM-on-ABCI (with CometBFT RPC, for light blocks) and any other node with `eth_*` JSON-RPC."""

from piebridge.chains.evm.endpoint import EvmEndpoint

__all__ = ["EvmEndpoint"]

"""EVM-on-ABCI: an ABCI application that runs the EVM, and its eth_* JSON-RPC."""

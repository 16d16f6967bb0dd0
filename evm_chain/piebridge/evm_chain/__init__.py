"""EVM-on-ABCI: an ABCI application that runs the EVM, and its eth_* JSON-RPC."""

import os

# eth-hash picks the backend at its first use and prefers the slower one; a user's own choice stands.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

"""A CometBFT node of its own process, run as one unit with the application of this process.

* ``config.py``: ``config.toml``, the node's and the validator's key files. Pure.
* ``home.py``: writes them into a folder and refuses what could sign twice.
* ``binary.py``: finds the program.
* ``leash.py``: starts it so that it never outlives this process.
* ``process.py``: the running program.
* ``rpc.py``: the two calls that a unit makes to its own node.
* ``unit.py``: application, ABCI server and node together.
* ``supervision.py``: starts a unit again after a fault.
"""

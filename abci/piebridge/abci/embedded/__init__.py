"""The embedded engine: one process, all validator keys of a chain, CometBFT's bytes. For one machine and one operator.

It drives the same :class:`piebridge.abci.application.Application` that CometBFT drives, and writes the same headers,
commits and RPC answers, so one light client and one proof format serve both. It is no BFT protocol: its operator *is*
the chain. Whoever outgrows one machine or needs to survive faults runs CometBFT with the same application.

* ``engine.py``: the pure core, time is an argument; ``state.py`` and ``mempool.py`` are its parts.
* ``store.py``: what survives a crash.
* ``node.py``: the asyncio shell with clock, block interval and one RPC port for each validator key.
* ``rpc.py``, ``rpc_methods.py``, ``rpc_json.py``: CometBFT's RPC.
* ``faults.py`` and ``equivocation.py``: misbehaviour on purpose, for tests.
"""

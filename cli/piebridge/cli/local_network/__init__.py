"""A whole network on this machine: chains, relay chains, gateways, notaries. For development, demo and tests.

* ``plan.py``: what there will be: names, numbers, ports, keys, files. Pure.
* ``keys.py``, ``genesis.py``: makes what the plan names.
* ``deploy.py``: hub and applications, and the governor messages that join them.
* ``up.py``, ``down.py``: the order in which things start and end.
"""

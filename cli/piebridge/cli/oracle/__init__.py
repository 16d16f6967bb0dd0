"""An oracle over value: it reads the state of the chains only and tells whether a network kept its promises.

It shares no code with hubs, relay chains, gateways or adapters, not even a decoder: a mistake there must not blind it.
It looks at the storage and the logs of every parachain and checks invariants (:mod:`piebridge.cli.oracle.invariants`).
"""

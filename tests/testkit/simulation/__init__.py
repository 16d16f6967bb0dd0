"""A whole relay domain in one process on a virtual clock, deterministic in its seed.

What runs is what is shipped: the relay application (:mod:`piebridge.relay.app`) with its endorsement signers, gateways
(:mod:`piebridge.gateway`: listeners, forwarder, carriers, provers, submitters, reconciler, their SQLite database, in
memory) and notaries, judged by the oracle (:mod:`piebridge.cli.oracle`), which reads chain state only.

What stands in for something, each at a port that the product takes as an argument:

* :mod:`~testkit.simulation.clock`: an event loop without sockets whose time jumps;
* :mod:`~testkit.simulation.network`: messages between processes, with every fault that a network has;
* :mod:`~testkit.simulation.parachain`: an EVM chain without an EVM. Its contracts are Python at the level of storage
  words and logs (:mod:`~testkit.simulation.hub`, :mod:`~testkit.simulation.applications`); a test runs the same calls
  on the compiled contracts and compares words and logs. A state root is a hash over all changes, and what an endpoint
  calls proven is read from the block: Merkle-Patricia proofs and header hashes are tested elsewhere;
* :mod:`~testkit.simulation.relay`: block production without headers and votes; the engines are tested elsewhere;
* gateways' accounts on parachains sign with a hash, not with a curve. All signatures that relay chains and hubs check
  (relay transactions, notaries, endorsements, governors) are real.
"""

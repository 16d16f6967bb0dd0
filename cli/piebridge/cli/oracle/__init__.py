"""An oracle over value: it reads the state of the parachains only and tells whether a network kept its promises.

It shares no code with hubs, relay chains, gateways or adapters, not even a decoder: a mistake there must not blind it
(import-linter contract ``oracle-stands-alone``).

* :mod:`~piebridge.cli.oracle.reading` reads every chain at two cuts;
* :mod:`~piebridge.cli.oracle.decoding` and :mod:`~piebridge.cli.oracle.slots` know the bytes of
  ``docs/protocol/formats.md``, by their own hand;
* :mod:`~piebridge.cli.oracle.ledger` is what was read, as plain data;
* :mod:`~piebridge.cli.oracle.invariants` judges it.

**Judging while packets move.** Blocks of different chains are no common instant: a packet may be sent after the moment
at which its source was looked at, and be executed before its destination is. So there are two cuts, each one block a
chain, and the second is taken after the first is complete on all chains. What happened is read at the first cut, what
may have caused it up to the second one. An effect that was there at the first has its cause before the second whatever
the order in which the chains were asked, so there are no false alarms; what lacks only its continuation counts as under
way. Conservation is a sum of terms that each belong to one block of one chain, so it holds at any cut.

**What it trusts.** The node of each parachain that it asks, and that a chain at its newest block does not reorganise.

**What it cannot see.** Whether an owner wanted an ordinary transfer on one chain; effects of applications that it does
not know (they are counted as *unjudged* where no receipt tells of them); whether an aborted packet without a receipt
was really aborted by its relay chain: it looks at no relay chain.
"""

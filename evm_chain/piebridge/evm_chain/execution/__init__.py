"""The EVM: everything of py-evm that this chain uses, behind types of our own. No other package imports py-evm.

py-evm is no longer developed and its last fork is Prague: this package is what a successor has to offer. It uses
py-evm's state, opcodes and fee accounting. Headers, transactions, receipts and their validity are our own, for two
reasons: py-evm's receipt subtracts refunds from a sum that already holds EIP-7623's floor, so gas used could differ
from what was paid; and a transaction that is invalid must be named by one of our codes, not by the text of an
exception.

* ``messages.py``: what is run, where, and what comes of it. Plain data.
* ``world_state.py``: a state named by its root, and the database beneath it.
* ``transition.py``: one transaction on a state.
* ``simulation.py``: messages that are tried and leave nothing behind.
* ``executor.py``: blocks.
"""

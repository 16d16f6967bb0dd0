"""ABCI 2.0 as CometBFT speaks it over a socket.

* ``frames.py``: bytes to frames and back. No IO.
* ``schema.py``: the protobuf messages, as a table.
* ``codec.py``: protobuf messages to the plain values of :mod:`piebridge.abci.messages` and back.
* ``dispatch.py``: one request, one call of the application, one response.
* ``server.py``: the sockets.
"""

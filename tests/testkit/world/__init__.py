"""A PieBridge world inside one process: parachains, relay chains and a plain carrier, under one virtual clock.

:class:`HubBench` is one hub whose relay chains are nothing but test keys, for everything that concerns a hub alone.
:class:`World` is the whole road. Nothing here reads a clock, opens a socket or draws randomness.
"""

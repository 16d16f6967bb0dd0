"""Ports for networks of tests, so that two test runners side by side never want the same."""

import os

from piebridge.cli.local_network import folder
from piebridge.cli.local_network.plan import Wishes


def free_port_base(wishes: Wishes) -> int:
    """Return a port base that is free now and that no other worker of this test run may take.

    Looking and listening are not one step: without a share of its own for each worker, two could find the same base.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return folder.find_free_ports(wishes, folder.PORT_BASES[worker::workers])

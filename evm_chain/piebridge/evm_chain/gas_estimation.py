"""The least gas limit with which a message succeeds.

Gas used is not enough: EIP-150 keeps 1/64 of the gas back at each call, refunds come after the end, and a contract may
look at the gas it has left. So the limit is searched, as other nodes do, and may be up to 1.5 % above the least.
"""

from dataclasses import replace

from piebridge.evm_chain.execution.messages import CallRequest, CallResult
from piebridge.evm_chain.execution.simulation import Simulation
from piebridge.evm_chain.transaction import calldata_floor_gas, intrinsic_gas

_TOLERANCE = 0.015
_CALL_STIPEND = 2_300


class EstimationFailed(Exception):
    """The message fails with all the gas that it may have."""

    def __init__(self, result: CallResult) -> None:
        """Carry the failed run."""
        super().__init__(result.error)
        self.result = result
        """Outcome of the run with the most gas."""


def estimate_gas(simulation: Simulation, request: CallRequest) -> int:
    """Search the gas limit of a message.

    Args:
        simulation: state to try it on.
        request: the message; its gas limit is the most that may be estimated.

    Raises:
        EstimationFailed: it fails with that limit.
        InvalidTransaction: it cannot be run at all.
    """
    due = max(intrinsic_gas(request.data, not request.to, request.access_list), calldata_floor_gas(request.data))
    high = request.gas_limit
    if due < high and simulation.run(replace(request, gas_limit=due)).succeeded:
        return due
    with_most = simulation.run(request)
    if not with_most.succeeded:
        raise EstimationFailed(with_most)
    low = max(due, with_most.gas_used - 1)
    likely = (with_most.gas_used + with_most.gas_refunded + _CALL_STIPEND) * 64 // 63
    if low < likely < high:
        low, high = (low, likely) if simulation.run(replace(request, gas_limit=likely)).succeeded else (likely, high)
    while low + 1 < high and (high - low) / high >= _TOLERANCE:
        middle = min((low + high) // 2, 2 * low)
        low, high = (low, middle) if simulation.run(replace(request, gas_limit=middle)).succeeded else (middle, high)
    return high

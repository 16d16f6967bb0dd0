"""Messages that are tried on a state and leave nothing behind: eth_call and eth_estimateGas."""

from eth.abc import ComputationAPI, StateAPI
from eth.exceptions import OutOfGas, Revert
from eth.vm.forks.prague.state import PragueTransactionExecutor
from eth.vm.message import Message

from piebridge.evm_chain.block import create_address
from piebridge.evm_chain.errors import InvalidTransaction, RejectionCode
from piebridge.evm_chain.execution.messages import CallRequest, CallResult
from piebridge.evm_chain.execution.transition import Invocation, charged_gas, intrinsic_gas_of_py_evm
from piebridge.evm_chain.transaction import TransactionType, check_gas_limit


class Simulation:
    """Tries messages on one state; each leaves it as it was. Not for several threads at once."""

    def __init__(self, state: StateAPI) -> None:
        """Try messages on a state that is nobody else's; ``EvmExecutor.simulation`` makes it."""
        self._state = state

    def balance(self, address: bytes) -> int:
        """Balance in this state, overrides included, wei."""
        return self._state.get_balance(address)  # type: ignore[arg-type]

    def run(self, request: CallRequest) -> CallResult:
        """Run a message from a fresh start. No fee is charged and the sender need not be able to pay one.

        Raises:
            InvalidTransaction: gas below intrinsic gas, init code too large, or value above the balance.
        """
        invocation = _call_invocation(request)
        check_gas_limit(request.gas_limit, request.data, not request.to, request.access_list)
        if self.balance(request.sender) < request.value:
            raise InvalidTransaction(
                RejectionCode.INSUFFICIENT_FUNDS,
                f"insufficient funds for transfer: address 0x{request.sender.hex()} "
                f"has {self.balance(request.sender)}, wants {request.value}",
            )
        self._state.lock_changes()
        snapshot = self._state.snapshot()
        try:
            executor = PragueTransactionExecutor(self._state)
            message = _call_message(self._state, executor, request, request.gas_limit - invocation.intrinsic_gas)
            computation = executor.build_computation(message, invocation)  # type: ignore[arg-type]
            gas_used, refund = charged_gas(computation, request.gas_limit, request.data)
            return CallResult(
                succeeded=computation.is_success,
                output=bytes(computation.output),
                gas_used=gas_used,
                gas_refunded=refund,
                error="" if computation.is_success else _error_text(computation),
                reverted=computation.is_error and isinstance(computation.error, Revert),
                out_of_gas=computation.is_error and isinstance(computation.error, OutOfGas),
            )
        finally:
            self._state.revert(snapshot)
            self._state.clear_transient_storage()


def _call_invocation(request: CallRequest) -> Invocation:
    return Invocation(
        sender=request.sender,
        to=request.to,
        value=request.value,
        data=request.data,
        gas=request.gas_limit,
        intrinsic_gas=intrinsic_gas_of_py_evm(request.data, not request.to, request.access_list),
        max_fee_per_gas=request.gas_price,
        max_priority_fee_per_gas=request.gas_price,  # the lesser of both, base fee added, is then the price itself
        access_list=request.access_list,
        nonce=0,
        type_id=TransactionType.DYNAMIC_FEE,
    )


def _call_message(state: StateAPI, executor: PragueTransactionExecutor, request: CallRequest, gas: int) -> Message:
    """The outermost message, as py-evm's executor makes it of a transaction, without buying gas."""
    nonce = state.get_nonce(request.sender)  # type: ignore[arg-type]
    state.increment_nonce(request.sender)  # type: ignore[arg-type]
    if request.to:
        code, delegate = executor.get_code_at_address(request.to)  # type: ignore[arg-type]
        create = None
    else:
        code, delegate = request.data, None
        create = create_address(request.sender, nonce)
    return Message(
        gas=gas,
        to=request.to,  # type: ignore[arg-type]
        sender=request.sender,  # type: ignore[arg-type]
        value=request.value,
        data=request.data if request.to else b"",
        code=code,
        create_address=create,  # type: ignore[arg-type]
        is_delegation=delegate is not None,
    )


def _error_text(computation: ComputationAPI) -> str:
    if isinstance(computation.error, Revert):
        return "execution reverted"
    if isinstance(computation.error, OutOfGas):
        return "out of gas"
    return f"{type(computation.error).__name__}: {computation.error}"

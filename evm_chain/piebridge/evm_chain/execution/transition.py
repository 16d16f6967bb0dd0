"""One transaction on a state: checked, run, and paid for."""

from dataclasses import dataclass, field

from eth.abc import ComputationAPI, StateAPI
from eth.vm.forks.prague.state import PragueTransactionExecutor

from piebridge.evm_chain.block import Log, Outcome, create_address
from piebridge.evm_chain.errors import InvalidTransaction, RejectionCode
from piebridge.evm_chain.execution.messages import BlockEnvironment
from piebridge.evm_chain.execution.world_state import LOCAL_FAILURES
from piebridge.evm_chain.transaction import (
    AccessList,
    SignedTransaction,
    calldata_floor_gas,
    check_against_sender,
    check_without_state,
    initcode_gas,
    intrinsic_gas,
)

_REFUND_QUOTIENT = 5


@dataclass(frozen=True, slots=True)
class Invocation:
    """What py-evm's transaction executor reads from a transaction. The names are py-evm's."""

    sender: bytes
    to: bytes
    value: int
    data: bytes = field(repr=False)  # py-evm formats the transaction for a debug line that nobody reads
    gas: int
    intrinsic_gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    access_list: AccessList
    nonce: int
    type_id: int


def apply_transaction(
    state: StateAPI, environment: BlockEnvironment, transaction: SignedTransaction, gas_left: int
) -> Outcome | InvalidTransaction:
    """Run one transaction; one that is invalid leaves the state as it was."""
    state.lock_changes()
    snapshot = state.snapshot()
    try:
        _check_with_state(state, environment, transaction, gas_left)
        outcome = _run(state, environment, transaction)
    except InvalidTransaction as invalid:
        state.revert(snapshot)
        return invalid
    except LOCAL_FAILURES:
        raise
    except Exception as fault:  # a fault of py-evm must not stop the chain at every restart; every node has the same
        state.revert(snapshot)
        return InvalidTransaction(RejectionCode.EXECUTION_FAULT, f"EVM fault: {type(fault).__name__}: {fault}")
    state.commit(snapshot)
    return outcome


def _check_with_state(
    state: StateAPI, environment: BlockEnvironment, transaction: SignedTransaction, gas_left: int
) -> None:
    check_without_state(transaction, environment.gas_limit)
    check_against_sender(
        transaction,
        environment.base_fee_per_gas,
        nonce=state.get_nonce(transaction.sender),  # type: ignore[arg-type]
        balance=state.get_balance(transaction.sender),  # type: ignore[arg-type]
        code=state.get_code(transaction.sender),  # type: ignore[arg-type]
    )
    if transaction.gas_limit > gas_left:
        raise InvalidTransaction(
            RejectionCode.GAS_LIMIT_EXCEEDED, f"gas limit reached: {gas_left} left, want {transaction.gas_limit}"
        )


def _run(state: StateAPI, environment: BlockEnvironment, transaction: SignedTransaction) -> Outcome:
    invocation = _transaction_invocation(transaction)
    executor = PragueTransactionExecutor(state)
    message = executor.build_evm_message(invocation)  # type: ignore[arg-type]
    computation = executor.build_computation(message, invocation)  # type: ignore[arg-type]
    executor.finalize_computation(invocation, computation)  # type: ignore[arg-type]
    state.clear_transient_storage()
    gas_used, _ = charged_gas(computation, transaction.gas_limit, transaction.data)
    return Outcome(
        succeeded=computation.is_success,
        gas_used=gas_used,
        effective_gas_price=transaction.effective_gas_price(environment.base_fee_per_gas),
        sender=transaction.sender,
        contract_address=create_address(transaction.sender, transaction.nonce)
        if transaction.is_create and computation.is_success
        else b"",
        logs=tuple(
            Log(bytes(address), tuple(topic.to_bytes(32, "big") for topic in topics), bytes(data))
            for address, topics, data in computation.get_log_entries()
        ),
        output=bytes(computation.output),
    )


def charged_gas(computation: ComputationAPI, gas_limit: int, data: bytes) -> tuple[int, int]:
    """Gas charged and refund within it (EIP-3529, EIP-7623)."""
    consumed = gas_limit - computation.get_gas_remaining()
    refund = min(computation.get_gas_refund(), consumed // _REFUND_QUOTIENT)
    return max(consumed - refund, calldata_floor_gas(data)), refund


def _transaction_invocation(transaction: SignedTransaction) -> Invocation:
    return Invocation(
        sender=transaction.sender,
        to=transaction.to,
        value=transaction.value,
        data=transaction.data,
        gas=transaction.gas_limit,
        intrinsic_gas=intrinsic_gas_of_py_evm(transaction.data, transaction.is_create, transaction.access_list),
        max_fee_per_gas=transaction.fee_per_gas_max,
        max_priority_fee_per_gas=transaction.priority_fee_per_gas_max,
        access_list=transaction.access_list,
        nonce=transaction.nonce,
        type_id=transaction.type,
    )


def intrinsic_gas_of_py_evm(data: bytes, is_create: bool, access_list: AccessList) -> int:
    """py-evm charges for init code when it starts the computation, so it must not be charged before."""
    return intrinsic_gas(data, is_create, access_list) - (initcode_gas(data) if is_create else 0)

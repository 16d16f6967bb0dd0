"""Fee suggestions and eth_feeHistory."""

from collections.abc import Sequence

from piebridge.evm_chain.block import Outcome
from piebridge.evm_chain.header import EvmHeader, next_base_fee
from piebridge.evm_chain.rpc_chain import RpcChain
from piebridge.evm_chain.rpc_format import Document
from piebridge.evm_chain.rpc_parameters import BlockName

PRIORITY_FEE_SUGGESTION_WEI = 1_000_000
"""Blocks take transactions in order of arrival, so a tip buys nothing; this is what wallets may offer all the same."""
HISTORY_BLOCKS_MAX = 1_024
"""Blocks of one eth_feeHistory."""
_BLOB_BASE_FEE_WEI = 1


def gas_price(chain: RpcChain) -> int:
    """Price for legacy transactions: next base fee, one step of its rise, and the tip, wei."""
    base_fee = next_base_fee(chain.head.header)
    return base_fee + base_fee // 8 + PRIORITY_FEE_SUGGESTION_WEI


def fee_history(chain: RpcChain, count: int, newest: BlockName, percentiles: list[float]) -> Document:
    """Answer of eth_feeHistory.

    Args:
        chain: the chain.
        count: blocks wanted; fewer are answered where there are not as many.
        newest: last block.
        percentiles: of the priority fees by gas, ascending.
    """
    last = chain.header(newest)
    count = min(count, HISTORY_BLOCKS_MAX, last.number + 1)
    headers = [chain.header(number) for number in range(last.number - count + 1, last.number + 1)]
    document: Document = {
        "oldestBlock": hex(last.number - count + 1 if count else 0),
        "baseFeePerGas": [hex(header.base_fee_per_gas) for header in headers] + [hex(next_base_fee(last))],
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        "baseFeePerBlobGas": [hex(_BLOB_BASE_FEE_WEI)] * (len(headers) + 1),
        "blobGasUsedRatio": [0.0] * len(headers),
    }
    if percentiles:
        document["reward"] = [
            _rewards(header, chain.app.database.outcomes(header.number), percentiles) for header in headers
        ]
    return document


def _rewards(header: EvmHeader, outcomes: Sequence[Outcome], percentiles: list[float]) -> list[str]:
    tips = sorted((outcome.effective_gas_price - header.base_fee_per_gas, outcome.gas_used) for outcome in outcomes)
    if not tips:
        return ["0x0"] * len(percentiles)
    rewards = []
    index, gas = 0, tips[0][1]
    for percentile in percentiles:
        while gas < header.gas_used * percentile / 100 and index < len(tips) - 1:
            index += 1
            gas += tips[index][1]
        rewards.append(hex(tips[index][0]))
    return rewards

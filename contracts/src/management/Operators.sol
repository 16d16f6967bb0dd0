// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MarketStorage} from "./MarketStorage.sol";
import {Reputation} from "./Reputation.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title Operators and their bonds: a part of NodeMarket.
abstract contract Operators is MarketStorage {
    /// @inheritdoc INodeMarket
    function postBond() external payable {
        uint32 id = _callingOperator();
        if (msg.value == 0) revert WrongAmount(0, 0);
        _operators[id].bonded += uint128(msg.value);
        emit BondPosted(id, uint128(msg.value));
    }

    /// @inheritdoc INodeMarket
    function requestWithdrawal(uint128 amount) external {
        uint32 id = _callingOperator();
        Operator storage operator = _operators[id];
        // What a suspended operator has is kept until the governors have judged.
        if (operator.suspended) revert Suspended(id);
        uint128 required = _required(operator);
        uint128 free = operator.bonded > required ? operator.bonded - required : 0;
        if (amount == 0 || amount > free) revert WrongAmount(free, amount);
        operator.bonded -= amount;
        operator.unbonding += amount;
        operator.claimableAt = uint64(block.timestamp) + WITHDRAWAL_DELAY_SECONDS;
        emit WithdrawalRequested(id, amount, operator.claimableAt);
    }

    /// @inheritdoc INodeMarket
    function claimWithdrawal() external {
        uint32 id = _callingOperator();
        Operator storage operator = _operators[id];
        if (operator.suspended) revert Suspended(id);
        uint128 amount = operator.unbonding;
        if (amount == 0) revert WrongAmount(0, 0);
        if (block.timestamp < operator.claimableAt) revert NotYetClaimable(operator.claimableAt);
        operator.unbonding = 0;
        emit WithdrawalClaimed(id, amount);
        _pay(msg.sender, amount);
    }

    function _admit(address account) internal {
        if (account == address(0) || _operatorIds[account] != 0) revert MalformedBody();
        uint32 id = ++_lastOperator;
        _operatorIds[account] = id;
        _operators[id].account = account;
        _operators[id].startingReputation = uint16(Reputation.START);
        emit OperatorAdmitted(id, account);
    }

    function _suspend(uint32 id, bool suspended) internal {
        if (_operators[id].account == address(0)) revert MalformedBody();
        _operators[id].suspended = suspended;
        emit OperatorSuspended(id, suspended);
    }

    function _restore(uint32 id, uint16 startingReputation) internal {
        if (_operators[id].account == address(0) || startingReputation > Reputation.START) revert MalformedBody();
        _operators[id].startingReputation = startingReputation;
        emit OperatorRestored(id, startingReputation);
    }

    function _disburse(address account, uint128 amount) internal {
        if (amount == 0 || amount > _forfeited) revert WrongAmount(_forfeited, amount);
        _forfeited -= amount;
        emit Disbursed(account, amount);
        _pay(account, amount);
    }

    function _callingOperator() internal view returns (uint32 id) {
        id = _operatorIds[msg.sender];
        if (id == 0) revert NotAnOperator(msg.sender);
    }

    /// @dev All is written before this is called, so nothing can be paid twice by coming in again.
    function _pay(address account, uint128 amount) private {
        (bool paid,) = account.call{value: amount}("");
        if (!paid) revert PaymentFailed(account);
    }
}

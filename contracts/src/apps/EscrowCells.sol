// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Amounts that transactions across chains take and give back: the cell of an account holds its free amount.
/// @notice A transaction that debits a cell leaves the amount in flight: it is in no cell until the destination has credited it or the abort has given
/// it back. Debits and credits commute, so any number of transactions may work on one cell at the same time and none waits for another.
/// @dev A cell is one word: the amount in the lower half; the upper half is the place of the lock word and zero as long as there are only escrows.
abstract contract EscrowCells {
    /// @notice Thrown when the amounts of a cell would not fit 128 bits.
    error CellOverflow();
    /// @notice Thrown when a cell holds less than is to be taken.
    error CellTooSmall(address account, uint256 amount, uint256 needed);

    mapping(address account => uint256) private _cells;

    function _amountOf(address account) internal view returns (uint256) {
        return uint128(_cells[account]);
    }

    /// @dev Takes `amount` out of a cell.
    function _debit(address account, uint256 amount) internal {
        uint256 cell = _cells[account];
        uint256 free = uint128(cell);
        if (free < amount) revert CellTooSmall(account, free, amount);
        unchecked {
            _cells[account] = cell - amount;
        }
    }

    /// @dev Puts `amount` into a cell.
    function _credit(address account, uint256 amount) internal {
        uint256 cell = _cells[account];
        if (amount > type(uint128).max - uint128(cell)) revert CellOverflow();
        unchecked {
            _cells[account] = cell + amount;
        }
    }
}

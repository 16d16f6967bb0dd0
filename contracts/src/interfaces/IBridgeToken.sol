// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A token (ERC-20) that lives on several chains: the balances of all chains and what is in flight add up to `totalSupply`.
interface IBridgeToken {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    /// @notice A transfer from another chain was credited.
    event TransferReceived(bytes32 indexed packetId, address indexed recipient, uint128 amount);
    /// @notice A transfer to another chain was aborted and given back.
    event TransferRefunded(bytes32 indexed packetId, address indexed sender, uint128 amount);
    /// @notice The cap of what may be credited in a window was set; it holds from `effectiveAt` on.
    event CapSet(uint128 cap, uint32 windowSeconds, uint40 effectiveAt);
    /// @notice Credits from other chains were stopped or resumed. What comes meanwhile is refused and goes back to its sender.
    event PauseSet(bool paused);

    /// @notice Thrown when a spender may take less than it is to take.
    error InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
    /// @notice Thrown for a recipient that can hold no tokens: the zero address or the token itself.
    error InvalidRecipient(address recipient);
    /// @notice Thrown when a credit or a refund would exceed what may be credited or refunded in this window, and for a transfer that could not come back.
    error CapExceeded(uint256 credited, uint256 amount, uint256 cap);
    /// @notice Thrown by a credit while the token is paused.
    error Paused();

    function name() external view returns (string memory);
    function symbol() external view returns (string memory);
    function decimals() external view returns (uint8);
    /// @notice Constant supply of the asset over all chains.
    function totalSupply() external view returns (uint256);
    function balanceOf(address account) external view returns (uint256);
    function allowance(address owner, address spender) external view returns (uint256);
    function approve(address spender, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);

    /// @notice Sends tokens of the caller to an account on another chain. They are debited at once; if the destination refuses the transfer or does not
    /// execute it before `execExpiry`, they come back by a settlement that anybody can carry. What comes back in a window is bounded by the cap that the token was made with: a
    /// larger amount cannot be sent, and a settlement beyond it fails until the next window.
    /// @param relay The relay chain the transaction is bound to: `hub.route(domain, destination, application)`.
    /// @param execExpiry Unix seconds, destination's clock: from then on the destination refuses.
    /// @param deadline Unix seconds, relay chain's clock: it takes the transaction up only before; not before execExpiry.
    function transferRemote(
        uint32 domain,
        uint32 destination,
        uint32 relay,
        address recipient,
        uint128 amount,
        uint40 execExpiry,
        uint40 deadline
    ) external returns (bytes32 packetId);

    /// @notice What may be credited from other chains in a window, how much was in the current one, and whether the token is paused.
    function capOf()
        external
        view
        returns (uint128 cap, uint32 windowSeconds, uint128 credited, uint40 windowStart, bool paused);
}

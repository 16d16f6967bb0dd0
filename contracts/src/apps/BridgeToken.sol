// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBridgeToken} from "../interfaces/IBridgeToken.sol";
import {IHub} from "../interfaces/IHub.sol";
import {BridgeApplication} from "./BridgeApplication.sol";
import {EscrowCells} from "./EscrowCells.sol";
import {Headers} from "./Headers.sol";

/// @title The token of the examples: one asset on several chains, moved by ATP transactions.
/// @notice What comes from other chains is capped per window, so that even a relay chain whose keys are all stolen can take no more than that; a governor
/// message pauses these credits. (Transfers that leave are paused at the hub, with the whole application: reading a pause here would cost every send a slot.)
contract BridgeToken is IBridgeToken, BridgeApplication, EscrowCells {
    uint32 private constant FUNCTION_TRANSFER = 1;
    /// amount u128, sender, recipient
    uint256 private constant BODY_SIZE = 56;
    /// Enough for a credit to an account that has none yet, with both events and a new window.
    uint32 private constant HANDLER_GAS = 120_000;

    uint8 private constant SET_CAP = 1;
    uint8 private constant PAUSE = 2;
    uint8 private constant RESUME = 3;

    struct Limits {
        uint128 cap;
        uint32 windowSeconds;
        bool paused;
        uint40 pendingAt; // 0: no other limits wait
    }

    struct Window {
        uint128 credited;
        uint40 start;
    }

    struct Pending {
        uint128 cap;
        uint32 windowSeconds;
    }

    /// @inheritdoc IBridgeToken
    uint256 public immutable totalSupply;
    /// @inheritdoc IBridgeToken
    uint8 public constant decimals = 18;
    /// @inheritdoc IBridgeToken
    string public name;
    /// @inheritdoc IBridgeToken
    string public symbol;
    /// @inheritdoc IBridgeToken
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    /// Most that may be given back in a window, and so the largest transfer: cap and window of the construction, whatever the cap is later.
    uint128 private immutable _REFUND_CAP;
    uint32 private immutable _REFUND_WINDOW;

    Limits private _limits;
    Window private _window;
    Window private _refunds;
    Pending private _pending;

    /// @param supply Supply of the asset over all chains.
    /// @param holder Account that holds this chain's part of it at first.
    /// @param amount That part. The parts of all chains add up to the supply.
    /// @param cap Most that may be credited from other chains in a window.
    /// @param windowSeconds Length of a window.
    constructor(
        IHub hub,
        string memory name_,
        string memory symbol_,
        uint128 supply,
        address holder,
        uint128 amount,
        uint128 cap,
        uint32 windowSeconds
    ) BridgeApplication(hub) {
        if (amount > supply || windowSeconds == 0) revert NotUnderstood();
        name = name_;
        symbol = symbol_;
        totalSupply = supply;
        _REFUND_CAP = cap;
        _REFUND_WINDOW = windowSeconds;
        _limits = Limits({cap: cap, windowSeconds: windowSeconds, paused: false, pendingAt: 0});
        if (amount != 0) {
            _requireRecipient(holder);
            _credit(holder, amount);
            emit Transfer(address(0), holder, amount);
        }
        emit CapSet(cap, windowSeconds, uint40(block.timestamp));
    }

    // ------------------------------------------------------------------------------------------------------------ on this chain

    /// @inheritdoc IBridgeToken
    function balanceOf(address account) external view returns (uint256) {
        return _amountOf(account);
    }

    /// @inheritdoc IBridgeToken
    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    /// @inheritdoc IBridgeToken
    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    /// @inheritdoc IBridgeToken
    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < amount) revert InsufficientAllowance(msg.sender, allowed, amount);
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - amount;
        _move(from, to, amount);
        return true;
    }

    function _move(address from, address to, uint256 amount) private {
        _requireRecipient(to);
        _debit(from, amount);
        _credit(to, amount);
        emit Transfer(from, to, amount);
    }

    function _requireRecipient(address recipient) private view {
        if (recipient == address(0) || recipient == address(this)) revert InvalidRecipient(recipient);
    }

    // ------------------------------------------------------------------------------------------------------------ across chains

    /// @inheritdoc IBridgeToken
    function transferRemote(
        uint32 domain,
        uint32 destination,
        uint32 relay,
        address recipient,
        uint128 amount,
        uint40 execExpiry,
        uint40 deadline
    ) external returns (bytes32 packetId) {
        if (amount > _REFUND_CAP) revert CapExceeded(0, amount, _REFUND_CAP);
        _debit(msg.sender, amount);
        emit Transfer(msg.sender, address(0), amount);
        uint256 to = uint160(recipient);
        return _sendShort(
            Headers.transport(domain, destination, relay, 0, 0),
            Headers.transaction(Headers.ATP, 0, deadline, execExpiry, HANDLER_GAS),
            Headers.application(FUNCTION_TRANSFER, 0),
            // amount, sender, and as much of the recipient as fits
            bytes32((uint256(amount) << 128) | (uint256(uint160(msg.sender)) >> 32)),
            bytes32((uint256(uint160(msg.sender)) << 224) | (to << 64)),
            BODY_SIZE
        );
    }

    /// @dev Credits a transfer. Everything that cannot be credited reverts, and the transfer is refunded at its source.
    function _onPacket(bytes32 packetId, bytes calldata packet) internal override returns (bytes memory) {
        (uint128 amount,, address recipient) = _read(packet);
        _requireRecipient(recipient);
        _requireLimits(amount);
        _credit(recipient, amount);
        emit Transfer(address(0), recipient, amount);
        emit TransferReceived(packetId, recipient, amount);
        return "";
    }

    /// @dev Gives an aborted transfer back. No pause stands against it: it is the sender's own. But that it was sent is only the relay chain's word, which
    /// names the packet's hash; with its keys stolen that word is worth no more than a credit, so it is bounded like one. What exceeds the window can
    /// be settled in the next.
    function _onAbort(bytes32 packetId, bytes calldata packet) internal override {
        (uint128 amount, address sender,) = _read(packet);
        _countRefund(amount);
        _credit(sender, amount);
        emit Transfer(address(0), sender, amount);
        emit TransferRefunded(packetId, sender, amount);
    }

    function _countRefund(uint128 amount) private {
        Window memory window = _refunds;
        if (block.timestamp >= uint256(window.start) + _REFUND_WINDOW) window = Window(0, uint40(block.timestamp));
        uint256 credited = uint256(window.credited) + amount;
        if (credited > _REFUND_CAP) revert CapExceeded(window.credited, amount, _REFUND_CAP);
        window.credited = uint128(credited);
        _refunds = window;
    }

    function _read(bytes calldata packet) private pure returns (uint128 amount, address sender, address recipient) {
        bytes calldata body = Headers.bodyOf(packet);
        if (Headers.functionOf(packet) != FUNCTION_TRANSFER || body.length != BODY_SIZE) revert NotUnderstood();
        return (uint128(bytes16(body[:16])), address(bytes20(body[16:36])), address(bytes20(body[36:56])));
    }

    // ------------------------------------------------------------------------------------------------------------ pause and cap

    /// @inheritdoc IBridgeToken
    function capOf()
        external
        view
        returns (uint128 cap, uint32 windowSeconds, uint128 credited, uint40 windowStart, bool paused)
    {
        Limits memory limits = _currentLimits();
        Window memory window = _currentWindow(limits.windowSeconds);
        return (limits.cap, limits.windowSeconds, window.credited, window.start, limits.paused);
    }

    /// @dev Counts a credit against the cap of the window.
    function _requireLimits(uint128 amount) private {
        Limits memory limits = _currentLimits();
        if (limits.paused) revert Paused();
        Window memory window = _currentWindow(limits.windowSeconds);
        uint256 credited = uint256(window.credited) + amount;
        if (credited > limits.cap) revert CapExceeded(window.credited, amount, limits.cap);
        window.credited = uint128(credited);
        _window = window;
    }

    function _currentWindow(uint32 windowSeconds) private view returns (Window memory window) {
        window = _window;
        if (block.timestamp >= uint256(window.start) + windowSeconds) return Window(0, uint40(block.timestamp));
    }

    function _currentLimits() private view returns (Limits memory limits) {
        limits = _limits;
        if (limits.pendingAt != 0 && block.timestamp >= limits.pendingAt) {
            limits.cap = _pending.cap;
            limits.windowSeconds = _pending.windowSeconds;
            limits.pendingAt = 0;
        }
    }

    /// @dev function u8: 1 set cap (cap u128, window seconds u32), 2 pause, 3 resume.
    function _onGovernor(bytes calldata data) internal override {
        if (data.length == 0) revert NotUnderstood();
        uint8 functionId = uint8(data[0]);
        if (functionId == SET_CAP && data.length == 21) {
            _setCap(uint128(bytes16(data[1:17])), uint32(bytes4(data[17:21])));
        } else if ((functionId == PAUSE || functionId == RESUME) && data.length == 1) {
            _limits.paused = functionId == PAUSE;
            emit PauseSet(functionId == PAUSE);
        } else {
            revert NotUnderstood();
        }
    }

    /// @dev Tighter limits hold at once; wider ones after one window, so that whoever sees them coming has time to pause.
    function _setCap(uint128 cap, uint32 windowSeconds) private {
        if (windowSeconds == 0) revert NotUnderstood();
        Limits memory limits = _currentLimits();
        bool wider = cap > limits.cap || windowSeconds < limits.windowSeconds;
        uint40 effectiveAt = uint40(block.timestamp);
        if (wider) {
            effectiveAt += limits.windowSeconds;
            limits.pendingAt = effectiveAt;
            _pending = Pending({cap: cap, windowSeconds: windowSeconds});
        } else {
            (limits.cap, limits.windowSeconds, limits.pendingAt) = (cap, windowSeconds, 0);
        }
        _limits = limits;
        emit CapSet(cap, windowSeconds, effectiveAt);
    }
}

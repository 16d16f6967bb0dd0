// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IApplication} from "../interfaces/IApplication.sol";
import {IHubReturning} from "../interfaces/IHubSelf.sol";
import {PacketHeader} from "./PacketHeader.sol";
import {VerificationLayer} from "./VerificationLayer.sol";

/// @title Application layer of a hub: who may send, and how applications are called.
/// @dev Every call out of a hub is made here. None of them copies more than 256 bytes of what comes back, none is made with less gas than was promised.
abstract contract ApplicationLayer is VerificationLayer {
    /// Longest data that a handler may return with RETURN, and longest reason of a failure that is kept.
    uint256 internal constant RETURN_LIMIT = 256;
    /// Gas of a callback. A packet cannot choose it: it is spent at the source.
    uint256 internal constant CALLBACK_GAS = 200_000;
    /// Gas of APPLICATION_CALL.
    uint256 internal constant SETTING_GAS = 1_000_000;
    /// What the code between a check of the gas and its call costs at most.
    uint256 private constant CALL_RESERVE = 500;

    /// @dev Application header of a packet that is sent: the sender's word with its application id and the length of the body.
    function _applicationDown(uint256 application, uint256 bodyLength, uint256 transaction, uint256 sender)
        internal
        view
        returns (uint256)
    {
        uint256 protocols = (sender >> SENDER_PROTOCOLS) & 0xffff;
        if ((protocols >> PacketHeader.protocol(transaction)) & 1 == 0) revert NotAllowed(msg.sender);
        if (sender & SENDER_PAUSED != 0) revert ApplicationPaused(uint32(sender));
        bool free = application & (PacketHeader.APPLICATION_ZERO_MASK | (U32 << 224) | (U32 << 64)) == 0;
        if (!free || PacketHeader.codec(application) > 2) revert InvalidHeader();
        return application | ((sender & U32) << 224) | (bodyLength << 64);
    }

    /// @dev Address of an application that can be called, 0 if it is not registered or has no code; and whether it is paused.
    function _callable(uint256 application) internal view returns (address account, bool paused) {
        uint256 record = _applications[application];
        account = address(uint160(record));
        if (account.code.length == 0) account = address(0);
        paused = record & APP_PAUSED != 0;
    }

    /// @dev Calls a handler with the packet of `length` bytes at `offset` of the call data and exactly `gasLimit`.
    function _callHandler(address account, uint256 gasLimit, bytes32 packetId, uint256 offset, uint256 length)
        internal
        returns (bool success)
    {
        bytes4 selector = IApplication.onPacket.selector;
        bool starved;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, selector)
            mstore(add(buffer, 0x04), packetId)
            mstore(add(buffer, 0x24), 0x40)
            mstore(add(buffer, 0x44), length)
            mstore(add(add(buffer, 0x64), length), 0)
            calldatacopy(add(buffer, 0x64), offset, length)
            let size := add(0x64, and(add(length, 31), not(31)))
            // EIP-150 keeps 1/64 back: with less than this the handler would get less than the packet promises it.
            let available := gas()
            starved := lt(sub(available, shr(6, available)), add(gasLimit, CALL_RESERVE))
            if iszero(starved) { success := call(gasLimit, account, 0, buffer, size, 0, 0) }
        }
        if (starved) revert InsufficientGas();
    }

    /// @dev Like `_callHandler`, for packets with RETURN: a handler that returns what cannot go home has failed, so what it did must be undone. That is why
    /// the call goes through a frame of the hub's own.
    function _callHandlerReturning(address account, uint256 gasLimit, bytes32 packetId, bytes calldata packet)
        internal
        returns (bool success, bytes memory returned)
    {
        bytes memory data = abi.encodeCall(IHubReturning.callReturning, (account, gasLimit, packetId, packet));
        // Two frames keep back 1/64 each (together less than 1/32); the inner one copies the packet once more.
        uint256 available = gasleft();
        if (available - available / 32 < gasLimit + 15_000 + 10 * packet.length) revert InsufficientGas();
        (success, returned) = address(this).call(data);
        if (success) returned = abi.decode(returned, (bytes));
    }

    /// @dev The inner frame of `_callHandlerReturning`: reverts when the handler fails or returns what cannot go home.
    function _callReturning(address account, uint256 gasLimit, bytes32 packetId, bytes calldata packet)
        internal
        returns (bytes memory returned)
    {
        bytes memory data = abi.encodeCall(IApplication.onPacket, (packetId, packet));
        bool success;
        assembly ("memory-safe") {
            success := call(gasLimit, account, 0, add(data, 0x20), mload(data), 0, 0)
        }
        if (!success) {
            bytes memory reason = _reason();
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
        bool valid;
        assembly ("memory-safe") {
            // The ABI encoding of one `bytes`: 0x20, length, data filled up to whole words. Nothing else, nothing longer.
            let size := returndatasize()
            if iszero(or(lt(size, 0x40), gt(size, add(0x40, RETURN_LIMIT)))) {
                returned := mload(0x40)
                returndatacopy(returned, 0, size)
                let head := mload(returned)
                returned := add(returned, 0x20)
                let length := mload(returned)
                valid := and(eq(head, 0x20), iszero(gt(length, RETURN_LIMIT)))
                valid := and(valid, eq(size, add(0x40, and(add(length, 31), not(31)))))
                mstore(0x40, add(returned, size))
            }
        }
        if (!valid) revert InvalidReturn();
    }

    /// @dev Tells the sender of a packet what became of it. `header` is 168 bytes: header and H(body).
    function _callBack(bytes32 packetId, bytes calldata header, uint8 code, bytes calldata returned)
        internal
        returns (bool success, bytes memory reason)
    {
        uint256 application = PacketHeader.applicationId(uint256(bytes32(header[72:104])));
        (address account, bool paused) = _callable(application);
        if (account == address(0) || paused) {
            return (false, abi.encodeWithSelector(ApplicationUnavailable.selector, application));
        }
        bytes memory data = abi.encodeCall(IApplication.onReceipt, (packetId, header, code, returned));
        return _callExactly(account, CALLBACK_GAS, data);
    }

    /// @dev Calls with exactly `gasLimit`, or reverts with InsufficientGas.
    function _callExactly(address account, uint256 gasLimit, bytes memory data)
        internal
        returns (bool success, bytes memory reason)
    {
        bool starved;
        assembly ("memory-safe") {
            let available := gas()
            starved := lt(sub(available, shr(6, available)), add(gasLimit, CALL_RESERVE))
            if iszero(starved) { success := call(gasLimit, account, 0, add(data, 0x20), mload(data), 0, 0) }
        }
        if (starved) revert InsufficientGas();
        if (!success) reason = _reason();
    }

    /// @dev Calls with all the gas there is; reverts with ApplicationFailed when the application does.
    function _callOrRevert(address account, bytes memory data) internal {
        bool success;
        assembly ("memory-safe") {
            success := call(gas(), account, 0, add(data, 0x20), mload(data), 0, 0)
        }
        if (!success) revert ApplicationFailed(_reason());
    }

    /// @dev The first bytes, at most 256, of what the last call has returned.
    function _reason() internal pure returns (bytes memory reason) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, RETURN_LIMIT) { size := RETURN_LIMIT }
            reason := mload(0x40)
            mstore(reason, size)
            returndatacopy(add(reason, 0x20), 0, size)
            mstore(0x40, add(reason, and(add(size, 0x3f), not(31))))
        }
    }
}

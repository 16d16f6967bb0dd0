// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The headers that an application gives to its hub, and those that it reads from a packet.
/// @notice Words are laid out as in formats section 4.1; what the hub writes is left zero.
library Headers {
    uint256 internal constant SIZE = 136;

    uint8 internal constant RECEIPT_WANTED = 2;
    uint8 internal constant RETURN = 0x10;

    uint8 internal constant NONE = 0;
    uint8 internal constant ATP = 2;
    uint8 internal constant FORWARD = 4;

    /// @notice Transport header. `relay` is 0 in free lanes; `flags` may hold RECEIPT_WANTED.
    function transport(uint32 domain, uint32 destination, uint32 relay, uint32 channel, uint8 flags)
        internal
        pure
        returns (bytes32)
    {
        return bytes32(
            (uint256(flags) << 232) | (uint256(domain) << 192) | (uint256(destination) << 128) | (uint256(relay) << 96)
                | (uint256(channel) << 64)
        );
    }

    /// @notice Transaction header. `flags` may hold RETURN; times are Unix seconds, the deadline by the relay chain's clock and execExpiry by the
    /// destination's.
    function transaction(uint8 protocol, uint8 flags, uint40 deadline, uint40 execExpiry, uint32 gasLimit)
        internal
        pure
        returns (bytes32)
    {
        return bytes32(
            (uint256(protocol) << 248) | (uint256(flags) << 224) | (uint256(deadline) << 72)
                | (uint256(execExpiry) << 32) | gasLimit
        );
    }

    /// @notice Application header. `callback` 0 means that the sender is not called when the receipt comes home.
    function application(uint32 functionId, uint32 callback) internal pure returns (bytes32) {
        return bytes32((uint256(functionId) << 192) | (uint256(callback) << 160));
    }

    /// @notice Domain of the packet's lane.
    function domainOf(bytes calldata packet) internal pure returns (uint32) {
        return uint32(bytes4(packet[4:8]));
    }

    /// @notice Registration of the hub that sent the packet.
    function sourceOf(bytes calldata packet) internal pure returns (uint32) {
        return uint32(bytes4(packet[8:12]));
    }

    /// @notice Function of the application that the packet is for.
    function functionOf(bytes calldata packet) internal pure returns (uint32) {
        return uint32(bytes4(packet[76:80]));
    }

    /// @notice Body of the packet.
    function bodyOf(bytes calldata packet) internal pure returns (bytes calldata) {
        return packet[SIZE:];
    }
}

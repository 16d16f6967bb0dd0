// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {RequestBytes} from "./RequestBytes.sol";
import {IDomainEvents} from "./interfaces/IDomainEvents.sol";
import {IDomainRegistry} from "./interfaces/IDomainRegistry.sol";

/// @title Strict reading of the parts that requests are made of. Every function reverts with `MalformedRequest` and the number of the rule.
library RequestCheck {
    uint256 internal constant LENGTH = 1;
    uint256 internal constant HEADER = 2;
    uint256 internal constant PARAMETERS = 3;
    uint256 internal constant CHAINS = 4;
    uint256 internal constant GATEWAYS = 5;
    uint256 internal constant MEMBERS = 6;
    uint256 internal constant RELAY = 7;
    uint256 internal constant SET = 8;
    uint256 internal constant POLICY = 9;

    uint256 internal constant MEMBERS_MAX = 64;
    uint256 internal constant RELAYS_MAX = 16;
    uint256 internal constant SEATS_MAX = 32;
    uint256 private constant BLOCK_BYTES_MIN = 65_536;
    uint256 private constant BLOCK_BYTES_MAX = 104_857_600;
    uint256 private constant ROUTING_SLOTS = 1024;

    uint256 private constant METHOD_SPV = 1;
    uint256 private constant METHOD_NOTARY = 2;
    uint256 private constant METHOD_BOTH = 3;
    uint256 private constant CLIENT_COMETBFT = 1;
    /// Length of the part of a REGISTER_CHAIN body in front of the checkpoint's length.
    uint256 private constant CHAIN_FIXED = 40;
    /// Length of a checkpoint besides its chain id.
    uint256 private constant CHECKPOINT_FIXED = 119;

    function require_(bool condition, uint256 rule) internal pure {
        if (!condition) revert IDomainEvents.MalformedRequest(rule);
    }

    /// @notice Whether k of n is a byzantine quorum; without it only DEV goes on.
    function quorum(uint256 threshold, uint256 size, bool dev) internal pure returns (bool) {
        bool bounded = threshold != 0 && threshold <= size && size <= SEATS_MAX;
        return bounded && (dev || (3 * threshold > 2 * size && size >= 2));
    }

    /// @notice Checks the parameters of a domain at an offset of the call data (section 5.2).
    function parameters(uint256 offset, bool dev) internal pure {
        uint256 blockBytes = Calldata.u32(offset + 6);
        uint256 relays = Calldata.u8(offset + RequestBytes.RELAYS);
        uint256 method = Calldata.u8(offset + 13);
        uint256 consensus = Calldata.u8(offset + RequestBytes.CONSENSUS);
        bool valid = Calldata.u8(offset) == 1 && consensus != 0 && consensus <= 2 && Calldata.u32(offset + 2) != 0;
        valid = valid && blockBytes >= BLOCK_BYTES_MIN && blockBytes <= BLOCK_BYTES_MAX;
        valid = valid && relays != 0 && relays <= RELAYS_MAX && method != 0 && method <= 2;
        valid = valid && quorum(Calldata.u8(offset + 12), Calldata.u8(offset + 11), dev);
        valid = valid && Calldata.u32(offset + 14) != 0 && Calldata.u32(offset + 26) != 0;
        require_(valid && Calldata.u32(offset + 38) <= Calldata.u32(offset + 42), PARAMETERS);
    }

    /// @notice Checks a list of chains at an offset of the call data, each against its registration.
    /// @return registrations Ascending.
    /// @return next Offset behind the list; the caller compares it with the end.
    function chains(IDomainRegistry registry, uint256 offset, uint256 end, bool dev)
        internal
        view
        returns (uint32[] memory registrations, uint256 next)
    {
        uint256 count = Calldata.u8(offset);
        require_(offset < end && count != 0 && count <= MEMBERS_MAX, CHAINS);
        registrations = new uint32[](count);
        next = offset + 1;
        for (uint256 i = 0; i < count; ++i) {
            uint256 length = Calldata.u16(next);
            require_(next + 2 + length <= end, LENGTH);
            registrations[i] = _chain(registry, next + 2, length, dev);
            require_(i == 0 || registrations[i] > registrations[i - 1], CHAINS);
            next += 2 + length;
        }
    }

    function _chain(IDomainRegistry registry, uint256 offset, uint256 length, bool dev)
        private
        view
        returns (uint32 registration)
    {
        registration = uint32(Calldata.u32(offset));
        (address representative,,, uint64 evmChainId, address hub, uint64 closed) =
            registry.registrationOf(registration);
        if (representative == address(0) || closed != 0) revert IDomainEvents.NoRegistration(registration);
        bool bound = hub != address(0) && hub == address(uint160(Calldata.word(offset + 4) >> 96))
            && evmChainId == Calldata.u64(offset + 24);
        if (!bound) revert IDomainEvents.WrongHub(registration);

        uint256 method = Calldata.u8(offset + 33);
        uint256 depth = Calldata.u8(offset + 34);
        bool client = method == METHOD_SPV || method == METHOD_BOTH;
        bool notaries = method == METHOD_NOTARY || method == METHOD_BOTH;
        bool valid = (client || notaries) && Calldata.u8(offset + 32) == (client ? CLIENT_COMETBFT : 0);
        valid = valid && depth <= Calldata.u8(offset + 35) && (client || depth != 0 || dev);
        require_(valid, CHAINS);

        uint256 checkpointLength = Calldata.u16(offset + CHAIN_FIXED);
        uint256 notaryOffset = offset + CHAIN_FIXED + 2 + checkpointLength;
        uint256 notaryLength = Calldata.u16(notaryOffset);
        require_(CHAIN_FIXED + 4 + checkpointLength + notaryLength == length, LENGTH);
        require_(client == (checkpointLength != 0) && notaries == (notaryLength != 0), CHAINS);
        if (client) _checkpoint(offset + CHAIN_FIXED + 2, checkpointLength);
        if (notaries) _notaries(notaryOffset + 2, notaryLength, dev);
    }

    /// @dev Formats, section 10.1.
    function _checkpoint(uint256 offset, uint256 length) private pure {
        uint256 name = Calldata.u8(offset + 6);
        require_(name != 0 && name <= 50 && length == CHECKPOINT_FIXED + name, CHAINS);
        for (uint256 i = 0; i < name; ++i) {
            uint256 character = Calldata.u8(offset + 7 + i);
            require_(character > 0x20 && character < 0x7f, CHAINS);
        }
        require_(Calldata.u64(offset + 7 + name) != 0, CHAINS);
    }

    /// @dev Formats, section 9.
    function _notaries(uint256 offset, uint256 length, bool dev) private pure {
        uint256 size = Calldata.u8(offset + 5);
        bool valid = Calldata.u32(offset) != 0 && length == 6 + 20 * size && quorum(Calldata.u8(offset + 4), size, dev);
        require_(valid, CHAINS);
        for (uint256 i = 0; i < size; ++i) {
            uint256 member = Calldata.word(offset + 6 + 20 * i) >> 96;
            require_(member != 0, CHAINS);
            for (uint256 j = 0; j < i; ++j) {
                require_(member != Calldata.word(offset + 6 + 20 * j) >> 96, CHAINS);
            }
        }
    }

    /// @notice Checks a list of gateways that reaches to the end of the call data of a request; their number.
    function gateways(uint256 offset, uint256 end) internal pure returns (uint256 count) {
        count = Calldata.u16(offset);
        require_(offset + 2 + 24 * count == end, LENGTH);
        uint256 last;
        for (uint256 i = 0; i < count; ++i) {
            uint256 account = Calldata.word(offset + 2 + 24 * i) >> 96;
            require_(account > last, GATEWAYS);
            last = account;
        }
    }

    /// @notice Checks a routing policy (formats, kind 6 to a hub) that reaches to the end of the call data of a request.
    /// @param active Relay chains that it may name.
    function policy(uint256 offset, uint256 end, uint32 epoch, uint32[] memory active) internal pure {
        uint256 count = Calldata.u8(offset + 4);
        require_(Calldata.u32(offset) == epoch && count != 0 && offset + 5 + 8 * count == end, POLICY);
        uint256 covered;
        for (uint256 i = 0; i < count; ++i) {
            uint256 item = offset + 5 + 8 * i;
            uint256 slots = Calldata.u16(item + 6);
            require_(Calldata.u16(item + 4) == covered && slots != 0, POLICY);
            covered += slots;
            for (uint256 j = 0; j < i; ++j) {
                require_(Calldata.u32(item) != Calldata.u32(offset + 5 + 8 * j), POLICY);
            }
            require_(_contains(active, uint32(Calldata.u32(item))), POLICY);
        }
        require_(covered == ROUTING_SLOTS, POLICY);
    }

    function _contains(uint32[] memory list, uint32 value) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == value) return true;
        }
        return false;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "../interfaces/IHubEvents.sol";
import {CommitVerifier} from "./CommitVerifier.sol";
import {Guard} from "guard/Guard.sol";

/// @title Where a hub keeps what. Slots 0 to 9 are proven to other chains (formats, section 7); the order of these declarations is part of the format.
abstract contract HubStorage is IHubEvents, Guard {
    // ------------------------------------------------------------------------------------------------------------ proven

    /// Slot 0. Outbox (domain << 32 | relay) to chain[q] of its head.
    mapping(uint256 outbox => bytes32) internal _chain;
    /// Slot 1. Outbox to its head, see the constants HEAD_*.
    mapping(uint256 outbox => uint256) internal _head;
    /// Slot 2. Two bits a transaction: domain << 160 | source << 128 | relay << 96 | channel << 64 | sequence >> 7.
    mapping(uint256 key => uint256) internal _status;
    /// Slot 3. A bit a packet of an unordered free lane: domain << 128 | source << 96 | channel << 64 | sequence >> 8.
    mapping(uint256 key => uint256) internal _seen;
    /// Slot 4. A bit a receipt home: domain << 160 | destination << 128 | relay << 96 | channel << 64 | sequence >> 8.
    mapping(uint256 key => uint256) internal _receipts;
    /// Slot 5. domain << 96 | destination << 64 | relay << 32 | channel to the lane, see the constants LANE_*.
    mapping(uint256 key => uint256) internal _sendLane;
    /// Slot 6. domain << 96 | source << 64 | relay << 32 | channel to the last sequence that reached its end (ordered lanes).
    mapping(uint256 key => uint256) internal _receiveLane;
    /// Slot 7. relay << 64 | nonce to 0 nothing, 1 settled, otherwise packetsHash of an ABORT that waits for settlement.
    mapping(uint256 transaction => bytes32) internal _settlement;
    /// Slot 8. Number of the block at which the hub was closed, 0 while it is open.
    uint256 internal _closed;
    /// Slot 9. Domain to the registration of its first peer, for ever: of the shared lanes (channel 0) toward it the counter is in the head.
    mapping(uint256 domain => uint256) internal _headPeer;

    // Slots of these mappings, for code that computes the slot of an element once.
    uint256 internal constant BASE_CHAIN = 0;
    uint256 internal constant BASE_HEAD = 1;
    uint256 internal constant BASE_STATUS = 2;
    uint256 internal constant BASE_SEEN = 3;
    uint256 internal constant BASE_RECEIPTS = 4;
    uint256 internal constant BASE_SEND_LANE = 5;
    uint256 internal constant BASE_RECEIVE_LANE = 6;

    // ------------------------------------------------------------------------------------------------------------ the hub's own business

    /// Address of an application to what sending needs, see the constants SENDER_*.
    mapping(address account => uint256) internal _senders;
    /// Application id to what receiving needs, see the constants APP_*.
    mapping(uint256 application => uint256) internal _applications;
    /// Relay chain to the upper 248 bits of the hash of its current set of endorsers, and in the lowest byte the flags SET_*. Zero: none is accepted.
    mapping(uint256 relay => uint256) internal _currentSet;
    /// Relay chain to the upper 248 bits of the hash of the set before, accepted until the end of its overlap.
    mapping(uint256 relay => uint256) internal _previousSet;
    mapping(uint256 relay => Relay) internal _relays;
    mapping(uint256 domain => Domain) internal _domains;
    /// domain << 32 | registration.
    mapping(uint256 key => Peer) internal _peers;
    /// domain << 64 | EVM chain id to a registration.
    mapping(uint256 key => uint256) internal _registrationOfChain;
    /// Channel to its owner (bits 0 to 31) and its transport protocol (bits 32 to 39).
    mapping(uint256 channel => uint256) internal _channels;
    /// Id of a receipt home whose callback failed.
    mapping(bytes32 messageId => bool) internal _failedCallbacks;
    /// domain << 96 | relay << 64 | number to height, form and content; only with QUEUE.
    mapping(uint256 entry => bytes) internal _messages;
    /// Domain to the counter of its last ordered governor message.
    mapping(uint256 domain => uint64) internal _counters;
    uint32[] internal _domainList;
    uint256 internal _governorKeyX;
    uint8 internal _governorKeyPrefix;
    uint32 internal _governorKeyEpoch;
    uint32 internal _lastChannel;

    struct Relay {
        uint32 domain;
        uint8 state;
        uint32 epoch;
        uint40 overlapUntil;
        uint32 lifeCycle;
        bytes32 genesisHash;
    }

    struct Domain {
        uint32 lifeCycle;
        uint32 policyEpoch;
        uint8 method;
        uint8 largestDepth;
        uint16 notaryEpoch;
        uint24 minDelta;
        uint32 maxDelta;
        uint32[] relays;
    }

    struct Peer {
        bool member;
        uint64 evmChainId;
        uint32 largestHandlerGas;
    }

    // States of a relay chain.
    uint8 internal constant ANNOUNCED = 1;
    uint8 internal constant ACTIVE = 2;
    uint8 internal constant DRAINING = 3;
    uint8 internal constant FROZEN = 4;
    uint8 internal constant TERMINATED = 5;

    // Head of an outbox: bits 0 to 63 entry number, 64 to 127 last nonce, 128 to 151 largest body, 152 to 207 last sequence of the shared lane toward the
    // domain's first peer, 208 to 217 first routing slot, 218 to 228 number of routing slots, 229 to 249 version of the settings that are copied elsewhere,
    // 250 to 255 flags. What a send needs of its domain and relay chain is here, in a slot that it writes anyway, or a copy of it where it reads anyway.
    uint256 internal constant HEAD_NONCE = 64;
    uint256 internal constant HEAD_MAX_BODY = 128;
    uint256 internal constant HEAD_SEQUENCE = 152;
    uint256 internal constant HEAD_FIRST_SLOT = 208;
    uint256 internal constant HEAD_SLOTS = 218;
    uint256 internal constant HEAD_VERSION = 229;
    uint256 internal constant HEAD_FLAGS = 250;
    uint256 internal constant VERSION_MASK = (1 << 21) - 1;
    /// 2^56 packets are never sent: a carry out of this field is not guarded against.
    uint256 internal constant SEQUENCE_MASK = (1 << 56) - 1;

    uint256 internal constant FLAG_OPEN = 1 << 250;
    uint256 internal constant FLAG_ACTIVE = 1 << 251;
    uint256 internal constant FLAG_RELAY_PAUSED = 1 << 252;
    uint256 internal constant FLAG_DOMAIN_PAUSED = 1 << 253;
    uint256 internal constant FLAG_CLOSED = 1 << 254;
    uint256 internal constant FLAG_FROZEN = 1 << 255;

    // Settings that are copied, valid while their version is that of the head: 64 to 95 largest gas limit of the destination, 128 to 148 version, 149 to 150
    // method, 151 member, 152 to 159 largest depth, 160 to 175 notary epoch, 176 to 199 and 200 to 231 shortest and longest time that a packet may have
    // (seconds). Two kinds of words have them at these places.
    uint256 internal constant SETTINGS = uint256((1 << 104) - 1) << 128 | U32 << 64;
    uint256 internal constant SETTINGS_GAS = 64;
    uint256 internal constant SETTINGS_VERSION = 128;
    uint256 internal constant SETTINGS_METHOD = 149;
    uint256 internal constant SETTINGS_MEMBER = 1 << 151;
    uint256 internal constant SETTINGS_DEPTH = 152;
    uint256 internal constant SETTINGS_EPOCH = 160;
    uint256 internal constant SETTINGS_MIN_DELTA = 176;
    uint256 internal constant SETTINGS_MAX_DELTA = 200;

    // Lane at the sending end: bits 0 to 63 last sequence (unless it is in the head), 96 to 127 owner of the channel, 249 reliable, 250 counted in the head.
    uint256 internal constant LANE_OWNER = 96;
    uint256 internal constant LANE_RELIABLE = 1 << 249;
    uint256 internal constant LANE_IN_HEAD = 1 << 250;

    // Sender: bits 0 to 31 application id, 32 to 63 and 96 to 127 domain and its first peer if this word has the settings of the lanes there, 232 to 247
    // transaction protocols allowed, 248 paused.
    uint256 internal constant SENDER_DOMAIN = 32;
    uint256 internal constant SENDER_PEER = 96;
    uint256 internal constant SENDER_PROTOCOLS = 232;
    uint256 internal constant SENDER_PAUSED = 1 << 248;
    /// What says whether the settings of a sender are those of a lane.
    uint256 internal constant SENDER_COPY = U32 << SENDER_DOMAIN | U32 << SENDER_PEER | VERSION_MASK
        << SETTINGS_VERSION;

    // Application: bits 0 to 159 address, 160 to 175 transaction protocols allowed, 176 paused, 192 to 223 life-cycle number.
    uint256 internal constant APP_PROTOCOLS = 160;
    uint256 internal constant APP_PAUSED = 1 << 176;
    uint256 internal constant APP_LIFE_CYCLE = 192;

    // Flags in the lowest byte of a current set: packets of a paused relay chain or domain wait, verdicts and receipts go on.
    uint256 internal constant SET_RELAY_PAUSED = 1;
    uint256 internal constant SET_DOMAIN_PAUSED = 2;
    uint256 internal constant SET_FLAGS = 0xff;

    uint256 internal constant U32 = 0xffffffff;
    uint256 internal constant U40 = 0xffffffffff;
    uint256 internal constant U64 = 0xffffffffffffffff;

    /// What a hub is bound to for ever. The code for rare calls (Administration) is made with the same values.
    struct Binding {
        uint32 registration;
        uint64 evmChainId;
        uint32 maxHandlerGas;
        bool dev;
        bool queue;
    }

    uint256 internal immutable _REGISTRATION;
    uint256 internal immutable _MAX_HANDLER_GAS;
    bool internal immutable _DEV;
    bool internal immutable _QUEUE;
    uint256 private immutable _CHAIN_ID;
    /// Where the code lies that checks commits of relay chains (method 2 of endorsement).
    CommitVerifier internal immutable _COMMIT_VERIFIER;

    constructor(Binding memory binding, CommitVerifier commitVerifier) {
        if (binding.registration == 0 || binding.evmChainId != block.chainid) revert InvalidConstruction();
        _REGISTRATION = binding.registration;
        _MAX_HANDLER_GAS = binding.maxHandlerGas;
        _DEV = binding.dev;
        _QUEUE = binding.queue;
        _CHAIN_ID = binding.evmChainId;
        _COMMIT_VERIFIER = commitVerifier;
    }

    /// @dev A fork of the chain carries the hub along, but not its authority.
    modifier onThisChain() {
        if (block.chainid != _CHAIN_ID) revert WrongChain();
        _;
    }

    modifier onlySelf() {
        if (msg.sender != address(this)) revert OnlySelf();
        _;
    }

    function _outboxKey(uint256 domain, uint256 relay) internal pure returns (uint256) {
        return (domain << 32) | relay;
    }

    function _load(uint256 slot) internal view returns (uint256 value) {
        assembly ("memory-safe") {
            value := sload(slot)
        }
    }

    function _store(uint256 slot, uint256 value) internal {
        assembly ("memory-safe") {
            sstore(slot, value)
        }
    }

    /// @dev The slot of `key` in the mapping at slot `base`, for code that keeps a slot over several packets.
    function _slotOf(uint256 base, uint256 key) internal pure returns (uint256 slot) {
        assembly ("memory-safe") {
            mstore(0x00, key)
            mstore(0x20, base)
            slot := keccak256(0x00, 0x40)
        }
    }
}

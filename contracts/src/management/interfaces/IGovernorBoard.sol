// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGoverned} from "./IGoverned.sol";

/// @title Bulletin board of the governors and registry of their key (docs/protocol/management.md, section 8).
interface IGovernorBoard is IGoverned {
    // ------------------------------------------------------------------------------------------------------------ sets and ceremonies

    /// @notice Makes a set of governors known: the founding one by anybody, any other by a current governor.
    /// @param set k (1) || n (1) || n accounts (20 each), in the order of the members' identifiers.
    function declareSet(bytes calldata set) external returns (bytes32 setHash);

    /// @notice Opens a ceremony; the caller is a current governor, or a founder as long as there is no key.
    /// @param kind 1 key generation, 2 signing, 3 refresh, 4 resharing.
    /// @param setHash A declared set: those who may post.
    /// @param subject What it is about; opaque.
    /// @param rounds 1 to 8.
    /// @param roundBlocks Blocks of a round, 1 to 7 200: round r ends with block opened + r * roundBlocks.
    function openCeremony(uint8 kind, bytes32 setHash, bytes32 subject, uint8 rounds, uint32 roundBlocks)
        external
        returns (uint64 ceremony);

    /// @notice Publishes what the caller, a member of the ceremony's set, has to say in a round, once.
    /// @param kind Meaning of the payload, the members' business (a complaint is a kind).
    /// @param payload At most 16 384 bytes, opaque.
    function post(uint64 ceremony, uint8 round, uint8 kind, bytes calldata payload) external;

    // ------------------------------------------------------------------------------------------------------------ the key

    /// @notice States that the caller, a member of the ceremony's set, holds a share of this key. Once per ceremony and member.
    /// Refresh and resharing keep the key, so there it is the current one.
    /// @param groupKey 33 bytes, SEC 1 compressed.
    function confirmKey(uint64 ceremony, bytes calldata groupKey) external;

    /// @notice Registers the first governor key, made in a ceremony of the founding set; anybody may carry it.
    /// @param signature FROST signature of the key itself over its registration, 65 bytes.
    function registerFirstKey(uint64 ceremony, bytes calldata groupKey, bytes calldata signature) external;

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @notice Whether small sets are allowed, here and in the contracts that look here.
    function DEV() external view returns (bool);

    /// @notice Hash of the first set of governors.
    function FOUNDING_SET() external view returns (bytes32);

    /// @notice The current governor key (33 bytes, empty before the first one) and its epoch.
    function governorKey() external view returns (bytes memory groupKey, uint32 epoch);

    /// @notice Epoch of the current governor key, 0 before the first one.
    function keyEpoch() external view returns (uint32);

    /// @notice A governor key of any epoch: the key, its set and the block that registered it; empty if there is none.
    function governorKeyOf(uint32 epoch)
        external
        view
        returns (bytes memory groupKey, bytes32 setHash, uint64 registeredInBlock);

    /// @notice Whether a signature (65 bytes) is the current governor key's over a digest. False if there is no key.
    function isSignedByGovernors(bytes32 digest, bytes calldata signature) external view returns (bool);

    /// @notice The set of the current key; before the first one the founding set.
    function currentSet() external view returns (bytes32 setHash);

    /// @notice Threshold and size of a declared set; 0 if it is not declared.
    function setOf(bytes32 setHash) external view returns (uint8 threshold, uint8 size);

    /// @notice Identifier of a member of a declared set, from 1; 0 if it is none.
    function memberOf(bytes32 setHash, address account) external view returns (uint8 member);

    /// @notice A ceremony; kind 0 if there is none of this number.
    function ceremonyOf(uint64 ceremony)
        external
        view
        returns (uint8 kind, bytes32 setHash, bytes32 subject, uint8 rounds, uint32 roundBlocks, uint64 openedInBlock);

    /// @notice Hash of what a member has posted in a round, 0 if nothing.
    function postOf(uint64 ceremony, uint8 round, uint8 member) external view returns (bytes32 payloadHash);

    /// @notice How many members of a ceremony have confirmed a key.
    function confirmationsOf(uint64 ceremony, bytes calldata groupKey) external view returns (uint8);

    /// @notice What the key signs to be registered (section 2, GOVERNOR_KEY) as that of an epoch.
    function keyDigest(uint32 epoch, uint64 ceremony, bytes calldata groupKey) external view returns (bytes32);

    /// @notice Whether share * G = sum of member^j * C_j: a revealed share against the commitments of its dealer.
    /// @param commitments Points of 64 bytes (x || y), constant term first; 1 to 100.
    function checkShare(bytes calldata commitments, uint8 member, uint256 share) external view returns (bool);

    // ------------------------------------------------------------------------------------------------------------ events and errors

    /// @notice A set of governors is known from now on.
    event SetDeclared(bytes32 indexed setHash, bytes set);
    /// @notice A ceremony was opened.
    event CeremonyOpened(
        uint64 indexed ceremony,
        uint8 indexed kind,
        bytes32 indexed setHash,
        bytes32 subject,
        uint8 rounds,
        uint32 roundBlocks,
        address opener
    );
    /// @notice A member has posted.
    event Posted(uint64 indexed ceremony, uint8 indexed round, uint8 indexed member, uint8 kind, bytes payload);
    /// @notice A member has confirmed a key.
    event KeyConfirmed(uint64 indexed ceremony, uint8 indexed member, bytes groupKey);
    /// @notice A governor key is the current one from now on.
    event KeyRegistered(uint32 indexed epoch, uint64 indexed ceremony, bytes groupKey, bytes32 setHash);

    /// @notice The members of a resharing are the current set from now on; the key stays.
    event SetAdopted(uint32 indexed epoch, uint64 indexed ceremony, bytes32 setHash);

    /// @notice Thrown when the caller is no governor, or no member of the set concerned.
    error NotAGovernor(address account);
    /// @notice Thrown when bytes are no set of governors, or its threshold is too low.
    error MalformedSet();
    /// @notice Thrown when a set was declared before.
    error SetKnown(bytes32 setHash);
    /// @notice Thrown when a set was never declared.
    error SetUnknown(bytes32 setHash);
    /// @notice Thrown when kind, rounds or length of the rounds are out of bounds, or the set is not one for this kind.
    error MalformedCeremony();
    /// @notice Thrown when there is no such ceremony.
    error NoCeremony(uint64 ceremony);
    /// @notice Thrown when there is no such round in a ceremony.
    error NoRound(uint64 ceremony, uint8 round);
    /// @notice Thrown when a round has ended.
    error RoundOver(uint64 ceremony, uint8 round, uint64 lastBlock);
    /// @notice Thrown when a member posts or confirms a second time.
    error PostedBefore(uint64 ceremony, uint8 round, uint8 member);
    /// @notice Thrown when a payload is too long.
    error PayloadTooLong(uint256 length);
    /// @notice Thrown when 33 bytes are no group key.
    error MalformedKey();
    /// @notice Thrown when too few members have confirmed a key.
    error TooFewConfirmations(uint8 needed, uint8 present);
    /// @notice Thrown when a key's own signature does not verify.
    error WrongKeySignature();
    /// @notice Thrown when there is a governor key already (the next one comes by ROTATE).
    error KeyRegisteredBefore(uint32 epoch);
    /// @notice Thrown when commitments are no list of points, or the member is 0.
    error MalformedCommitments();
}

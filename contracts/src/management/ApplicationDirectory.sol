// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {Governed} from "./Governed.sol";
import {CONTRACT_DIRECTORY} from "./Tags.sol";
import {IApplicationDirectory} from "./interfaces/IApplicationDirectory.sol";
import {IDomainRegistry} from "./interfaces/IDomainRegistry.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";

/// @title Applications by number, where they live, what they can do, and what they may send. See IApplicationDirectory.
contract ApplicationDirectory is IApplicationDirectory, Governed {
    uint8 private constant ASSIGN = 2;
    uint8 private constant SUSPEND = 3;
    /// Numbers below are for applications that the governors assign.
    uint32 private constant FIRST_FREE = 1024;
    uint256 private constant NAME_MAX = 64;
    uint256 private constant TYPES_MAX = 256;
    /// Transaction protocols are 0 to 4.
    uint256 private constant PROTOCOL_BITS = 5;

    struct Application {
        address publisher;
        bool suspended;
        address proposed;
        string name;
    }

    struct Placement {
        address account;
        uint16 protocols;
        bool accepted;
    }

    struct Function {
        bytes4 selector;
        string name;
        string argumentTypes;
        string resultTypes;
    }

    struct Quota {
        uint32 packets;
        uint64 bodyBytes;
        uint64 handlerGas;
        uint32 windowSeconds;
    }

    IDomainRegistry private immutable _REGISTRY;

    uint32 private _created;
    mapping(uint256 application => Application) private _applications;
    mapping(uint256 application => mapping(uint256 registration => Placement)) private _placements;
    mapping(uint256 application => mapping(uint256 functionNumber => Function)) private _functions;
    mapping(uint256 application => mapping(uint256 registration => Quota)) private _quotas;

    constructor(IGovernorBoard board, IDomainRegistry registry) Governed(CONTRACT_DIRECTORY, board) {
        _REGISTRY = registry;
    }

    // ------------------------------------------------------------------------------------------------------------ publishers

    /// @inheritdoc IApplicationDirectory
    function createApplication(string calldata name) external returns (uint32 application) {
        _requireName(name);
        application = FIRST_FREE + _created++;
        _applications[application].publisher = msg.sender;
        _applications[application].name = name;
        emit ApplicationCreated(application, msg.sender, name);
    }

    /// @inheritdoc IApplicationDirectory
    function proposePublisher(uint32 application, address account) external {
        _requirePublisher(application).proposed = account;
        emit PublisherProposed(application, account);
    }

    /// @inheritdoc IApplicationDirectory
    function acceptPublisher(uint32 application) external {
        Application storage record = _applications[application];
        if (record.proposed != msg.sender) revert NotThePublisher(application, msg.sender);
        record.publisher = msg.sender;
        record.proposed = address(0);
        emit PublisherChanged(application, msg.sender);
    }

    /// @inheritdoc IApplicationDirectory
    function describeFunction(
        uint32 application,
        uint32 functionNumber,
        bytes4 selector,
        string calldata name,
        string calldata argumentTypes,
        string calldata resultTypes
    ) external {
        _requirePublisher(application);
        _requireName(name);
        bool bounded = bytes(argumentTypes).length <= TYPES_MAX && bytes(resultTypes).length <= TYPES_MAX;
        if (functionNumber == 0 || !bounded) revert MalformedDescription();
        _functions[application][functionNumber] = Function(selector, name, argumentTypes, resultTypes);
        emit FunctionDescribed(application, functionNumber, selector, name, argumentTypes, resultTypes);
    }

    /// @inheritdoc IApplicationDirectory
    function proposePlacement(uint32 application, uint32 registration, address account, uint16 protocols) external {
        _requirePublisher(application);
        if (account == address(0) || protocols >> PROTOCOL_BITS != 0) revert MalformedDescription();
        _placements[application][registration] = Placement(account, protocols, false);
        emit PlacementProposed(application, registration, account, protocols);
    }

    // ------------------------------------------------------------------------------------------------------------ representatives

    /// @inheritdoc IApplicationDirectory
    function acceptPlacement(uint32 application, uint32 registration, address account, uint16 protocols) external {
        _requireRepresentative(registration);
        Placement storage record = _placements[application][registration];
        // What is agreed to is named, so that it cannot change on the way.
        bool same = record.account == account && account != address(0) && record.protocols == protocols;
        if (!same || record.accepted) revert WrongPlacement(application, registration);
        if (_applications[application].suspended) revert NoApplication(application);
        record.accepted = true;
        emit PlacementAccepted(application, registration, account, protocols);
    }

    /// @inheritdoc IApplicationDirectory
    function removePlacement(uint32 application, uint32 registration) external {
        if (_applications[application].publisher != msg.sender) _requireRepresentative(registration);
        if (_placements[application][registration].account == address(0)) {
            revert WrongPlacement(application, registration);
        }
        delete _placements[application][registration];
        emit PlacementRemoved(application, registration);
    }

    /// @inheritdoc IApplicationDirectory
    function setQuota(
        uint32 application,
        uint32 registration,
        uint32 packets,
        uint64 bodyBytes,
        uint64 handlerGas,
        uint32 windowSeconds
    ) external {
        _requireRepresentative(registration);
        if (_applications[application].publisher == address(0)) revert NoApplication(application);
        bool none = packets == 0 && bodyBytes == 0 && handlerGas == 0;
        if (none != (windowSeconds == 0)) revert MalformedDescription();
        _quotas[application][registration] = Quota(packets, bodyBytes, handlerGas, windowSeconds);
        emit QuotaSet(application, registration, packets, bodyBytes, handlerGas, windowSeconds);
    }

    // ------------------------------------------------------------------------------------------------------------ governors

    /// @inheritdoc Governed
    function _execute(uint32 domain, uint8 kind, bytes calldata body) internal override {
        if (domain != 0 || (kind != ASSIGN && kind != SUSPEND)) revert MalformedBody();
        _requireLength(body, kind == ASSIGN ? 24 : 5);
        uint256 offset = Calldata.start(body);
        uint32 application = uint32(Calldata.u32(offset));
        if (kind == ASSIGN) {
            address publisher = address(uint160(Calldata.word(offset + 4) >> 96));
            bool free = application != 0 && application < FIRST_FREE && publisher != address(0);
            if (!free || _applications[application].publisher != address(0)) revert MalformedBody();
            _applications[application].publisher = publisher;
            emit ApplicationCreated(application, publisher, "");
        } else {
            if (Calldata.u8(offset + 4) > 1) revert MalformedBody();
            if (_applications[application].publisher == address(0)) revert NoApplication(application);
            _applications[application].suspended = Calldata.u8(offset + 4) == 1;
            emit ApplicationSuspended(application, _applications[application].suspended);
        }
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @inheritdoc IApplicationDirectory
    function applicationOf(uint32 application)
        external
        view
        returns (address publisher, address proposed, bool suspended, string memory name)
    {
        Application storage record = _applications[application];
        return (record.publisher, record.proposed, record.suspended, record.name);
    }

    /// @inheritdoc IApplicationDirectory
    function placementOf(uint32 application, uint32 registration)
        external
        view
        returns (address account, uint16 protocols, bool accepted)
    {
        Placement storage record = _placements[application][registration];
        return (record.account, record.protocols, record.accepted);
    }

    /// @inheritdoc IApplicationDirectory
    function functionOf(uint32 application, uint32 functionNumber)
        external
        view
        returns (bytes4 selector, string memory name, string memory argumentTypes, string memory resultTypes)
    {
        Function storage record = _functions[application][functionNumber];
        return (record.selector, record.name, record.argumentTypes, record.resultTypes);
    }

    /// @inheritdoc IApplicationDirectory
    function quotaOf(uint32 application, uint32 registration)
        external
        view
        returns (uint32 packets, uint64 bodyBytes, uint64 handlerGas, uint32 windowSeconds)
    {
        Quota storage record = _quotas[application][registration];
        return (record.packets, record.bodyBytes, record.handlerGas, record.windowSeconds);
    }

    function _requirePublisher(uint32 application) private view returns (Application storage record) {
        record = _applications[application];
        if (record.publisher == address(0) || record.suspended) revert NoApplication(application);
        if (record.publisher != msg.sender) revert NotThePublisher(application, msg.sender);
    }

    function _requireRepresentative(uint32 registration) private view {
        (address representative,,,,,) = _REGISTRY.registrationOf(registration);
        if (representative == address(0) || representative != msg.sender) {
            revert NotTheRepresentative(registration, msg.sender);
        }
    }

    function _requireName(string calldata name) private pure {
        if (bytes(name).length == 0 || bytes(name).length > NAME_MAX) revert MalformedDescription();
    }
}

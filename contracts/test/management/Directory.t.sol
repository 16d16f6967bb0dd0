// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IApplicationDirectory} from "../../src/management/interfaces/IApplicationDirectory.sol";
import {IGoverned} from "../../src/management/interfaces/IGoverned.sol";
import {ManagementFixture} from "./ManagementFixture.sol";

contract DirectoryTest is ManagementFixture {
    address private constant PUBLISHER = address(0x5001);
    address private constant STRANGER = address(0x5757);
    uint32 private constant APP = 1024;

    function setUp() public {
        setUpManagement(false);
        setUpGovernors();
        addRegistrations(2);
        vm.prank(PUBLISHER);
        assertEq(directory.createApplication("swap"), APP, "number");
    }

    function _call(address caller, bytes memory data, bytes4 expected, string memory what) private {
        assertRefused(caller, address(directory), data, expected, what);
    }

    function testNumbersAndPublishers() public {
        bytes4 malformed = IApplicationDirectory.MalformedDescription.selector;
        _call(STRANGER, abi.encodeCall(directory.createApplication, ("")), malformed, "no name");
        _call(STRANGER, abi.encodeCall(directory.createApplication, (string(new bytes(65)))), malformed, "long name");
        bytes4 notYou = IApplicationDirectory.NotThePublisher.selector;
        _call(STRANGER, abi.encodeCall(directory.proposePublisher, (APP, STRANGER)), notYou, "propose");
        _call(STRANGER, abi.encodeCall(directory.acceptPublisher, (APP)), notYou, "accept");
        _call(STRANGER, abi.encodeCall(directory.acceptPublisher, (9)), notYou, "no application");
    }

    function testHandingOver() public {
        vm.prank(PUBLISHER);
        directory.proposePublisher(APP, STRANGER);
        vm.prank(STRANGER);
        directory.acceptPublisher(APP);
        (address publisher, address proposed,, string memory name) = directory.applicationOf(APP);
        assertTrue(publisher == STRANGER && proposed == address(0), "publisher");
        assertEq(bytes(name), "swap", "name");
        bytes4 notYou = IApplicationDirectory.NotThePublisher.selector;
        _call(PUBLISHER, abi.encodeCall(directory.proposePublisher, (APP, PUBLISHER)), notYou, "who has handed over");
    }

    function testGovernorsAssignAndSuspend() public {
        bytes4 malformed = IGoverned.MalformedBody.selector;
        govern(directory, 0, 2, abi.encodePacked(uint32(2), PUBLISHER));
        assertReason(tryGovern(directory, 0, 2, abi.encodePacked(uint32(2), STRANGER)), malformed, "twice");
        assertReason(tryGovern(directory, 0, 2, abi.encodePacked(uint32(0), STRANGER)), malformed, "0");
        assertReason(tryGovern(directory, 0, 2, abi.encodePacked(uint32(1024), STRANGER)), malformed, "a free number");
        assertReason(tryGovern(directory, 0, 2, abi.encodePacked(uint32(3), address(0))), malformed, "nobody");
        govern(directory, 0, 3, abi.encodePacked(APP, uint8(1)));
        bytes4 none = IApplicationDirectory.NoApplication.selector;
        _call(PUBLISHER, abi.encodeCall(directory.proposePlacement, (APP, 1, STRANGER, 1)), none, "suspended");
        govern(directory, 0, 3, abi.encodePacked(APP, uint8(0)));
        _call(PUBLISHER, abi.encodeCall(directory.proposePlacement, (APP, 1, STRANGER, 1)), 0, "again");
        assertReason(tryGovern(directory, 0, 3, abi.encodePacked(uint32(99), uint8(1))), none, "no application");
    }

    function testPlacementsNeedBoth() public {
        bytes4 wrong = IApplicationDirectory.WrongPlacement.selector;
        bytes4 notYou = IApplicationDirectory.NotTheRepresentative.selector;
        address one = representative(1);
        bytes memory accept = abi.encodeCall(directory.acceptPlacement, (APP, 1, address(0xc0de), 5));
        _call(one, accept, wrong, "nothing proposed");
        bytes memory propose = abi.encodeCall(directory.proposePlacement, (APP, 1, address(0xc0de), 5));
        _call(STRANGER, propose, IApplicationDirectory.NotThePublisher.selector, "stranger");
        bytes4 malformed = IApplicationDirectory.MalformedDescription.selector;
        _call(PUBLISHER, abi.encodeCall(directory.proposePlacement, (APP, 1, address(0xc0de), 32)), malformed, "bit 5");
        _call(PUBLISHER, abi.encodeCall(directory.proposePlacement, (APP, 1, address(0), 5)), malformed, "no contract");
        _call(PUBLISHER, propose, 0, "publisher");
        _call(PUBLISHER, accept, notYou, "the publisher does not agree with itself");
        _call(representative(2), accept, notYou, "another representative");
        bytes memory other = abi.encodeCall(directory.acceptPlacement, (APP, 1, address(0xc0df), 5));
        _call(one, other, wrong, "another contract");
        other = abi.encodeCall(directory.acceptPlacement, (APP, 1, address(0xc0de), 4));
        _call(one, other, wrong, "other protocols");
        _call(one, accept, 0, "representative");
        _call(one, accept, wrong, "again");
        (address account, uint16 protocols, bool accepted) = directory.placementOf(APP, 1);
        assertTrue(account == address(0xc0de) && protocols == 5 && accepted, "placement");
        // A new proposal is a new question.
        _call(PUBLISHER, propose, 0, "proposed again");
        (,, accepted) = directory.placementOf(APP, 1);
        assertTrue(!accepted, "not accepted any more");
        bytes memory remove = abi.encodeCall(directory.removePlacement, (APP, 1));
        _call(STRANGER, remove, notYou, "stranger");
        _call(one, remove, 0, "representative");
        _call(PUBLISHER, remove, wrong, "nothing there");
    }

    function testFunctionsAndQuotas() public {
        bytes memory data =
            abi.encodeCall(directory.describeFunction, (APP, 1, bytes4(0x01020304), "swap", "uint128,address", "bool"));
        _call(STRANGER, data, IApplicationDirectory.NotThePublisher.selector, "stranger");
        _call(PUBLISHER, data, 0, "publisher");
        (bytes4 selector, string memory name, string memory arguments, string memory results) =
            directory.functionOf(APP, 1);
        assertTrue(selector == 0x01020304, "selector");
        assertEq(bytes(name), "swap", "name");
        assertEq(bytes.concat(bytes(arguments), bytes(results)), "uint128,addressbool", "types");
        bytes4 malformed = IApplicationDirectory.MalformedDescription.selector;
        data = abi.encodeCall(directory.describeFunction, (APP, 0, bytes4(0), "swap", "", ""));
        _call(PUBLISHER, data, malformed, "function 0");
        string memory long = string(new bytes(257));
        data = abi.encodeCall(directory.describeFunction, (APP, 1, bytes4(0), "swap", long, ""));
        _call(PUBLISHER, data, malformed, "long types");

        data = abi.encodeCall(directory.setQuota, (APP, 1, 10, 1000, 100_000, 60));
        _call(PUBLISHER, data, IApplicationDirectory.NotTheRepresentative.selector, "publisher");
        _call(representative(1), data, 0, "representative");
        (uint32 packets, uint64 bodyBytes, uint64 handlerGas, uint32 window) = directory.quotaOf(APP, 1);
        assertTrue(packets == 10 && bodyBytes == 1000 && handlerGas == 100_000 && window == 60, "quota");
        data = abi.encodeCall(directory.setQuota, (APP, 1, 10, 0, 0, 0));
        _call(representative(1), data, malformed, "no window");
        data = abi.encodeCall(directory.setQuota, (7, 1, 10, 0, 0, 1));
        _call(representative(1), data, IApplicationDirectory.NoApplication.selector, "no application");
        data = abi.encodeCall(directory.setQuota, (APP, 1, 0, 0, 0, 0));
        _call(representative(1), data, 0, "removed");
    }
}

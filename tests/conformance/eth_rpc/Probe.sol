// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// What the conformance tests of the eth_* JSON-RPC call. Compiled by hand with solc 0.8.37, optimizer 200 runs, cancun;
// the result is committed in probe.json.
contract Child {
    uint256 public immutable born = block.number;
}

contract Probe {
    error Refused(uint256 value);

    event Changed(address indexed by, uint256 indexed value, bytes note);

    uint256 public number;
    mapping(address => uint256) public counts;
    Child public child;

    constructor(uint256 start) payable {
        number = start;
    }

    function set(uint256 value, bytes calldata note) external payable {
        number = value;
        counts[msg.sender] += 1;
        emit Changed(msg.sender, value, note);
    }

    function refuseWithText() external pure {
        revert("not today");
    }

    function refuseWithError(uint256 value) external pure {
        revert Refused(value);
    }

    function panic(uint256 divisor) external pure returns (uint256) {
        return 1 / divisor;
    }

    function makeChild() external {
        child = new Child();
    }

    /// Needs far more gas than it uses: the callee refuses to start below what the 63/64 rule leaves of a larger gas.
    function setDeep(uint256 depth, uint256 value) external {
        if (depth > 0) {
            this.setDeep(depth - 1, value);
            return;
        }
        require(gasleft() > 300_000, "too little gas");
        number = value;
    }

    function clear() external {
        number = 0;
        counts[msg.sender] = 0;
    }

    function precompiles(bytes32 digest, uint8 v, bytes32 r, bytes32 s, bytes calldata data)
        external
        pure
        returns (address signer, bytes32 hash)
    {
        return (ecrecover(digest, v, r, s), sha256(data));
    }

    function surroundings()
        external
        view
        returns (uint256 blockNumber, uint256 time, uint256 baseFee, uint256 chainId, uint256 randao, address coinbase, uint256 gasLimit, bytes32 parentHash)
    {
        return (
            block.number,
            block.timestamp,
            block.basefee,
            block.chainid,
            block.prevrandao,
            block.coinbase,
            block.gaslimit,
            blockhash(block.number - 1)
        );
    }

    function spin() external view {
        while (gasleft() > 1_000) {}
    }
}

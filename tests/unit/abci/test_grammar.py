import pytest

from piebridge.abci.testing import Call, GrammarError, check_grammar

START: list[Call] = [("info", 0), ("init_chain", 0)]
BLOCK_1: list[Call] = [("prepare_proposal", 1), ("process_proposal", 1), ("finalize_block", 1), ("commit", 0)]


def test_runs_that_are_allowed() -> None:
    check_grammar(
        [*START, ("check_tx", 0), *BLOCK_1, ("query", 0), ("info", 0), ("finalize_block", 2), ("commit", 0)],
        committed_height=0,
    )
    check_grammar([("info", 0), ("finalize_block", 8), ("commit", 0), ("prepare_proposal", 9)], committed_height=7)
    check_grammar([("info", 0)], committed_height=7)
    check_grammar([*START, ("prepare_proposal", 5)], committed_height=0, initial_height=5)


@pytest.mark.parametrize(
    "calls",
    [
        [("init_chain", 0)],
        [("info", 0), ("finalize_block", 1)],
        [*START, ("commit", 0)],
        [*START, ("init_chain", 0)],
        [*START, ("finalize_block", 1), ("finalize_block", 2)],
        [*START, ("finalize_block", 1), ("prepare_proposal", 1)],
        [*START, ("finalize_block", 2)],
        [*START, *BLOCK_1, ("prepare_proposal", 1)],
        [*START, *BLOCK_1, ("finalize_block", 3)],
        [*START, ("prepare_proposal", 1), ("finalize_block", 1)],
        [*START, *BLOCK_1, ("init_chain", 0)],
    ],
)
def test_runs_that_break_the_grammar(calls: list[Call]) -> None:
    with pytest.raises(GrammarError):
        check_grammar(calls, committed_height=0)


def test_running_chain_gets_no_init_chain() -> None:
    with pytest.raises(GrammarError, match="init_chain at height 7"):
        check_grammar(START, committed_height=7)

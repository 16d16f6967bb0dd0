"""A dangerous domain file is refused outside --dev, with the reason; a good one is not."""

from collections.abc import Callable

import pytest

from piebridge.management_chain.domains.domain_file import DomainFile, parse
from piebridge.management_chain.domains.errors import DomainFileError
from piebridge.management_chain.domains.lint import Severity, lint, lint_seats, refused
from piebridge.management_chain.domains.template import domain_template

ZERO = '"0x0000000000000000000000000000000000000000"'


def filled() -> str:
    """Return the template as a careful user fills it in."""
    text = domain_template()
    for number in (1, 2):
        text = text.replace("registration = 0 ", f"registration = {number} ", 1)
    number = 0
    while ZERO in text:
        number += 1
        text = text.replace(ZERO, f'"0x{number:040x}"', 1)
    return text


def rules(file: DomainFile, **options: bool) -> set[str]:
    return {finding.rule for finding in refused(lint(file, **options), dev=False)}


def test_the_template_lacks_nothing_but_what_it_says() -> None:
    findings = lint(parse(domain_template()))
    assert {finding.rule for finding in findings} == {"fill-in"}
    assert len(refused(findings, dev=True)) == len(findings)


def test_a_filled_template_is_accepted_without_a_remark() -> None:
    assert lint(parse(filled())) == []


REFUSED: list[tuple[str, Callable[[str], str]]] = [
    ("one-of-n", lambda text: text.replace("seats = 4\nk = 3", "seats = 1\nk = 1")),
    ("one-of-n", lambda text: text.replace("seats = 4\nk = 3", "seats = 4\nk = 1")),
    ("weak-threshold", lambda text: text.replace("seats = 4\nk = 3", "seats = 4\nk = 2")),
    ("weak-threshold", lambda text: text.replace("seats = 4\nk = 3", "seats = 3\nk = 2")),
    ("one-operator", lambda text: text.replace('consensus = "cometbft"', 'consensus = "single-operator"')),
    ("zero-depth", lambda text: text.replace("depth = 12 ", "depth = 0 ")),
    ("one-endpoint", lambda text: text.replace(', "https://rpc-b.chain-2.example"', "")),
    ("one-endpoint", lambda text: text.replace("rpc-b.chain-1", "rpc-a.chain-1")),
    ("one-endpoint", lambda text: text.replace(', "https://cometbft-b.chain-1.example"', "")),
    ("same-host", lambda text: text.replace("https://rpc-b.chain-2.example", "https://rpc-a.chain-2.example:8546")),
    ("one-notary", lambda text: text.replace("[chain.notaries]\nk = 3", "[chain.notaries]\nk = 1")),
    ("weak-notaries", lambda text: text.replace("[chain.notaries]\nk = 3", "[chain.notaries]\nk = 2")),
    ("unnamed-operator", lambda text: text.replace('operator = "operator-a" ', 'operator = " " ')),
    ("operator-quorum", lambda text: text.replace("operator-b", "operator-a").replace("operator-c", "Operator-A")),
    ("short-retention", lambda text: text.replace("retention_seconds = 3_888_000", "retention_seconds = 60")),
    (
        "long-trust",
        lambda text: text.replace("trusting_period_seconds = 1_209_600", "trusting_period_seconds = 9_999_999"),
    ),
    ("one-chain", lambda text: text[: text.index('[[chain]]\nname = "chain-2"')]),
]


@pytest.mark.parametrize(("rule", "spoil"), REFUSED)
def test_what_is_unsafe_is_refused_outside_dev_only(rule: str, spoil: Callable[[str], str]) -> None:
    text = spoil(filled())
    assert text != filled()
    findings = lint(parse(text))
    assert rule in {finding.rule for finding in refused(findings, dev=False)}
    assert refused(findings, dev=True) == []
    assert all(finding.problem and finding.advice for finding in findings)


BROKEN: list[tuple[str, Callable[[str], str]]] = [
    ("threshold-above-seats", lambda text: text.replace("seats = 4\nk = 3", "seats = 4\nk = 5")),
    ("threshold-above-notaries", lambda text: text.replace("[chain.notaries]\nk = 3", "[chain.notaries]\nk = 5")),
    ("empty-delta", lambda text: text.replace("min_delta_seconds = 1 ", "min_delta_seconds = 2_592_001 ")),
    ("double-registration", lambda text: text.replace("registration = 2 ", "registration = 1 ")),
    ("double-name", lambda text: text.replace('name = "chain-2"', 'name = "chain-1"')),
    ("double-notary", lambda text: text.replace(f"0x{2:040x}", f"0x{1:040x}")),
    ("double-gateway", lambda text: text.replace(f"0x{6:040x}", f"0x{5:040x}")),
    ("no-chains", lambda text: text[: text.index("[[chain]]")]),
]


@pytest.mark.parametrize(("rule", "spoil"), BROKEN)
def test_what_cannot_work_is_refused_even_in_dev(rule: str, spoil: Callable[[str], str]) -> None:
    text = spoil(filled())
    assert text != filled()
    assert rule in {finding.rule for finding in refused(lint(parse(text)), dev=True)}


def test_single_operator_consensus_is_accepted_from_who_names_it() -> None:
    file = parse(filled().replace('consensus = "cometbft"', 'consensus = "single-operator"'))
    assert rules(file) == {"one-operator"}
    assert rules(file, single_operator=True) == set()


def test_a_light_client_needs_no_depth() -> None:
    assert "depth = 0 " in filled()
    assert rules(parse(filled())) == set()


def test_one_gateway_is_a_remark() -> None:
    text = filled()
    (finding,) = lint(parse(text[: text.rindex("[[gateway]]")]))
    assert (finding.rule, finding.severity) == ("few-gateways", Severity.REMARK)


@pytest.mark.parametrize(("operators", "refusals"), [(1, 1), (2, 0), (4, 0), (0, 0)])
def test_too_few_operators_on_offer_would_give_one_a_quorum(operators: int, refusals: int) -> None:
    assert len(refused(lint_seats(parse(filled()), operators), dev=False)) == refusals


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("seats = 4", "seat = 4", "[domain] seats: is missing; there is 'seat'"),
        ("k = 3\n# Relay", "k = 3\nrelay_chain = 2\n# Relay", "did you mean 'relay_chains'"),
        ('consensus = "cometbft"', 'consensus = "cometbtf"', "did you mean 'cometbft'"),
        ("seats = 4", "seats = 33", "1 to 32"),
        ("seats = 4", "seats = true", "integer"),
        (f"0x{1:040x}", "0x01", "40 hexadecimal digits"),
        ('verification = "notary"', 'verification = "spv"', "[chain 2] light_client"),
        ("depth_max = 64", "depth_max = 5", "above depth_max"),
        ("https://rpc-a.chain-1.example", "rpc-a.chain-1.example", "https://"),
        ("[domain]", "[domain", "no TOML"),
        ("[[gateway]]", "[gateway]", "[[gateway]]"),
    ],
)
def test_a_file_that_is_none_names_the_place(before: str, after: str, words: str) -> None:
    text = filled()
    text = text[: text.rindex("[[gateway]]")]
    assert before in text
    with pytest.raises(DomainFileError) as caught:
        parse(text.replace(before, after, 1))
    assert words in str(caught.value)

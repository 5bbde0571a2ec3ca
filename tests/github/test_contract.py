"""The fake serves what GitHub describes, and notices what GitHub does not."""

import pytest

from tests.fake_github.contract import ContractBroken, Description
from tests.fake_github.description import OPERATIONS, description
from tests.fake_github.hub import ROUTES
from tests.fake_github.server import REGISTERED


@pytest.fixture(scope="module")
def contract() -> Description:
    found = description()
    if found is None:
        pytest.skip("no npm, or no network for it: GitHub's description of its API cannot be fetched")
    return found


def test_every_described_operation_is_served_and_no_other(contract: Description) -> None:
    described = {(verb.upper(), path) for path, verbs in contract.document["paths"].items() for verb in verbs}
    assert REGISTERED
    assert described == set(ROUTES) == {(verb.upper(), path) for path, verbs in OPERATIONS.items() for verb in verbs}


@pytest.mark.parametrize(
    ("verb", "path", "query", "body"),
    [
        ("POST", "/repos/{owner}/{repo}/pulls", {}, {"title": "x", "head": "a"}),  # no base
        ("POST", "/repos/{owner}/{repo}/pulls", {}, {"head": "a", "base": "b", "labels": ["x"]}),  # not a field
        ("POST", "/repos/{owner}/{repo}/git/trees", {}, {"tree": [{"path": "a", "mode": "0644"}]}),
        ("POST", "/repos/{owner}/{repo}/git/trees", {}, None),
        ("GET", "/repos/{owner}/{repo}/pulls", {"status": "all"}, None),
        ("GET", "/repos/{owner}/{repo}/pulls", {"state": "any"}, None),
        ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/reactions", {}, {"content": "thumbs"}),
    ],
)
def test_a_request_that_github_does_not_describe_is_caught(
    contract: Description, verb: str, path: str, query: dict[str, str], body: object
) -> None:
    with pytest.raises(ContractBroken):
        contract.check_request(verb, path, query, body)


def test_a_reply_of_another_shape_is_caught(contract: Description) -> None:
    with pytest.raises(ContractBroken):
        contract.reply("GET", "/repos/{owner}/{repo}/git/ref/{ref}", 200, {"ref": 1})


def test_a_reply_is_completed_with_what_github_requires(contract: Description) -> None:
    reply = contract.reply("GET", "/repos/{owner}/{repo}/git/ref/{ref}", 200, {"ref": "refs/heads/main"})
    assert {"ref", "node_id", "url", "object"} <= set(reply)

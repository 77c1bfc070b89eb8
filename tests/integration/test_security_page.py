"""docs/security.md promises nothing that is not there: its tests exist, and its access file is one."""

import pathlib
import re

import pytest
from support.secure import SecureBroker

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()


def cited():
    """(file, name) of each test that the page names; `::name` is of the file before it."""
    found, file = [], None
    for path, name in re.findall(r"`(tests/[\w/]+\.(?:py|c))?::(\w+)`", PAGE):
        file = path or file
        found.append((file, name))
    return found


def test_the_page_names_a_test_for_every_threat():
    rows = [line for line in PAGE.splitlines() if re.match(r"\| (T\d+|[a-z].*) \|.*\|", line) and "::" in line]
    assert len(rows) > 30
    assert [f"T{n}" for n in range(1, 11)] == [row.split()[1] for row in rows if re.match(r"\| T\d", row)]
    assert len(cited()) >= 60


@pytest.mark.parametrize("file,name", sorted(set(cited())))
def test_a_test_that_the_page_names_is_there(file, name):
    text = (ROOT / file).read_text()
    form = rf"^def {name}\(" if file.endswith(".py") else rf"^Test\(\w+, {name}\)"
    assert re.search(form, text, re.MULTILINE)


def test_a_broker_starts_by_the_pages_access_file(bhiv, tmp_path):
    block = re.search(r"\n\n((?:    .*\n)+)", PAGE[PAGE.index("### Rules"):]).group(1)
    text = re.sub(r"^    ", "", block, flags=re.MULTILINE)
    assert text.startswith("peer\n")
    with SecureBroker(bhiv, tmp_path / "d", names=["dashboard"], access=text) as bus, bus.curve("dashboard") as peer:
        assert peer.ask("$bus.stats", {})[0]["status"] == "success"
    with SecureBroker(bhiv, tmp_path / "e", names=["dashboard"]) as bus, bus.curve("dashboard") as peer:
        assert peer.ask("$bus.stats", {})[0]["status"] == "error", "or the file was not what let it"

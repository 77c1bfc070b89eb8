"""The pages of docs/reference/ are what the program's tables say, and all of them are there."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = ROOT / "docs" / "reference"


def pages(bhiv):
    return subprocess.run([bhiv, "docs", "--list"], capture_output=True, text=True,
                          check=True).stdout.split()


def test_every_page_is_what_the_tables_say(bhiv):
    done = subprocess.run([ROOT / "scripts" / "docs", "--check"], capture_output=True, text=True,
                          env={**os.environ, "BHIV": str(pathlib.Path(bhiv).resolve())}, check=False)
    assert done.returncode == 0, done.stderr


def test_no_page_is_left_of_what_is_gone(bhiv):
    assert sorted(path.stem for path in PAGES.iterdir()) == sorted(pages(bhiv))


def test_a_page_that_is_wrong_is_found(bhiv, tmp_path):
    """The check itself: on a copy of the tree's pages with one word changed it fails and names it."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "docs").write_bytes((ROOT / "scripts" / "docs").read_bytes())
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    for path in PAGES.iterdir():
        text = path.read_text()
        (tmp_path / "docs" / "reference" / path.name).write_text(
            text.replace("BUSY", "IDLE") if path.name == "errors.md" else text)
    done = subprocess.run(["bash", tmp_path / "scripts" / "docs", "--check"], capture_output=True,
                          text=True, env={**os.environ, "BHIV": str(pathlib.Path(bhiv).resolve())},
                          check=False)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "out of date" in line] == [
        "docs: docs/reference/errors.md is out of date: run scripts/docs"]

#!/usr/bin/env python3
"""The rules of our style that a machine can check. Prints every breach; exits 1 where there is one.

Length of functions, nesting and parameters are clang-tidy's; the rest is here: line and file length,
goto, symbols that name their file, layers that include only downwards and keep their inner headers
to themselves, ids of log lines, unfinished words, and paths of somebody's machine.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LAYERS = {  # folder -> folders whose headers it may include
    "proto": {"proto"},
    "runtime": {"proto", "runtime"},
    "broker": {"proto", "runtime", "broker"},
    "services/bucket": {"proto", "runtime", "bucket"},
    "services/karma": {"proto", "runtime", "karma"},
    "services/core": {"proto", "runtime", "core"},
    "services/workflow": {"proto", "runtime", "workflow"},
    "services/grace/htm": {"proto", "runtime", "htm"},
    "services/grace/brain": {"proto", "runtime", "brain"},
    "services/grace/kernel": {"proto", "runtime", "kernel"},
    "bridge-http": {"proto", "runtime", "bridge-http"},
    "cli": {"proto", "runtime", "broker", "bucket", "karma", "core", "workflow", "htm", "brain",
            "kernel", "bridge-http", "cli"},
    # the drills have the verbs' shared headers on their include path, by name alone; not vice versa
    "cli/stress": {"proto", "runtime", "kernel"},
}
PREFIXES = {"cli/stress": {"cli_stress_", "cli_fault_"}}  # where it is not the folder's name
SHARED = {"proto", "runtime", "broker"}  # here a symbol may begin with its file's stem alone
GIVEN = {"main", "epoll_ctl", "epoll_wait"}  # names that others look for
LINES_MAX = 600
COLUMNS_MAX = 100

breaches = []


def breach(path, line, what):
    breaches.append(f"{path.relative_to(ROOT)}:{line}: {what}")


def tracked(*patterns):
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in out if name and (ROOT / name).exists()]


def folder_of(path):
    rest = path.relative_to(ROOT).parts
    if rest[0] == "services":
        return "/".join(rest[: 3 if rest[1] == "grace" else 2])
    if rest[:2] == ("cli", "stress"):
        return "cli/stress"
    return rest[0]


def check_text(path, text):
    lines = text.split("\n")
    if len(lines) > LINES_MAX + 1:
        breach(path, len(lines), f"over {LINES_MAX} lines")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and path.suffix != ".def":
            breach(path, number, f"over {COLUMNS_MAX} columns")
        if re.search(r"\bgoto\b(?! on)", re.sub(r"//.*|/\*.*?\*/|\"[^\"]*\"", "", line)):
            breach(path, number, "goto")
        if line != line.rstrip():
            breach(path, number, "space at the end of the line")
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            breach(path, number, "unfinished by its own words")


def check_includes(path, text):
    layer = folder_of(path)
    if layer not in LAYERS:
        return
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'#include "([^"]+)/[^"/]+"', line)
        if match and match[1].split("/")[0] not in LAYERS[layer] | {"schema"}:
            breach(path, number, f"{layer} may not include {match[1]}")


def check_private(path, text):
    """A header that a folder keeps to itself says so in its name; nobody else includes it."""
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'#include "(?:[^"]+/)([^"/]+)_(self|inner|state)\.h"', line)
        if match:
            breach(path, number, f"{match[1]}_{match[2]}.h is its own folder's alone")


def check_log_ids(path, text):
    """The id of a log line is what people search for: words of one shape, in every part."""
    for match in re.finditer(r'\blog_(?:error|warning|info|debug)\(\s*"([^"]*)"', text):
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", match[1]):
            number = text.count("\n", 0, match.start()) + 1
            breach(path, number, f"the log id {match[1]} is not in words_like_these")


def check_head(path, text):
    first = text.split("\n", 1)[0]
    if not re.match(rf"// {re.escape(path.name)} - .", first):
        breach(path, 1, f"begins with `// {path.name} - what it is`")


def check_symbols(path, text):
    layer = folder_of(path)
    if layer not in LAYERS:
        return
    name = layer.split("/")[-1].removesuffix("-http")
    stem = path.stem
    prefixes = set(PREFIXES.get(layer, {f"{name}_"}))
    if layer in SHARED:
        prefixes.add(f"{stem}_")
    # a file split off another keeps that one's name: walk_check.c holds walk_check
    if layer in SHARED:
        prefixes.add(stem.split("_")[0] + "_")
    if path.name == "main.c":
        prefixes.add("main")
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        match = re.match(r"([a-z_][a-z0-9_]*)\(", line)  # a definition: its name in column 0
        if not match or line.rstrip().endswith(";"):
            continue
        before = lines[number - 2] if number > 1 else ""
        if before.startswith("static") or re.search(r"\bstatic\b", before) or not before.strip():
            continue
        if before.startswith(("//", "#", "}")) or "BUS_CHECK" in before and path.suffix == ".h":
            continue
        if not any(match[1].startswith(prefix) for prefix in prefixes) and match[1] not in GIVEN:
            breach(path, number, f"{match[1]} does not name its file")


def check_paths(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"(^|[^A-Za-z0-9_./-])/(work|root|home)/[a-z]", line):
            breach(path, number, "a path of somebody's machine")


def main():
    for path in tracked("*.c", "*.h", "*.def"):
        text = path.read_text()
        check_text(path, text)
        check_head(path, text)
        if "tests" not in path.parts:
            check_includes(path, text)
            check_private(path, text)
            check_log_ids(path, text)
            if path.suffix == ".c":
                check_symbols(path, text)
    for path in tracked("*.c", "*.h", "*.def", "*.py", "*.md", "*.sh", "scripts/*", "CMakeLists.txt"):
        if path.is_file() and path != pathlib.Path(__file__).resolve():
            check_paths(path, path.read_text(errors="replace"))
    print("\n".join(breaches) if breaches else "every rule holds")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())

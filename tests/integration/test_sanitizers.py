"""That the sanitized runs can fail: what a grandchild's sanitizer says is seen."""

import subprocess

import pytest
from support import sanitizers

FAULTS = {
    "address": ("AddressSanitizer", "char *p = malloc(8); p[argc + 8] = 1;"),
    "leak": ("LeakSanitizer", "leaked = malloc((size_t) argc); leaked = NULL;"),
    "undefined": ("runtime error", "argc += 2147483647; printf(\"%d\", argc);"),
    "thread": ("data race", "pthread_t t; pthread_create(&t, NULL, touch, NULL); touch(NULL);"
                            "pthread_join(t, NULL);"),
}
PROGRAM = """
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
void *volatile leaked;
static int touched;
static void *touch(void *arg) { touched++; return arg; }
int main(int argc, char **argv) { (void) argv; (void) touch; %s return 0; }
"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_grandchild_is_reported(tmp_path, fault):
    word, statement = FAULTS[fault]
    source, built, logs = tmp_path / "fault.c", tmp_path / "fault", tmp_path / "logs"
    logs.mkdir()
    source.write_text(PROGRAM % statement)
    kind = ["-fsanitize=address,undefined", "-static-libasan", "-static-libubsan"]
    if fault == "thread":
        kind = ["-fsanitize=thread"]
    subprocess.run(["gcc", *kind, "-fno-sanitize-recover=all", "-pthread", source, "-o", built],
                   check=True)
    subprocess.run(["sh", "-c", f"{built} >/dev/null 2>&1; true"], check=True,
                   env=sanitizers.environment(logs))
    said = sanitizers.take_reports(logs)
    assert word in said
    assert sanitizers.take_reports(logs) == ""

// fuzz_access.c - any bytes as an access file: what is taken is rows of legal names and patterns,
// what is not says why, and czmq has nothing to say.
#include "broker/rules_row.h"
#include "proto/topic.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
on_row(void *arg, const char *name, const char *const rights[RULES_RIGHTS])
{
    size_t *count = arg;
    char problem[RULES_PROBLEM_SIZE];
    assert(rules_row_check(name, rights, problem) == BUS_OK);
    assert(name[0] != '$' && name[0] != '_' && strchr(name, '.') == NULL);
    for (int i = 0; i < RULES_RIGHTS; i++) {
        bus_view_t rest = view_from_text(rights[i] == NULL ? "" : rights[i]);
        bus_view_t word;
        while (rules_row_word(&rest, &word)) {
            assert(word.size > 0);
        }
    }
    (*count)++;
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[RULES_PROBLEM_SIZE] = "";
    size_t count = 0;
    bus_err_t err = rules_row_parse(view_from(data, size), on_row, &count, problem);
    assert((err == BUS_OK) == (problem[0] == '\0'));
    assert(err == BUS_OK || count == 0);
    assert(strlen(problem) < RULES_PROBLEM_SIZE);
    return 0;
}

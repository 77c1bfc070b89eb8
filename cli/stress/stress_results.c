// stress_results.c - see stress_results.h.
#include "stress_results.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    const char *name;   // of the folder, and of the suite
    const char *suffix; // of a result's file
    const char *except; // what its name does not contain; NULL: anything goes
} suite_row_t;

static const suite_row_t suites[] = {
    {"boot", "_summary.json", NULL},
    {"ingestion", ".json", "summary"},
    {"htm", "_summary.json", NULL},
    {"faults", "_summary.json", NULL},
};
enum { SUITE_COUNT = sizeof suites / sizeof suites[0] };

const char *const cli_stress_suites[] = {"boot", "ingestion", "htm", "faults", NULL};

static bool
is_result(const suite_row_t *suite, const char *name)
{
    size_t size = strlen(name);
    size_t suffix = strlen(suite->suffix);
    return size > suffix && strcmp(name + size - suffix, suite->suffix) == 0 &&
           (suite->except == NULL || strstr(name, suite->except) == NULL);
}

// Lists of samples would make the page heavy, and are not on it.
static void
drop_long_lists(json_t *run)
{
    void *next = NULL;
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach_safe(run, next, key, value)
    {
        if (json_array_size(value) > CLI_STRESS_RESULTS_ARRAY_MAX) {
            json_object_del(run, key);
        }
    }
}

// One result, or NULL where the file is none.
static json_t *
read_run(const char *folder, const char *name)
{
    char path[CLI_PATH_SIZE];
    struct stat about;
    if ((size_t) snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path ||
        stat(path, &about) != 0 || !S_ISREG(about.st_mode) ||
        about.st_size > CLI_STRESS_RESULTS_FILE_MAX) {
        return NULL;
    }
    json_t *run = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(run) || !json_is_string(json_object_get(run, "test_id")) ||
        !json_is_string(json_object_get(run, "started_at")) ||
        !json_is_object(json_object_get(run, "summary"))) {
        json_decref(run);
        return NULL;
    }
    drop_long_lists(run);
    return run;
}

static int
by_start(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *) a;
    const json_t *y = *(json_t *const *) b;
    int order = strcmp(json_string_value(json_object_get(x, "started_at")),
                       json_string_value(json_object_get(y, "started_at")));
    return order != 0 ? order
                      : strcmp(json_string_value(json_object_get(x, "test_id")),
                               json_string_value(json_object_get(y, "test_id")));
}

static json_t *
read_suite(const char *logs_dir, const suite_row_t *suite, size_t *skipped)
{
    json_t *runs = json_array();
    char folder[CLI_PATH_SIZE];
    int size = snprintf(folder, sizeof folder, "%s/%s", logs_dir, suite->name);
    DIR *dir = (size_t) size < sizeof folder ? opendir(folder) : NULL;
    if (dir == NULL) {
        return runs;
    }
    json_t **found = NULL;
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (!is_result(suite, entry->d_name)) {
            continue;
        }
        json_t *run = read_run(folder, entry->d_name);
        if (run == NULL) {
            ++*skipped;
            continue;
        }
        json_t **more = reallocarray(found, count + 1, sizeof(json_t *));
        assert(more != NULL);
        found = more;
        found[count++] = run;
    }
    closedir(dir);
    if (count > 0) {
        qsort(found, count, sizeof(json_t *), by_start);
    }
    for (size_t i = 0; i < count; ++i) {
        if (i + CLI_STRESS_RESULTS_RUNS_MAX >= count) {
            json_array_append(runs, found[i]);
        }
        json_decref(found[i]);
    }
    free(found);
    return runs;
}

json_t *
cli_stress_results_read(const char *logs_dir, const char *suite, size_t *skipped)
{
    for (size_t i = 0; i < SUITE_COUNT; ++i) {
        if (strcmp(suites[i].name, suite) == 0) {
            return read_suite(logs_dir, &suites[i], skipped);
        }
    }
    assert(false); // no suite of ours
    return NULL;
}

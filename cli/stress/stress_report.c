// stress_report.c - `bhiv stress report`: the drills' results as one page that needs nothing else.
//
// The page (stress_dashboard.html) holds no figure: it draws what stands in it as JSON, which is
// put there from the files of the drills. So a figure on it is one that a drill measured.
#include "stress_report.h"

#include "proto/rfc3339.h"
#include "proto/view.h"
#include "runtime/clock.h"
#include "stress.h"
#include "stress_results.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const unsigned char page[] = {
#include "stress_dashboard.html.inc"
};

static const char LOGS_PRESET[] = "logs/stress";
static const char PAGE_PRESET[] = "reports/stress_dashboard.html";
static const char PAGE_LEAF[] = "stress_dashboard.html";
static const char DATA_PLACE[] = "id=\"data\">"; // behind it goes the JSON

// --- What it shows -----------------------------------------------------------------------------

// Everything that the page shows.
static json_t *
read_all(const char *logs_dir)
{
    json_t *by_suite = json_object();
    size_t skipped = 0;
    for (size_t i = 0; cli_stress_suites[i] != NULL; ++i) {
        json_object_set_new(by_suite,
                            cli_stress_suites[i],
                            cli_stress_results_read(logs_dir, cli_stress_suites[i], &skipped));
    }
    char now[RFC3339_SIZE];
    rfc3339_format(clock_wall_us(), now);
    json_t *gates = json_pack("{s:f, s:f, s:f, s:f}",
                              "boot_ms",
                              CLI_STRESS_GATE_BOOT_MS,
                              "trust",
                              CLI_STRESS_GATE_TRUST,
                              "quality",
                              CLI_STRESS_GATE_QUALITY,
                              "sla_breaches",
                              CLI_STRESS_GATE_BREACHES);
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}",
                     "version",
                     BHIV_VERSION,
                     "generated_at",
                     now,
                     "logs",
                     logs_dir,
                     "skipped",
                     (json_int_t) skipped,
                     "gates",
                     gates,
                     "suites",
                     by_suite);
}

// --- Writing -----------------------------------------------------------------------------------

// In a script element `<` could end it, whatever a file says: in JSON it stands in strings alone.
static bool
write_json(FILE *out, const char *json)
{
    for (const char *at = json; *at != '\0'; ++at) {
        if ((*at == '<' ? fputs("\\u003c", out) : fputc(*at, out)) == EOF) {
            return false;
        }
    }
    return true;
}

static bool
write_page(FILE *out, const char *json)
{
    const unsigned char *place = memmem(page, sizeof page, DATA_PLACE, strlen(DATA_PLACE));
    assert(place != NULL);
    size_t before = (size_t) (place - page) + strlen(DATA_PLACE);
    return fwrite(page, 1, before, out) == before && write_json(out, json) &&
           fwrite(page + before, 1, sizeof page - before, out) == sizeof page - before;
}

// Makes the folder that `path` lies in, and those above it.
static int
make_parents(const char *path)
{
    char part[CLI_PATH_SIZE];
    if (strlen(path) >= sizeof part) {
        return cli_fail(CLI_CONFIG, "the path %s is too long", path);
    }
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        memcpy(part, path, (size_t) (slash - path));
        part[slash - path] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return cli_fail(CLI_IO, "cannot make %s: %s", part, strerror(errno));
        }
    }
    return CLI_DONE;
}

void
cli_stress_report_path(const char *logs_dir, const char *given, char ret_path[CLI_PATH_SIZE])
{
    bool has_given = given != NULL && given[0] != '\0';
    if (has_given || strcmp(logs_dir, LOGS_PRESET) == 0) {
        snprintf(ret_path, CLI_PATH_SIZE, "%s", has_given ? given : PAGE_PRESET);
    } else {
        snprintf(ret_path, CLI_PATH_SIZE, "%s/%s", logs_dir, PAGE_LEAF);
    }
}

int
cli_stress_report_write(const char *logs_dir, const char *html_path)
{
    int status = make_parents(html_path);
    if (status != CLI_DONE) {
        return status;
    }
    char fresh[CLI_PATH_SIZE];
    if ((size_t) snprintf(fresh, sizeof fresh, "%s.%d", html_path, (int) getpid()) >=
        sizeof fresh) {
        return cli_fail(CLI_CONFIG, "the path %s is too long", html_path);
    }
    FILE *out = fopen(fresh, "we");
    if (out == NULL) {
        return cli_fail(CLI_IO, "cannot write %s: %s", fresh, strerror(errno));
    }
    json_t *all = read_all(logs_dir);
    char *json = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(all);
    assert(json != NULL);
    bool is_written = write_page(out, json);
    free(json);
    is_written = fclose(out) == 0 && is_written;
    if (!is_written || rename(fresh, html_path) != 0) {
        int why = errno;
        (void) unlink(fresh);
        return cli_fail(CLI_IO, "cannot write %s: %s", html_path, strerror(why));
    }
    return CLI_DONE;
}

// --- The verb ----------------------------------------------------------------------------------

typedef struct {
    const char *logs;
    const char *out;
} flags_t;

#define AT(field) offsetof(flags_t, field)
// clang-format off
static const option_row_t rows[] = {
    {"logs", 0, OPTION_TEXT, "DIR", "logs/stress", AT(logs), 0, 0, "where the drills' results are"},
    {"out", 'o', OPTION_TEXT, "FILE", NULL, AT(out), 0, 0,
     "the page; default reports/stress_dashboard.html, or in the DIR of --logs"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv stress report",
    .arguments = "",
    .help = "Writes the dashboard: one page, that needs nothing else, of all drills whose results "
            "are in the folder. Each drill writes it anew by itself. Prints the page's path.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    // Where drills would be by themselves there may be none yet; a folder that was named is there.
    if (strcmp(flags.logs, LOGS_PRESET) != 0 && access(flags.logs, R_OK | X_OK) != 0) {
        return cli_fail(CLI_NOT_FOUND, "no drills in %s: %s", flags.logs, strerror(errno));
    }
    char path[CLI_PATH_SIZE];
    cli_stress_report_path(flags.logs, flags.out, path);
    int status = cli_stress_report_write(flags.logs, path);
    if (status == CLI_DONE) {
        printf("%s\n", path);
    }
    return status;
}

const cli_command_t cli_stress_report = {
    .name = "report",
    .summary = "write the dashboard of all drills",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};

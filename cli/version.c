// version.c - `bhiv version`: which build this is, and on which libraries it runs.
#include "output.h"

#include "runtime/identity.h"

#include <jansson.h>
#include <lmdb.h>
#include <stddef.h>
#include <stdio.h>
#include <zmq.h>

typedef struct {
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_FORMAT_ROW(flags_t, format),
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv version",
    .arguments = "",
    .help = "Prints the version of this program, how it was built, and the libraries it runs on.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_output_t out;
    int status = cli_output_init(&out, flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    identity_t identity;
    identity_read(&identity);
    int major = 0;
    int minor = 0;
    int patch = 0;
    zmq_version(&major, &minor, &patch);
    if (out.format == CLI_FORMAT_LINE) {
        text_add_format(out.text,
                        "bhiv %s (%s build, compiler %s)\nbuild-id %s, protocol %d, schemas %s\n"
                        "libzmq %d.%d.%d, lmdb %s, jansson %s\n",
                        BHIV_VERSION,
                        BHIV_BUILD,
                        __VERSION__,
                        identity.build,
                        IDENTITY_PROTOCOL,
                        identity.schemas,
                        major,
                        minor,
                        patch,
                        mdb_version(NULL, NULL, NULL),
                        jansson_version_str());
    } else {
        text_add_format(out.text,
                        "{\"version\":\"%s\",\"build\":\"%s\",\"compiler\":\"%s\","
                        "\"build_id\":\"%s\",\"protocol\":%d,\"schemas\":\"%s\","
                        "\"libzmq\":\"%d.%d.%d\",\"jansson\":\"%s\",\"lmdb\":\"%d.%d.%d\"}\n",
                        BHIV_VERSION,
                        BHIV_BUILD,
                        __VERSION__,
                        identity.build,
                        IDENTITY_PROTOCOL,
                        identity.schemas,
                        major,
                        minor,
                        patch,
                        jansson_version_str(),
                        MDB_VERSION_MAJOR,
                        MDB_VERSION_MINOR,
                        MDB_VERSION_PATCH);
    }
    cli_output_text(&out);
    cli_output_clear(&out);
    return CLI_DONE;
}

const cli_command_t cli_version = {
    .name = "version",
    .summary = "print the version",
    .group = CLI_GROUP_OTHER,
    .options = &options,
    .run = run,
};

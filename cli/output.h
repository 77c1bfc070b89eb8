// output.h - what the verbs print: records, values and tables, for a person or for a script.
//
// Data goes to stdout. For a terminal a line or a table, coloured unless NO_COLOR is set; piped,
// one JSON value per line; --format decides otherwise. Main thread.
#pragma once
#include "cli.h"
#include "proto/text.h"
#include "runtime/client.h"

typedef enum {
    CLI_FORMAT_LINE,  // a line, or a table
    CLI_FORMAT_JSON,  // one JSON value per line
    CLI_FORMAT_PRETTY // indented JSON under a headline
} cli_format_t;

// The row of --format, const char * `field` of the options struct `type`.
// clang-format off
#define CLI_FORMAT_ROW(type, field) \
    {"format", 'F', OPTION_TEXT, "FORMAT", "auto", offsetof(type, field), 0, 0, \
     "line, json or pretty; auto is line on a terminal, json when piped"}
// clang-format on

typedef struct {
    cli_format_t format;
    bool color;   // escapes may be used
    text_t *text; // being built
} cli_output_t;

// Returns 0, or says that there is no such format and returns CLI_USAGE.
BUS_CHECK int cli_output_init(cli_output_t *self, const char *format);
void cli_output_clear(cli_output_t *self);

// One message: its three frames. Line: seq, time, topic, source, body. JSON:
// {"topic":…,"header":{…},"body":…}.
void cli_output_record(cli_output_t *self, const client_heard_t *record);
// One msgpack value: JSON on one line, or indented where that is pretty or a terminal's.
void cli_output_value(cli_output_t *self, bus_view_t value);
// What is in self->text, as it is.
void cli_output_text(cli_output_t *self);
// Pushes out what was printed. False where nobody reads any more (the pipe is closed).
BUS_CHECK bool cli_output_flush(cli_output_t *self);

// --- Tables ------------------------------------------------------------------------------------

enum { CLI_TABLE_COLUMNS_MAX = 8 };

typedef struct {
    const char *const *titles;
    size_t column_count; // at most CLI_TABLE_COLUMNS_MAX
    char **cells;        // owned, row by row
    size_t cell_count;
    size_t cell_limit; // room in `cells`
} cli_table_t;

// `titles` are borrowed.
void cli_table_init(cli_table_t *self, const char *const *titles, size_t column_count);
void cli_table_clear(cli_table_t *self);
// Adds the next cell of the row, copied; control bytes are shown as `?`.
void cli_table_add(cli_table_t *self, bus_view_t cell);
// A msgpack value as a cell: text as it is, anything else as JSON.
void cli_table_add_value(cli_table_t *self, bus_view_t value);
void cli_table_print(const cli_table_t *self, cli_output_t *out);

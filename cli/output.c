// output.c - see output.h. Tables are in table.c.
#include "output.h"

#include "proto/rfc3339.h"
#include "proto/transcode.h"
#include "proto/walk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

enum {
    INDENT = 2,
    DEPTH_MAX = 32 // of a page's records or an answer: a body and its envelopes
};

int
cli_output_init(cli_output_t *self, const char *format)
{
    bool terminal = isatty(STDOUT_FILENO) == 1;
    const char *no_color = getenv("NO_COLOR"); // https://no-color.org: set and not empty
    *self = (cli_output_t){.color = terminal && (no_color == NULL || no_color[0] == '\0')};
    if (format == NULL || strcmp(format, "auto") == 0) {
        self->format = terminal ? CLI_FORMAT_LINE : CLI_FORMAT_JSON;
    } else if (strcmp(format, "line") == 0) {
        self->format = CLI_FORMAT_LINE;
    } else if (strcmp(format, "json") == 0) {
        self->format = CLI_FORMAT_JSON;
    } else if (strcmp(format, "pretty") == 0) {
        self->format = CLI_FORMAT_PRETTY;
    } else {
        return cli_fail(CLI_USAGE, "--format: `%s` is none of line, json, pretty", format);
    }
    self->text = text_new();
    return CLI_DONE;
}

void
cli_output_clear(cli_output_t *self)
{
    text_destroy(&self->text);
}

void
cli_output_text(cli_output_t *self)
{
    bus_view_t bytes = text_view(self->text);
    (void) fwrite(bytes.data, 1, bytes.size, stdout); // cli_output_flush sees a failure
    text_clear(self->text);
}

bool
cli_output_flush(cli_output_t *self BUS_UNUSED)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

void
cli_output_value(cli_output_t *self, bus_view_t value)
{
    transcode_to_json(value, self->format == CLI_FORMAT_JSON ? 0 : INDENT, self->text);
    text_add(self->text, VIEW_LITERAL("\n"));
    cli_output_text(self);
}

// A broker checks what it passes on, but who says that it is ours that we are connected to?
static void
add_checked(text_t *text, bus_view_t value, unsigned indent)
{
    const char *why = NULL;
    if (walk_check(value, WALK_ANY, DEPTH_MAX, &why) == BUS_OK) {
        transcode_to_json(value, indent, text);
    } else {
        text_add(text, VIEW_LITERAL("null"));
    }
}

static void
add_json_record(text_t *text, const client_heard_t *record)
{
    text_add(text, VIEW_LITERAL("{\"topic\":"));
    transcode_json_string(record->topic, text);
    text_add(text, VIEW_LITERAL(",\"header\":"));
    add_checked(text, record->header_bytes, 0);
    text_add(text, VIEW_LITERAL(",\"body\":"));
    add_checked(text, record->body, 0);
    text_add(text, VIEW_LITERAL("}\n"));
}

// Text from a header, for a line: a word of visible characters whatever was sent.
static void
add_word(text_t *text, bus_view_t word)
{
    if (word.size == 0) {
        text_add(text, VIEW_LITERAL("-"));
    }
    for (size_t i = 0; i < word.size; ++i) {
        bool visible = word.data[i] > 0x20 && word.data[i] < 0x7f;
        text_add(text, visible ? view_from(&word.data[i], 1) : VIEW_LITERAL("?"));
    }
}

static void
add_headline(cli_output_t *self, const client_heard_t *record)
{
    const header_t *header = &record->header;
    char time[RFC3339_SIZE];
    rfc3339_format(header->at != 0 ? header->at : header->time, time);
    text_t *text = self->text;
    if (header->seq != 0) {
        text_add_format(text, "%llu ", (unsigned long long) header->seq);
    } else {
        text_add(text, VIEW_LITERAL("- "));
    }
    text_add_format(text, "%s%s%s ", self->color ? DIM : "", time, self->color ? PLAIN : "");
    text_add_format(text,
                    "%s%.*s%s ",
                    self->color ? BOLD : "",
                    (int) record->topic.size,
                    record->topic.data,
                    self->color ? PLAIN : "");
    add_word(text, header->source);
}

void
cli_output_record(cli_output_t *self, const client_heard_t *record)
{
    text_t *text = self->text;
    switch (self->format) {
    case CLI_FORMAT_JSON:
        add_json_record(text, record);
        break;
    case CLI_FORMAT_LINE:
        add_headline(self, record);
        text_add(text, VIEW_LITERAL(" "));
        add_checked(text, record->body, 0);
        text_add(text, VIEW_LITERAL("\n"));
        break;
    case CLI_FORMAT_PRETTY:
        add_headline(self, record);
        if (record->header.trace_id.size > 0) {
            text_add(text, VIEW_LITERAL(" trace "));
            add_word(text, record->header.trace_id);
        }
        text_add(text, VIEW_LITERAL("\n"));
        add_checked(text, record->body, INDENT);
        text_add(text, VIEW_LITERAL("\n"));
        break;
    }
    cli_output_text(self);
}

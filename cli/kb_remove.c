// kb_remove.c - `bhiv kb remove`: documents go, with all their parts.
#include "kb.h"

#include "proto/walk.h"

#include <assert.h>
#include <stdlib.h>

enum { IDS_MAX = 10000 }; // of one command

static const option_row_t rows[] = {CLI_QUESTION_ROWS("30s")};

static const option_table_t options = {
    .program = "bhiv kb remove",
    .arguments = "ID…",
    .help = "Takes documents away: they are not found any more. The journal keeps what they were.\v"
            "  bhiv kb remove gita.txt",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = IDS_MAX,
};

typedef struct {
    const char **ids;
    unsigned count;
    unsigned at; // of the next
    int status;  // the first that was not good
} remove_t;

static bool
next(void *arg, pack_t *out, int *ret_status)
{
    remove_t *self = arg;
    *ret_status = self->status;
    if (self->at == self->count) {
        return false;
    }
    pack_map(out, 1);
    pack_pair_text(out, "document_id", self->ids[self->at++]);
    return true;
}

static void
take(void *arg, cli_output_t *out, bus_view_t answer)
{
    const remove_t *self = arg;
    if (out->format != CLI_FORMAT_LINE) {
        cli_output_value(out, answer);
        return;
    }
    text_clear(out->text);
    text_add_format(out->text,
                    "removed   %s: %llu passages\n",
                    self->ids[self->at - 1],
                    (unsigned long long) walk_uint_at(answer, "chunks", 0));
    cli_output_text(out);
}

static void
failed(void *arg, int status)
{
    remove_t *self = arg;
    (void) cli_fail(status, "%s was not removed", self->ids[self->at - 1]);
    self->status = self->status == CLI_DONE ? status : self->status;
    if (status == CLI_NO_ANSWER || status == CLI_TIMED_OUT) {
        self->at = self->count; // the others would fare no better
    }
}

static int
run(int argc, char **argv)
{
    cli_question_flags_t flags = {.timeout_ms = 0};
    const char **ids = calloc((size_t) argc, sizeof ids[0]);
    assert(ids);
    remove_t removing = {.ids = ids};
    option_parse(&options, argc, argv, &flags, ids, &removing.count);
    const cli_kb_talk_t talk = {.flags = &flags,
                                .topic = "kb.remove",
                                .next = next,
                                .take = take,
                                .failed = failed,
                                .arg = &removing};
    int status = cli_kb_talk(&talk);
    free(ids);
    return status;
}

const cli_command_t cli_kb_remove = {
    .name = "remove",
    .summary = "take documents away",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};

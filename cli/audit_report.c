// audit_report.c - what a verification says: each problem when it is found, the facts and a verdict
// at the end. See audit.h.
#include "audit.h"

#include "proto/transcode.h"
#include "proto/walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { PROBLEM_SIZE = 256 };

int
cli_audit_report_init(cli_audit_report_t *self, const char *format)
{
    *self = (cli_audit_report_t){.facts = pack_new()};
    return cli_output_init(&self->out, format);
}

void
cli_audit_report_clear(cli_audit_report_t *self)
{
    cli_output_clear(&self->out);
    pack_destroy(&self->facts);
}

// --- Facts ---------------------------------------------------------------------------------------

void
cli_audit_report_text(cli_audit_report_t *self, const char *key, bus_view_t value)
{
    pack_pair_str(self->facts, key, value);
    ++self->fact_count;
}

void
cli_audit_report_uint(cli_audit_report_t *self, const char *key, uint64_t value)
{
    pack_pair_uint(self->facts, key, value);
    ++self->fact_count;
}

void
cli_audit_report_hash(cli_audit_report_t *self, const char *key, const merkle_hash_t *hash)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    note_base64(view_from(hash->bytes, sizeof hash->bytes), text);
    cli_audit_report_text(self, key, text_view(text));
}

void
cli_audit_report_signed(cli_audit_report_t *self, const cli_audit_signed_t *signed_)
{
    char vkey[NOTE_VKEY_SIZE];
    note_verifier_format(signed_->signer, vkey);
    cli_audit_report_text(self, "log", signed_->checkpoint.origin);
    cli_audit_report_uint(self, "entries", signed_->checkpoint.head.size);
    cli_audit_report_hash(self, "root", &signed_->checkpoint.head.root);
    cli_audit_report_text(self, "signed_by", view_from_text(vkey));
}

// --- Problems ------------------------------------------------------------------------------------

typedef struct {
    bool has_index;
    uint64_t index;
    bus_view_t audit_id; // may be absent
    char text[PROBLEM_SIZE];
} problem_t;

static void
add_line(text_t *text, const problem_t *problem)
{
    if (problem->has_index) {
        text_add_format(text, "BAD  entry %" PRIu64, problem->index);
    } else {
        text_add(text, VIEW_LITERAL("BAD "));
    }
    if (problem->audit_id.size > 0) {
        text_add(text, VIEW_LITERAL(" ("));
        text_add(text, problem->audit_id);
        text_add(text, VIEW_LITERAL(")"));
    }
    text_add_format(text, "%s %s\n", problem->has_index ? ":" : "", problem->text);
}

static void
add_json(text_t *text, const problem_t *problem)
{
    text_add(text, VIEW_LITERAL("{"));
    if (problem->has_index) {
        text_add_format(text, "\"leaf_index\":%" PRIu64 ",", problem->index);
    }
    if (problem->audit_id.size > 0) {
        text_add(text, VIEW_LITERAL("\"audit_id\":"));
        transcode_json_string(problem->audit_id, text);
        text_add(text, VIEW_LITERAL(","));
    }
    text_add(text, VIEW_LITERAL("\"problem\":"));
    transcode_json_string(view_from_text(problem->text), text);
    text_add(text, VIEW_LITERAL("}\n"));
}

static void
report(cli_audit_report_t *self, const problem_t *problem)
{
    if (problem->has_index && (!self->has_first || problem->index < self->first_bad)) {
        self->has_first = true;
        self->first_bad = problem->index;
    }
    if (++self->problems > CLI_AUDIT_PROBLEMS_SHOWN) {
        return;
    }
    if (self->out.format == CLI_FORMAT_LINE) {
        add_line(self->out.text, problem);
    } else {
        add_json(self->out.text, problem);
    }
    cli_output_text(&self->out);
}

void
cli_audit_report_entry(
    cli_audit_report_t *self, uint64_t leaf_index, bus_view_t audit_id, const char *format, ...)
{
    problem_t problem = {.has_index = true, .index = leaf_index, .audit_id = audit_id};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem.text, sizeof problem.text, format, arguments);
    va_end(arguments);
    report(self, &problem);
}

void
cli_audit_report_whole(cli_audit_report_t *self, const char *format, ...)
{
    problem_t problem = {.has_index = false};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem.text, sizeof problem.text, format, arguments);
    va_end(arguments);
    report(self, &problem);
}

// --- The verdict ---------------------------------------------------------------------------------

static void
pack_verdict(const cli_audit_report_t *self, pack_t *out)
{
    pack_map(out, self->fact_count + 3);
    pack_pair_bool(out, "good", self->problems == 0);
    pack_raw(out, pack_view(self->facts));
    pack_pair_uint(out, "problems", self->problems);
    if (self->has_first) {
        pack_pair_uint(out, "first_bad", self->first_bad);
    } else {
        pack_pair_nil(out, "first_bad");
    }
}

static void
print_lines(cli_audit_report_t *self, bus_view_t verdict)
{
    text_t *text = self->out.text;
    walk_pairs_t pairs = walk_pairs(verdict);
    bus_view_t key, value, word;
    for (uint32_t i = 0; walk_pairs_next(&pairs, &key, &value) == BUS_OK; ++i) {
        if (i == 0 || i > self->fact_count) {
            continue; // said in the last line
        }
        text_add_format(text, "%-10.*s ", (int) key.size, key.data);
        if (walk_as_str(value, &word) == BUS_OK) {
            text_add(text, word);
        } else {
            transcode_to_json(value, 0, text);
        }
        text_add(text, VIEW_LITERAL("\n"));
    }
    if (self->problems == 0) {
        text_add(text, VIEW_LITERAL("good\n"));
    } else {
        text_add_format(
            text, "BAD: %" PRIu64 " problem%s", self->problems, &"s"[self->problems == 1]);
        if (self->has_first) {
            text_add_format(text, ", the first at entry %" PRIu64, self->first_bad);
        }
        text_add(text, VIEW_LITERAL("\n"));
    }
    cli_output_text(&self->out);
}

int
cli_audit_report_end(cli_audit_report_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *verdict = pack_new();
    pack_verdict(self, verdict);
    if (self->out.format == CLI_FORMAT_LINE) {
        print_lines(self, pack_view(verdict));
    } else {
        cli_output_value(&self->out, pack_view(verdict));
    }
    int status = self->problems == 0 ? CLI_DONE : CLI_NEGATIVE;
    return cli_output_flush(&self->out) ? status : CLI_IO;
}

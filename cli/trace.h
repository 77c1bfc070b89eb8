// trace.h - inside of `bhiv trace`: the tree as a drawing. For cli/trace*.c.
#pragma once
#include "output.h"

// Adds the tree to out->text: a headline, then a line a step, indented by what caused it, with its
// time after the first one, its status, what it is about and its places in the audit log. `tree` is
// what GET /trace/{trace_id} answers. Words that do not fit are cut; no line is wrapped.
void cli_trace_draw(cli_output_t *out, bus_view_t tree);
// What is to be known about the tree's gaps, a line each, or nothing: on stderr.
void cli_trace_tell_gaps(bus_view_t tree);

// summary.h - the broker's counters as a person reads them: a dozen lines.
#pragma once
#include "output.h"

// What rates are made from; of one answer to $bus.stats.
typedef struct {
    uint64_t uptime_ms;
    uint64_t head;
    uint64_t journaled, live, requests; // messages in
    uint64_t out;                       // messages out, of any class
    uint64_t refused;
} cli_summary_t;

// Reads them; what is not there is 0.
cli_summary_t cli_summary_read(bus_view_t body);
// Prints the table. `before` may be NULL: then it has no column of rates.
void cli_summary_print(bus_view_t body, const cli_summary_t *before, cli_output_t *out);

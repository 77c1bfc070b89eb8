// journal_scan.h - what wakes a parked fetch, for the reader: first tokens as bits.
#pragma once
#include "journal.h"

// The families (topic_family) of the records from..head, a bit each; all bits where any of them
// cannot be read.
uint64_t journal_scan_families(journal_t *self, uint64_t from, uint64_t head);
// The families whose topics a filter can match.
uint64_t journal_scan_filter_families(bus_view_t filter);

// alarm.h - what the broker itself has to say about its journal, as a fact in it.
#pragma once
#include "journal.h"

// Journals governance.clock.ahead {last, now, ahead_seconds}: the clock, at `now` (microseconds),
// is ahead of the journal's last record by more than a running system's would be. To be called
// before the committer starts, for it is one for this moment. BUS_JOURNAL_FULL, BUS_IO.
BUS_CHECK bus_err_t alarm_clock_ahead(journal_t *journal, uint64_t now);

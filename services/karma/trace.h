// trace.h - what Karma made of the records of a trace.
#pragma once
#include "runtime/service.h"

enum { KARMA_TRACE_SEQS_MAX = 2000 }; // asked about at once: the steps of a trace that are shown

// req.karma.applied -> {applied: [{seq, action?, kind?, intent?, token?, class?, reward?, merit?,
// became?, cheat?}…]}: those of the asked seqs that moved karma, or were recorded without moving
// it, as they are kept; in the order asked. BUS_VALIDATION_FAILED for too many seqs or what is no
// seq.
bus_err_t karma_trace_applied(service_query_t *self, const void *message);

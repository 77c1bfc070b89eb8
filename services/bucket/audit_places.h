// audit_places.h - where the audit log has what the records of a trace made.
#pragma once
#include "runtime/service.h"

enum {
    BUCKET_AUDIT_PLACES_SEQS_MAX = 2000, // asked about at once: the steps of a trace that are shown
    BUCKET_AUDIT_PLACES_MAX = 4000       // answered: a record makes one entry, a few make two
};

// req.bucket.audit_places -> {places: [{seq, audit_id, leaf_index, operation?, decision?, rule?,
// error_code?, severity?}…], truncated}, in the order asked, several of a record that made several.
// A record without an entry has none. An entry whose body was let go after seven years, or is
// damaged, has its place alone. BUS_VALIDATION_FAILED for too many seqs or what is no seq.
bus_err_t bucket_audit_places_query(service_query_t *query, const void *message);

// bucket.h - Bucket, the custodian: stored events, contexts, exactly-once forwarding to Karma.
// docs/contract.md section 2.
#pragma once
#include "runtime/service.h"

extern const service_definition_t bucket_definition;

// bucket.h - Bucket, the custodian: events, artifacts and attention packets, kept, audited and
// governed. docs/contract.md sections 2 to 4; what it makes of them: docs/services.md.
#pragma once
#include "runtime/service.h"

extern const service_definition_t bucket_definition;

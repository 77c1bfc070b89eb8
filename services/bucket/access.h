// access.h - who was kept from what, and what changed who may do what.
#pragma once
#include "runtime/service.h"

// Applies governance.access, from the broker, and of tokens from the bridge: audits it.
bus_err_t bucket_access_apply(service_apply_t *apply, const void *message);

// access_refused.h - what the broker kept a peer from.
#pragma once
#include "runtime/service.h"

// Applies governance.access, from the broker alone: audits it.
bus_err_t bucket_access_refused_apply(service_apply_t *apply, const void *message);

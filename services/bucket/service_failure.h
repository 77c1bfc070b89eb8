// service_failure.h - a service says that it was kept waiting too long: audited, and the executor
// told. docs/contract.md section 6.
#pragma once
#include "runtime/service.h"

// Applies governance.service_failure, from Core alone. The mail goes out once an hour at most.
BUS_CHECK bus_err_t bucket_service_failure_apply(service_apply_t *apply, const void *message);

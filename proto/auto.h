// auto.h - three macros, used everywhere; there are no others like them.
#pragma once

// Destroys the variable when it goes out of scope. Fits any `void destroy(T **)`, so every CZMQ
// and every bus destructor works as is. Handing the object over sets it NULL, which disarms this.
#define BUS_AUTO(destroy) __attribute__((cleanup(destroy)))

// The caller must look at the result.
#define BUS_CHECK __attribute__((warn_unused_result))

// The parameter is required by the callback's shape, not by us.
#define BUS_UNUSED __attribute__((unused))

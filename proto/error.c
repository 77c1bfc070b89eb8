// error.c - error.def as data: the one table behind every error on the bus and over HTTP.
#include "error.h"
#include <string.h>

static const struct {
    const char *text; // `error_code`
    int http;         // status of the bridge's answer
    bool retry;       // whether the same message may succeed later
    const char *meaning;
} rows[BUS_ERROR_COUNT] = {
    [BUS_OK] = {"OK", 200, false, "it worked"},
#define ERROR(name, wire, http, retry, meaning) [BUS_##name] = {wire, http, retry, meaning},
#include "error.def"
#undef ERROR
};

// A number that is no error of ours can only be a defect of ours: it reads as one.
static bus_err_t
known(bus_err_t err)
{
    return (unsigned) err < BUS_ERROR_COUNT ? err : BUS_INTERNAL;
}

const char *
error_text(bus_err_t err)
{
    return rows[known(err)].text;
}

int
error_http(bus_err_t err)
{
    return rows[known(err)].http;
}

bool
error_retry(bus_err_t err)
{
    return rows[known(err)].retry;
}

const char *
error_meaning(bus_err_t err)
{
    return rows[known(err)].meaning;
}

bus_err_t
error_from_text(const char *text, unsigned long size)
{
    for (unsigned i = BUS_OK + 1; i < BUS_ERROR_COUNT; i++) {
        if (strlen(rows[i].text) == size && memcmp(rows[i].text, text, size) == 0) {
            return (bus_err_t) i;
        }
    }
    return BUS_INTERNAL;
}

// exit.c - how a verb says that it failed: one line for a person, one number for a script.
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>

int
cli_fail(int exit_status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bhiv: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return exit_status;
}

// One row per error of proto/error.def, so that a new one is a compiler's warning here.
int
cli_exit_of(bus_err_t err)
{
    switch (err) {
    case BUS_OK:
        return CLI_DONE;
    case BUS_MALFORMED_MESSAGE:
    case BUS_INVALID_TOPIC:
    case BUS_MALFORMED_JSON:
    case BUS_INVALID_REQUEST:
    case BUS_PAYLOAD_TOO_LARGE:
    case BUS_VALIDATION_FAILED:
    case BUS_HEADERS_TOO_LARGE:
        return CLI_BAD_DATA;
    case BUS_NOT_FOUND:
    case BUS_USER_NOT_FOUND:
    case BUS_TRIMMED:
    case BUS_AHEAD:
    case BUS_ARTIFACT_NOT_FOUND:
    case BUS_AUDIT_ENTRY_NOT_FOUND:
    case BUS_KEY_NOT_FOUND:
        return CLI_NOT_FOUND;
    case BUS_NO_RESPONDERS:
    case BUS_SERVICE_UNAVAILABLE:
        return CLI_NO_ANSWER;
    case BUS_IO:
        return CLI_IO;
    case BUS_BUSY:
    case BUS_RATE_LIMIT_EXCEEDED:
    case BUS_JOURNAL_FULL:
    case BUS_FULL:
    case BUS_PSEQ_GAP:
        return CLI_TRY_AGAIN;
    case BUS_UNAUTHENTICATED:
    case BUS_UNAUTHORIZED_ACCESS:
    case BUS_FORBIDDEN:
    case BUS_QUOTA_EXCEEDED:
    case BUS_GOVERNANCE_VIOLATION:
    case BUS_IMMUTABLE_ARTIFACT:
    case BUS_UNAUTHORIZED_DELETION:
    case BUS_SCHEMA_LOCKED:
    case BUS_VALIDATION_REQUIRED:
    case BUS_NO_PRIORITY_BYPASS:
    case BUS_LEGAL_HOLD:
        return CLI_REFUSED;
    case BUS_TIMEOUT:
    case BUS_REQUEST_TIMEOUT:
        return CLI_TIMED_OUT;
    case BUS_ABORTED:
        return CLI_INTERRUPTED;
    case BUS_METHOD_NOT_ALLOWED:
    case BUS_CONFLICT:
    case BUS_DUPLICATE_ARTIFACT_ID:
    case BUS_DUPLICATE_EXECUTION:
    case BUS_IDEMPOTENCY_KEY_REUSED:
    case BUS_INTERNAL:
    case BUS_CORRUPT:
    case BUS_EPOCH_CHANGED:
    case BUS_ERROR_COUNT:
        return CLI_NEGATIVE;
    }
    return CLI_NEGATIVE;
}

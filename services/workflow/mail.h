// mail.h - a mail as SMTP takes it: RFC 5322 headers, RFC 2047 words, base64 text. Pure functions.
#pragma once
#include "proto/text.h"
#include <stdint.h>

enum { WORKFLOW_MAIL_ADDRESS_MAX = 254 }; // bytes: RFC 5321

// Whether it is one address and nothing else: what could end a header line, or name a second
// recipient, is none.
bool workflow_mail_is_address(bus_view_t text);

typedef struct {
    bus_view_t from;       // an address
    bus_view_t to;         // an address
    bus_view_t subject;    // any UTF-8: its control characters become spaces
    bus_view_t message_id; // without brackets, plain ASCII
    bus_view_t trace_id;   // absent, or not plain ASCII: no such header
    uint64_t at;           // of Date, microseconds since 1970
    bus_view_t text;       // any UTF-8
} workflow_mail_t;

// Writes the whole mail, lines ended by CRLF, none of them longer than 998 bytes.
void workflow_mail_write(const workflow_mail_t *mail, text_t *out);

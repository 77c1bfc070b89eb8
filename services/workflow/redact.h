// redact.h - a payload as others are told of it: without what its keys call a secret.
#pragma once
#include "proto/pack.h"

// Copies the whole msgpack map `value`; the value of a key that holds password, passwd, secret,
// token, api_key, apikey, authorization or credential, whatever its case and however deep, becomes
// "[redacted]". `value` passed walk_check.
void workflow_redact(bus_view_t value, pack_t *out);

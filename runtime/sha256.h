// sha256.h - the SHA-256 (FIPS 180-4) of bytes that are all there. Any thread; pure.
#pragma once
#include "proto/view.h"
#include <stdint.h>

enum {
    SHA256_SIZE = 32,     // bytes
    SHA256_HEX_SIZE = 65, // as lower-case hex digits, with the NUL
};

void sha256_bytes(bus_view_t bytes, uint8_t ret_hash[SHA256_SIZE]);
void sha256_hex(bus_view_t bytes, char ret_hex[SHA256_HEX_SIZE]);

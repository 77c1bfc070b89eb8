// sha256.c - OpenSSL's SHA-256, in one call.
#include "sha256.h"

#include "id.h"

#include <assert.h>
#include <openssl/evp.h>

void
sha256_bytes(bus_view_t bytes, uint8_t ret_hash[SHA256_SIZE])
{
    unsigned size = 0;
    int ok = EVP_Digest(bytes.data, bytes.size, ret_hash, &size, EVP_sha256(), NULL);
    assert(ok == 1 && size == SHA256_SIZE); // fails only where OpenSSL was built without it
}

void
sha256_hex(bus_view_t bytes, char ret_hex[SHA256_HEX_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    sha256_bytes(bytes, hash);
    id_hex(hash, sizeof hash, ret_hex);
}

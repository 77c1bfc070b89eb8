// id.c - random bytes from the kernel, and UUIDv7 out of time and random bytes.
//
// RFC 9562, method 1 of section 6.2: 48 bits of milliseconds, then 12 bits of a counter, then 62
// random bits. Each new millisecond starts the counter at a random place in its lower half; when it
// overflows, or the clock was set back, the milliseconds simply go on counting from the last id.
#include "id.h"
#include "clock.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

enum { COUNTER_BITS = 12, UUID_SIZE = 16 };

static const char hex_digits[] = "0123456789abcdef";

void
id_random(void *ret_bytes, size_t size)
{
    unsigned char *at = ret_bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0) {
            assert(errno == EINTR); // it has no other way to fail
            continue;
        }
        at += got;
        size -= (size_t) got;
    }
}

void
id_hex(const void *bytes, size_t size, char *ret_text)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) {
        ret_text[2 * i] = hex_digits[at[i] >> 4];
        ret_text[2 * i + 1] = hex_digits[at[i] & 15];
    }
    ret_text[2 * size] = '\0';
}

void
id_random_hex(char *ret_text, size_t digits)
{
    unsigned char bytes[32];
    for (size_t done = 0; done < digits; done++) {
        size_t index = done % (2 * sizeof(bytes));
        if (index == 0) {
            id_random(bytes, sizeof(bytes));
        }
        unsigned byte = bytes[index / 2];
        ret_text[done] = hex_digits[index % 2 == 0 ? byte >> 4 : byte & 15];
    }
    ret_text[digits] = '\0';
}

// Milliseconds and counter of the next id, as one number that only grows. It is the process's by
// nature (ids of one process sort by order of making, whatever thread made them), hence the static.
static uint64_t
next_stamp(unsigned random)
{
    static _Atomic uint64_t last;
    uint64_t fresh = (clock_wall_us() / 1000) << COUNTER_BITS | (random & 0x7ff);
    uint64_t before = atomic_load_explicit(&last, memory_order_relaxed);
    uint64_t stamp = 0;
    do {
        stamp = fresh >> COUNTER_BITS > before >> COUNTER_BITS ? fresh : before + 1;
    } while (!atomic_compare_exchange_weak_explicit(
        &last, &before, stamp, memory_order_relaxed, memory_order_relaxed));
    return stamp;
}

void
id_make(char ret_text[ID_TEXT_SIZE])
{
    unsigned char uuid[UUID_SIZE];
    id_random(uuid, sizeof(uuid));
    uint64_t stamp = next_stamp(((unsigned) uuid[6] << 8) | uuid[7]);
    uint64_t ms = stamp >> COUNTER_BITS;
    for (int i = 0; i < 6; i++) {
        uuid[i] = (unsigned char) (ms >> (40 - 8 * i));
    }
    uuid[6] = (unsigned char) (0x70 | ((stamp >> 8) & 0x0f)); // version 7
    uuid[7] = (unsigned char) stamp;
    uuid[8] = (unsigned char) (0x80 | (uuid[8] & 0x3f)); // variant 10
    char *at = ret_text;
    for (int i = 0; i < UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex_digits[uuid[i] >> 4];
        *at++ = hex_digits[uuid[i] & 15];
    }
    *at = '\0';
}

bool
id_is_hex(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' || strchr(hex_digits, text.data[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool
id_is_uuid(bus_view_t text)
{
    bool is_good = text.size == ID_TEXT_SIZE - 1;
    for (size_t i = 0; i < text.size && is_good; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        is_good = is_dash ? text.data[i] == '-' : id_is_hex(view_from(text.data + i, 1));
    }
    return is_good;
}

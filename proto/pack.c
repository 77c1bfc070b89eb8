// pack.c - msgpack-c's packer over its own growing buffer, with one place that notices that memory
// ran out. msgpack-c chooses the smallest encoding of every integer, string and count.
#include "pack.h"
#include "rfc3339.h"
#include <assert.h>
#include <msgpack.h>
#include <stdlib.h>

struct pack {
    msgpack_sbuffer buffer;
    msgpack_packer packer; // writes into `buffer`
};

enum {
    LONG_HEAD_SIZE = 5, // array32 or map32: a byte and a 32-bit count
    // msgpack-c begins with 8 KiB, which malloc has to look for; most of what is packed is small,
    // and this comes from the thread's own free lists.
    FIRST_CAPACITY = 512,
};

// msgpack-c fails only where its buffer cannot grow.
static void
must(int result)
{
    assert(result == 0);
}

static int
write_bytes(void *arg, const char *bytes, size_t size)
{
    msgpack_sbuffer *buffer = arg;
    if (buffer->alloc == 0) {
        buffer->data = malloc(FIRST_CAPACITY);
        assert(buffer->data != NULL);
        buffer->alloc = FIRST_CAPACITY;
    }
    return msgpack_sbuffer_write(buffer, bytes, size);
}

pack_t *
pack_new(void)
{
    pack_t *self = malloc(sizeof(*self));
    assert(self != NULL);
    msgpack_sbuffer_init(&self->buffer);
    msgpack_packer_init(&self->packer, &self->buffer, write_bytes);
    return self;
}

void
pack_destroy(pack_t **self_p)
{
    pack_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    msgpack_sbuffer_destroy(&self->buffer);
    free(self);
    *self_p = NULL;
}

void
pack_clear(pack_t *self)
{
    msgpack_sbuffer_clear(&self->buffer);
}

bus_view_t
pack_view(const pack_t *self)
{
    return view_from(self->buffer.data, self->buffer.size);
}

void
pack_truncate(pack_t *self, size_t size)
{
    assert(size <= self->buffer.size);
    self->buffer.size = size;
}

void
pack_nil(pack_t *self)
{
    must(msgpack_pack_nil(&self->packer));
}

void
pack_bool(pack_t *self, bool value)
{
    must(value ? msgpack_pack_true(&self->packer) : msgpack_pack_false(&self->packer));
}

void
pack_int(pack_t *self, int64_t value)
{
    must(msgpack_pack_int64(&self->packer, value));
}

void
pack_uint(pack_t *self, uint64_t value)
{
    must(msgpack_pack_uint64(&self->packer, value));
}

void
pack_real(pack_t *self, double value)
{
    must(msgpack_pack_double(&self->packer, value));
}

void
pack_str(pack_t *self, bus_view_t text)
{
    assert(text.size <= UINT32_MAX);
    must(msgpack_pack_str(&self->packer, text.size));
    pack_raw(self, text);
}

void
pack_text(pack_t *self, const char *text)
{
    pack_str(self, view_from_text(text));
}

void
pack_bin(pack_t *self, bus_view_t bytes)
{
    assert(bytes.size <= UINT32_MAX);
    must(msgpack_pack_bin(&self->packer, bytes.size));
    pack_raw(self, bytes);
}

void
pack_array(pack_t *self, uint32_t count)
{
    must(msgpack_pack_array(&self->packer, count));
}

void
pack_map(pack_t *self, uint32_t count)
{
    must(msgpack_pack_map(&self->packer, count));
}

void
pack_raw(pack_t *self, bus_view_t value)
{
    must(write_bytes(&self->buffer, value.data, value.size));
}

// Returns the place of the head.
static size_t
begin_long(pack_t *self, char lead)
{
    const char head[LONG_HEAD_SIZE] = {lead};
    size_t place = self->buffer.size;
    pack_raw(self, view_from(head, sizeof(head)));
    return place;
}

size_t
pack_array_begin(pack_t *self)
{
    return begin_long(self, (char) 0xdd);
}

size_t
pack_map_begin(pack_t *self)
{
    return begin_long(self, (char) 0xdf);
}

void
pack_count(pack_t *self, size_t place, uint32_t count)
{
    assert(place + LONG_HEAD_SIZE <= self->buffer.size);
    uint8_t *head = (uint8_t *) self->buffer.data + place;
    assert(head[0] == 0xdd || head[0] == 0xdf);
    head[1] = (uint8_t) (count >> 24);
    head[2] = (uint8_t) (count >> 16);
    head[3] = (uint8_t) (count >> 8);
    head[4] = (uint8_t) count;
}

void
pack_pair_text(pack_t *self, const char *key, const char *value)
{
    pack_pair_str(self, key, view_from_text(value));
}

void
pack_pair_str(pack_t *self, const char *key, bus_view_t value)
{
    pack_text(self, key);
    if (value.data == NULL) {
        pack_nil(self);
    } else {
        pack_str(self, value);
    }
}

void
pack_pair_int(pack_t *self, const char *key, int64_t value)
{
    pack_text(self, key);
    pack_int(self, value);
}

void
pack_pair_uint(pack_t *self, const char *key, uint64_t value)
{
    pack_text(self, key);
    pack_uint(self, value);
}

void
pack_pair_real(pack_t *self, const char *key, double value)
{
    pack_text(self, key);
    pack_real(self, value);
}

void
pack_pair_bool(pack_t *self, const char *key, bool value)
{
    pack_text(self, key);
    pack_bool(self, value);
}

void
pack_pair_nil(pack_t *self, const char *key)
{
    pack_text(self, key);
    pack_nil(self);
}

void
pack_pair_raw(pack_t *self, const char *key, bus_view_t value)
{
    pack_text(self, key);
    pack_raw(self, value);
}

void
pack_pair_rfc3339(pack_t *self, const char *key, uint64_t time_us)
{
    char text[RFC3339_SIZE];
    rfc3339_format(time_us, text);
    pack_pair_text(self, key, text);
}

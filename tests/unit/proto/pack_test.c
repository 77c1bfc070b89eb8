// pack_test.c - known answers: the bytes of the msgpack specification.
#include "help.h"
#include "proto/pack.h"

#define assert_bytes(out, literal)                                                                 \
    do {                                                                                           \
        bus_view_t got_ = pack_view(out);                                                          \
        cr_assert_eq(                                                                              \
            got_.size, sizeof(literal) - 1, "%zu bytes, not %zu", got_.size, sizeof(literal) - 1); \
        cr_assert_eq(memcmp(got_.data, literal, got_.size), 0, "other bytes than %s", #literal);   \
        pack_clear(out);                                                                           \
    } while (0)

Test(pack, integers_take_their_smallest_form)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_int(out, 0);
    assert_bytes(out, "\x00");
    pack_int(out, 127);
    assert_bytes(out, "\x7f");
    pack_int(out, 128);
    assert_bytes(out, "\xcc\x80");
    pack_int(out, 256);
    assert_bytes(out, "\xcd\x01\x00");
    pack_int(out, 65536);
    assert_bytes(out, "\xce\x00\x01\x00\x00");
    pack_int(out, INT64_MAX);
    assert_bytes(out, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff");
    pack_int(out, -1);
    assert_bytes(out, "\xff");
    pack_int(out, -32);
    assert_bytes(out, "\xe0");
    pack_int(out, -33);
    assert_bytes(out, "\xd0\xdf");
    pack_int(out, -129);
    assert_bytes(out, "\xd1\xff\x7f");
    pack_int(out, -32769);
    assert_bytes(out, "\xd2\xff\xff\x7f\xff");
    pack_int(out, INT64_MIN);
    assert_bytes(out, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    pack_uint(out, UINT64_MAX);
    assert_bytes(out, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
}

Test(pack, a_float_is_always_float64)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_real(out, 1.0);
    assert_bytes(out, "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00");
}

Test(pack, nil_bool_and_text)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_nil(out);
    pack_bool(out, false);
    pack_bool(out, true);
    assert_bytes(out, "\xc0\xc2\xc3");
    pack_text(out, "");
    assert_bytes(out, "\xa0");
    pack_text(out, "abc");
    assert_bytes(out,
                 "\xa3"
                 "abc");
    pack_bin(out, VIEW_LITERAL("\x01\x02"));
    assert_bytes(out, "\xc4\x02\x01\x02");
}

Test(pack, text_heads_grow_with_the_text)
{
    static const struct {
        size_t size;
        uint8_t head[5];
        size_t head_size;
    } rows[] = {
        {31, {0xbf}, 1},
        {32, {0xd9, 32}, 2},
        {255, {0xd9, 0xff}, 2},
        {256, {0xda, 1, 0}, 3},
        {65535, {0xda, 0xff, 0xff}, 3},
        {65536, {0xdb, 0, 1, 0, 0}, 5},
    };
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    char *text = calloc(1, 65536);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pack_clear(out);
        pack_str(out, view_from(text, rows[i].size));
        cr_assert_eq(pack_view(out).size, rows[i].size + rows[i].head_size);
        cr_assert_eq(memcmp(pack_view(out).data, rows[i].head, rows[i].head_size), 0);
    }
    free(text);
}

Test(pack, container_heads_take_their_smallest_form)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_array(out, 15);
    assert_bytes(out, "\x9f");
    pack_array(out, 16);
    assert_bytes(out, "\xdc\x00\x10");
    pack_array(out, 65536);
    assert_bytes(out, "\xdd\x00\x01\x00\x00");
    pack_map(out, 15);
    assert_bytes(out, "\x8f");
    pack_map(out, 16);
    assert_bytes(out, "\xde\x00\x10");
    pack_map(out, 65536);
    assert_bytes(out, "\xdf\x00\x01\x00\x00");
}

Test(pack, a_count_can_be_written_at_the_end)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_nil(out);
    size_t map = pack_map_begin(out);
    pack_text(out, "a");
    size_t array = pack_array_begin(out);
    pack_int(out, 1);
    pack_int(out, 2);
    pack_count(out, array, 2);
    pack_count(out, map, 1);
    assert_bytes(out,
                 "\xc0\xdf\x00\x00\x00\x01\xa1"
                 "a"
                 "\xdd\x00\x00\x00\x02\x01\x02");
}

Test(pack, pairs_are_a_key_and_a_value)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_pair_text(out, "t", "x");
    pack_pair_str(out, "s", VIEW_NONE);
    pack_pair_int(out, "i", -1);
    pack_pair_uint(out, "u", 200);
    pack_pair_bool(out, "b", true);
    pack_pair_nil(out, "n");
    pack_pair_raw(out, "r", VIEW_LITERAL("\x90"));
    assert_bytes(out,
                 "\xa1t\xa1x\xa1s\xc0\xa1i\xff\xa1u\xcc\xc8\xa1"
                 "b\xc3\xa1n\xc0\xa1r\x90");
    pack_pair_real(out, "f", -0.0);
    assert_bytes(out,
                 "\xa1"
                 "f\xcb\x80\x00\x00\x00\x00\x00\x00\x00");
}

Test(pack, an_absent_text_of_a_pair_is_nil_and_an_empty_one_is_empty)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_pair_text(out, "t", NULL);
    assert_bytes(out, "\xa1t\xc0");
    pack_pair_str(out, "t", VIEW_LITERAL(""));
    assert_bytes(out, "\xa1t\xa0");
}

Test(pack, truncating_undoes_what_was_begun)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_text(out, "keep");
    size_t size = pack_view(out).size;
    pack_text(out, "forget");
    pack_truncate(out, size);
    assert_bytes(out, "\xa4keep");
}

Test(pack, grows_over_any_first_size)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    for (int i = 0; i < 300000; i++) {
        pack_int(out, i % 128);
    }
    bus_view_t bytes = pack_view(out);
    cr_assert_eq(bytes.size, 300000);
    for (int i = 0; i < 300000; i++) {
        cr_assert_eq(bytes.data[i], (char) (i % 128));
    }
}

Test(pack, destroying_sets_the_pointer_to_null)
{
    pack_t *out = pack_new();
    pack_destroy(&out);
    cr_assert_null(out);
    pack_destroy(&out);
}

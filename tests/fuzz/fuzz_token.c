// fuzz_token.c - any bytes as a file of tokens, and as a token: what is taken is written back the
// same, and nothing that was not made lets anybody in.
#include "runtime/token.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_view_t bytes = view_from((const char *) data, size);
    BUS_AUTO(token_list_destroy) token_list_t *list = token_list_new();
    size_t line = 0;
    unsigned products = 0;
    if (token_parse(bytes, list, &line) == BUS_OK) {
        BUS_AUTO(token_list_destroy) token_list_t *again = token_list_new();
        BUS_AUTO(text_destroy) text_t *once = text_new();
        BUS_AUTO(text_destroy) text_t *twice = text_new();
        token_format(list, once);
        bus_err_t err = token_parse(text_view(once), again, &line);
        assert(err == BUS_OK && again->count == list->count);
        token_format(again, twice);
        assert(view_equal(text_view(once), text_view(twice)));
        assert(token_check(list, bytes, 1) == NULL);
    } else {
        assert(list->count == 0 && line > 0);
    }
    if (token_products_parse(bytes, &products) == BUS_OK) {
        assert(products < 16);
    }
    assert(!token_role_is_legal(bytes) || memchr(data, '|', size) == NULL);
    return 0;
}

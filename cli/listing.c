// listing.c - see listing.h.
#include "listing.h"

#include "proto/walk.h"

static void
add_row(cli_table_t *cells, const cli_listing_t *self, bus_view_t item)
{
    for (size_t i = 0; i < self->column_count; ++i) {
        bus_view_t value;
        if (walk_find_path(item, self->keys[i], &value) == BUS_OK) {
            cli_table_add_value(cells, value);
        } else {
            cli_table_add(cells, VIEW_LITERAL("-"));
        }
    }
}

int
cli_listing_print(const cli_listing_t *self, cli_output_t *out, bus_view_t answer)
{
    bus_view_t list, item;
    walk_item_t head;
    if (walk_find(answer, self->list, &list) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "the answer has no %s", self->list);
    }
    cli_table_t cells;
    cli_table_init(&cells, self->titles, self->column_count);
    walk_t walk = walk_from(list);
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        for (uint32_t i = 0; i < head.count && walk_skip(&walk, &item) == BUS_OK; ++i) {
            if (out->format == CLI_FORMAT_LINE) {
                add_row(&cells, self, item);
            } else {
                cli_output_value(out, item);
            }
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&cells, out);
    }
    cli_table_clear(&cells);
    return CLI_DONE;
}

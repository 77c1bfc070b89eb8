// table.c - tables for a terminal: columns as wide as their widest cell. See output.h.
#include "output.h"

#include "proto/transcode.h"
#include "proto/walk.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2 }; // spaces between columns

void
cli_table_init(cli_table_t *self, const char *const *titles, size_t column_count)
{
    assert(column_count > 0 && column_count <= CLI_TABLE_COLUMNS_MAX);
    *self = (cli_table_t){.titles = titles, .column_count = column_count};
}

void
cli_table_clear(cli_table_t *self)
{
    for (size_t i = 0; i < self->cell_count; ++i) {
        free(self->cells[i]);
    }
    free(self->cells);
    *self = (cli_table_t){0};
}

void
cli_table_add(cli_table_t *self, bus_view_t cell)
{
    if (self->cell_count == self->cell_limit) {
        self->cell_limit = self->cell_limit == 0 ? 64 : self->cell_limit * 2;
        self->cells = realloc(self->cells, self->cell_limit * sizeof *self->cells);
        assert(self->cells);
    }
    char *copy = malloc(cell.size + 1);
    assert(copy);
    for (size_t i = 0; i < cell.size; ++i) {
        unsigned char byte = (unsigned char) cell.data[i];
        bool is_control = byte < 0x20 || byte == 0x7f;
        copy[i] = cell.data[i];
        if (is_control) {
            copy[i] = '?';
        }
    }
    copy[cell.size] = '\0';
    self->cells[self->cell_count++] = copy;
}

// A list of words, without what only JSON needs. False for anything else.
static bool
add_words(bus_view_t value, text_t *out)
{
    bus_view_t item;
    bus_view_t word;
    size_t count = 0;
    walk_items_t items = walk_items(value);
    while (walk_items_next(&items, &item)) {
        if (walk_as_str(item, &word) != BUS_OK) {
            text_clear(out);
            return false;
        }
        text_add(out, count++ == 0 ? VIEW_LITERAL("") : VIEW_LITERAL(", "));
        text_add(out, word);
    }
    return count > 0;
}

// A fraction with more digits than anybody reads: three are shown. False for anything else.
static bool
add_short(bus_view_t value, text_t *out)
{
    double number;
    walk_t walk = walk_from(value);
    walk_item_t item;
    bool is_float = walk_next(&walk, &item) == BUS_OK && item.type == WALK_FLOAT;
    if (!is_float || walk_as_real(value, &number) != BUS_OK || fabs(number) < 0.001 ||
        fabs(number) > 1e15 || fabs(number * 1000 - nearbyint(number * 1000)) < 1e-9) {
        return false;
    }
    text_add_format(out, "%.3f", number);
    return true;
}

void
cli_table_add_value(cli_table_t *self, bus_view_t value)
{
    bus_view_t text;
    if (walk_as_str(value, &text) == BUS_OK) {
        cli_table_add(self, text);
        return;
    }
    BUS_AUTO(text_destroy) text_t *shown = text_new();
    if (!add_words(value, shown) && !add_short(value, shown)) {
        transcode_to_json(value, 0, shown);
    }
    cli_table_add(self, text_view(shown));
}

// Columns on the screen of UTF-8 text: its characters, each taken as one wide.
static size_t
width_of(const char *text)
{
    size_t width = 0;
    for (const char *at = text; *at != '\0'; ++at) {
        width += ((unsigned char) *at & 0xc0) != 0x80;
    }
    return width;
}

static void
add_padded(text_t *out, const char *cell, size_t width, bool last)
{
    text_add(out, view_from_text(cell));
    if (last) {
        text_add(out, VIEW_LITERAL("\n"));
        return;
    }
    for (size_t i = width_of(cell); i < width + GAP; ++i) {
        text_add(out, VIEW_LITERAL(" "));
    }
}

void
cli_table_print(const cli_table_t *self, cli_output_t *out)
{
    assert(self->column_count > 0);
    size_t widths[CLI_TABLE_COLUMNS_MAX];
    for (size_t column = 0; column < self->column_count; ++column) {
        widths[column] = width_of(self->titles[column]);
    }
    for (size_t i = 0; i < self->cell_count; ++i) {
        size_t *widest = &widths[i % self->column_count];
        size_t width = width_of(self->cells[i]);
        *widest = width > *widest ? width : *widest;
    }
    for (size_t column = 0; column < self->column_count; ++column) {
        text_add(out->text, out->color ? VIEW_LITERAL("\033[1m") : VIEW_LITERAL(""));
        add_padded(
            out->text, self->titles[column], widths[column], column + 1 == self->column_count);
        text_add(out->text, out->color ? VIEW_LITERAL("\033[0m") : VIEW_LITERAL(""));
    }
    for (size_t i = 0; i < self->cell_count; ++i) {
        size_t column = i % self->column_count;
        add_padded(out->text, self->cells[i], widths[column], column + 1 == self->column_count);
    }
    cli_output_text(out);
}

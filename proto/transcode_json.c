// transcode_json.c - the two scalars of JSON that take thought: strings and doubles.
#include "transcode.h"
#include "walk.h"
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// A byte that may not stand in a JSON string as it is.
static void
add_escape(uint8_t byte, text_t *out)
{
    static const char short_escapes[] = {['\b'] = 'b',
                                         ['\t'] = 't',
                                         ['\n'] = 'n',
                                         ['\f'] = 'f',
                                         ['\r'] = 'r',
                                         ['"'] = '"',
                                         ['\\'] = '\\'};
    if (byte < sizeof(short_escapes) && short_escapes[byte] != 0) {
        const char escape[2] = {'\\', short_escapes[byte]};
        text_add(out, view_from(escape, sizeof(escape)));
    } else {
        text_add_format(out, "\\u%04x", byte);
    }
}

void
transcode_json_string(bus_view_t text, text_t *out)
{
    text_add(out, VIEW_LITERAL("\""));
    size_t done = 0; // bytes of `text` that are out
    while (done < text.size) {
        bus_view_t rest = view_from(text.data + done, text.size - done);
        size_t valid = walk_utf8_size(rest);
        size_t run = 0; // bytes of the valid ones that are out, or stand as they are
        for (size_t i = 0; i < valid; i++) {
            uint8_t byte = (uint8_t) rest.data[i];
            if (byte >= 0x20 && byte != '"' && byte != '\\') {
                continue;
            }
            text_add(out, view_from(rest.data + run, i - run));
            add_escape(byte, out);
            run = i + 1;
        }
        text_add(out, view_from(rest.data + run, valid - run));
        done += valid;
        if (done < text.size) {
            text_add(out, VIEW_LITERAL("\xef\xbf\xbd")); // U+FFFD in the place of each bad byte
            done++;
        }
    }
    text_add(out, VIEW_LITERAL("\""));
}

void
transcode_json_real(double value, text_t *out)
{
    if (!isfinite(value)) {
        text_add(out, VIEW_LITERAL("null"));
        return;
    }
    // Up to 15 digits survive any double of the normal range, and 17 always do. Below it fewer
    // digits carry the same bits.
    char digits[40];
    int precision = fabs(value) < DBL_MIN ? 1 : 15;
    for (; precision <= 17; precision++) {
        int size = snprintf(digits, sizeof(digits), "%.*g", precision, value);
        assert(size > 0 && (size_t) size < sizeof(digits));
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    // The locale's decimal point, whatever bytes it is, becomes a point.
    size_t whole = strspn(digits, "-0123456789");
    size_t point = strcspn(digits + whole, "0123456789e");
    text_add(out, view_from(digits, whole));
    if (point > 0) {
        text_add(out, VIEW_LITERAL("."));
    } else if (digits[whole] == '\0') {
        text_add(out, VIEW_LITERAL(".0"));
    }
    text_add(out, view_from_text(digits + whole + point));
}

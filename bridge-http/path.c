// path.c - splitting, matching and decoding a request's target.
#include "path.h"
#include "proto/walk.h"

static bus_view_t
find_byte(bus_view_t text, char byte, bus_view_t *ret_rest)
{
    const char *at = text.size == 0 ? NULL : memchr(text.data, byte, text.size);
    if (at == NULL) {
        *ret_rest = VIEW_NONE;
        return text;
    }
    size_t front = (size_t) (at - text.data);
    *ret_rest = view_from(at + 1, text.size - front - 1);
    return view_from(text.data, front);
}

static bus_view_t
without_authority(bus_view_t target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        bus_view_t scheme = view_from_text(schemes[i]);
        if (!view_starts(target, scheme)) {
            continue;
        }
        bus_view_t rest = view_from(target.data + scheme.size, target.size - scheme.size);
        const char *slash = rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
        return slash == NULL ? VIEW_LITERAL("/")
                             : view_from(slash, (size_t) (rest.data + rest.size - slash));
    }
    return target;
}

bridge_path_t
bridge_path_split(bus_view_t target)
{
    bridge_path_t result = {0};
    result.path = find_byte(without_authority(target), '?', &result.query);
    while (result.path.size > 1 && result.path.data[result.path.size - 1] == '/') {
        result.path.size--;
    }
    return result;
}

// The next segment of a path that begins with a slash, which is shortened by it.
static bool
next_segment(bus_view_t *path, bus_view_t *ret_segment)
{
    if (path->size == 0 || path->data[0] != '/') {
        return false;
    }
    bus_view_t rest = view_from(path->data + 1, path->size - 1);
    const char *slash = rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
    size_t size = slash == NULL ? rest.size : (size_t) (slash - rest.data);
    *ret_segment = view_from(rest.data, size);
    *path = view_from(rest.data + size, rest.size - size);
    return true;
}

bool
bridge_path_match(const char *pattern, bus_view_t path, bridge_path_params_t *ret_params)
{
    bus_view_t wanted = view_from_text(pattern);
    ret_params->count = 0;
    bus_view_t want, have;
    while (next_segment(&wanted, &want)) {
        if (!next_segment(&path, &have)) {
            return false;
        }
        bool is_param = want.size > 2 && want.data[0] == '{';
        if (!is_param && !view_equal(want, have)) {
            return false;
        }
        if (is_param && (have.size == 0 || ret_params->count == BRIDGE_PATH_PARAMS_MAX)) {
            return false;
        }
        if (is_param) {
            ret_params->at[ret_params->count++] = (bridge_path_param_t){
                .name = view_from(want.data + 1, want.size - 2), .value = have};
        }
    }
    return path.size == 0;
}

static int
hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool
bridge_path_has(const char *pattern, const char *name)
{
    size_t size = strlen(name);
    const char *at = strchr(pattern, '{');
    while (at != NULL && !(strncmp(at + 1, name, size) == 0 && at[1 + size] == '}')) {
        at = strchr(at + 1, '{');
    }
    return at != NULL;
}

bool
bridge_path_decode(bus_view_t value, bool form, char *ret_text, size_t *ret_size)
{
    size_t size = 0;
    for (size_t i = 0; i < value.size; i++) {
        int byte = (unsigned char) value.data[i];
        if (byte == '%') {
            bool whole = i + 2 < value.size;
            int high = whole ? hex_digit(value.data[i + 1]) : -1;
            int low = whole ? hex_digit(value.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = high * 16 + low;
            i += 2;
        } else if (byte == '+' && form) {
            byte = ' ';
        }
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
        ret_text[size++] = (char) byte;
    }
    *ret_size = size;
    return walk_utf8(view_from(ret_text, size));
}

bool
bridge_path_next_pair(bus_view_t *query, bus_view_t *ret_name, bus_view_t *ret_value)
{
    while (query->size > 0) {
        bus_view_t rest;
        bus_view_t pair = find_byte(*query, '&', &rest);
        *query = rest;
        if (pair.size == 0) {
            continue;
        }
        *ret_name = find_byte(pair, '=', ret_value);
        if (ret_value->data == NULL) {
            *ret_value = VIEW_LITERAL("");
        }
        return true;
    }
    return false;
}

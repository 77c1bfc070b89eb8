// rules_row.c - an access file: ZPL in, rows out, or a line that says what is wrong with it.
#include "rules_row.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "runtime/cert.h"
#include "runtime/file.h"
#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

bool
rules_row_word(bus_view_t *rest, bus_view_t *ret_word)
{
    static const char between[] = " \t,";
    const char *at = rest->data;
    const char *end = rest->data + rest->size;
    while (at < end && strchr(between, *at) != NULL) {
        at++;
    }
    const char *begin = at;
    while (at < end && strchr(between, *at) == NULL) {
        at++;
    }
    *ret_word = view_from(begin, (size_t) (at - begin));
    *rest = view_from(at, (size_t) (end - at));
    return ret_word->size > 0;
}

static bus_err_t problem(char reterr_problem[RULES_PROBLEM_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bus_err_t
problem(char reterr_problem[RULES_PROBLEM_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(reterr_problem, RULES_PROBLEM_SIZE, format, arguments);
    va_end(arguments);
    return BUS_INVALID_REQUEST;
}

// --- Checking ----------------------------------------------------------------------------------

static bool
is_row_name(const char *name)
{
    size_t size = strlen(name);
    bool is_prefix = size > 0 && name[size - 1] == '*';
    bus_view_t stem = view_from(name, size - is_prefix);
    return (is_prefix && size == 1) || cert_is_name(stem);
}

// Whether a word is a pattern once a name stands for {name}.
static bool
is_pattern(bus_view_t word, rules_right_t right)
{
    char plain[TOPIC_SIZE_MAX + 1] = "";
    size_t size = 0;
    const size_t own = sizeof(RULES_ROW_OWN_NAME) - 1;
    for (size_t i = 0; i < word.size && size < sizeof(plain); size++) {
        bool is_own = word.size - i >= own && memcmp(word.data + i, RULES_ROW_OWN_NAME, own) == 0;
        plain[size] = 'x';
        if (!is_own) {
            plain[size] = word.data[i];
        }
        i += is_own ? own : 1;
    }
    bool is_all = size == 1 && plain[0] == '>';
    bool has_star = memchr(plain, '*', size) != NULL;
    bool is_prefix_only = right == RULES_SUBSCRIBE || right == RULES_FETCH;
    return size < sizeof(plain) && (is_all || topic_pattern_is_legal(view_from(plain, size))) &&
           !(is_prefix_only && has_star);
}

// Whether any request can match: one without its `req.` would be a right that is never had.
static bool
is_of_requests(bus_view_t word)
{
    return view_is(word, ">") || view_is(word, "$bus.stats") || view_is(word, "$bus.peers") ||
           (word.size > 0 && word.data[0] == '*') ||
           (word.size > 4 && memcmp(word.data, "req.", 4) == 0);
}

static bus_err_t
check_right(const char *name, rules_right_t right, const char *text, char *reterr_problem)
{
    bus_view_t rest = view_from_text(text);
    bus_view_t word;
    size_t count = 0;
    while (rules_row_word(&rest, &word)) {
        if (!is_pattern(word, right)) {
            return problem(reterr_problem,
                           "%s: %s: `%.*s` is no pattern%s",
                           name,
                           rules_right_text(right),
                           (int) (word.size < 64 ? word.size : 64),
                           word.data,
                           memchr(word.data, '*', word.size) == NULL
                               ? ""
                               : ": what is heard and read is by prefix, * is for the others");
        }
        if (right == RULES_REQUEST && !is_of_requests(word)) {
            return problem(reterr_problem,
                           "%s: request: `%.*s` is nothing to ask: req. topics, $bus.stats, "
                           "$bus.peers",
                           name,
                           (int) (word.size < 64 ? word.size : 64),
                           word.data);
        }
        if (++count > RULES_PATTERNS_MAX) {
            return problem(reterr_problem,
                           "%s: %s: more than %d patterns",
                           name,
                           rules_right_text(right),
                           RULES_PATTERNS_MAX);
        }
    }
    return BUS_OK;
}

// Puts one `key = value` into its place.
static bus_err_t
take_pair(zconfig_t *pair, const char **name, const char **rights, char *reterr_problem)
{
    const char *key = zconfig_name(pair);
    const char *value = zconfig_value(pair);
    const char **place = strcmp(key, "name") == 0 ? name : NULL;
    for (int i = 0; i < RULES_RIGHTS && place == NULL; i++) {
        place = strcmp(key, rules_right_text((rules_right_t) i)) == 0 ? &rights[i] : NULL;
    }
    if (place == NULL) {
        return problem(
            reterr_problem,
            "`%.64s` is no key of a peer: name, publish, subscribe, request, fetch, serve",
            key);
    }
    if (*place != NULL || zconfig_child(pair) != NULL) {
        return problem(reterr_problem, "`%.64s` stands twice, or has something below it", key);
    }
    *place = value == NULL ? "" : value;
    return BUS_OK;
}

bus_err_t
rules_row_check(const char *name,
                const char *const rights[RULES_RIGHTS],
                char reterr_problem[RULES_PROBLEM_SIZE])
{
    bus_err_t err = BUS_OK;
    if (name == NULL || !is_row_name(name)) {
        err = problem(reterr_problem,
                      "a peer needs a name: that of a certificate, or its beginning and a *");
    }
    for (int i = 0; i < RULES_RIGHTS && err == BUS_OK; i++) {
        if (rights[i] != NULL) {
            err = check_right(name, (rules_right_t) i, rights[i], reterr_problem);
        }
    }
    return err;
}

static bus_err_t
take_peer(zconfig_t *peer, rules_row_fn *fn, void *arg, char *reterr_problem)
{
    const char *name = NULL;
    const char *rights[RULES_RIGHTS] = {NULL};
    if (strcmp(zconfig_name(peer), "peer") != 0) {
        return problem(reterr_problem, "`%.64s`: a file is of `peer` sections", zconfig_name(peer));
    }
    bus_err_t err = BUS_OK;
    for (zconfig_t *pair = zconfig_child(peer); pair != NULL && err == BUS_OK;
         pair = zconfig_next(pair)) {
        err = take_pair(pair, &name, rights, reterr_problem);
    }
    if (err == BUS_OK) {
        err = rules_row_check(name, rights, reterr_problem);
    }
    if (err == BUS_OK && fn != NULL && !fn(arg, name, rights)) {
        err = problem(reterr_problem, "more than %d rows", RULES_ROWS_MAX);
    }
    return err;
}

// --- Reading -----------------------------------------------------------------------------------

static bool
is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_./@", c) != NULL);
}

static const char *
skip_spaces(const char *at, const char *end)
{
    while (at < end && *at == ' ') {
        at++;
    }
    return at;
}

// Behind the `=`: "a value", or a word, then nothing, or a comment.
static bool
is_value(const char *at, const char *end)
{
    at = skip_spaces(at, end);
    const char *begin = at;
    bool is_quoted = at < end && *at == '"';
    if (is_quoted) {
        at = memchr(at + 1, '"', (size_t) (end - at - 1));
        at = at == NULL ? NULL : skip_spaces(at + 1, end);
        return at != NULL && (at == end || *at == '#');
    }
    while (at < end && *at != '"' && *at != '#') {
        at++;
    }
    return at > begin && (at == end || *at == '#');
}

// Whether a line is what a file may be made of. czmq says what it does not like on stdout, where
// nobody but we may speak, and reads on over a quote that is not closed: so it is not asked.
static bool
is_line(const char *at, const char *end, bool *has_peer)
{
    for (const char *c = at; c < end; c++) {
        if ((unsigned char) *c < ' ') {
            return false;
        }
    }
    const char *key = skip_spaces(at, end);
    if (key == end || *key == '#') {
        return true;
    }
    size_t indent = (size_t) (key - at);
    const char *rest = key;
    while (rest < end && is_key_char(*rest)) {
        rest++;
    }
    bool is_named = rest > key;
    rest = skip_spaces(rest, end);
    if (indent == 0) {
        *has_peer = true;
        return is_named && (rest == end || *rest == '#');
    }
    return is_named && indent == 4 && *has_peer && rest < end && *rest == '=' &&
           is_value(rest + 1, end);
}

// The first line that is wrong, from 1; 0: none.
static size_t
find_wrong_line(bus_view_t text)
{
    const char *at = text.data;
    const char *end = text.data + text.size;
    bool has_peer = false;
    for (size_t number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        stop = stop == NULL ? end : stop;
        if (!is_line(at, stop, &has_peer)) {
            return number;
        }
        at = stop == end ? end : stop + 1;
    }
    return 0;
}

// Whether an earlier section of the file has the same name: which of them counts would be a guess.
static bool
is_twice(zconfig_t *root, zconfig_t *peer)
{
    const char *name = zconfig_get(peer, "name", "");
    zconfig_t *other = zconfig_child(root);
    while (other != peer && strcmp(zconfig_get(other, "name", ""), name) != 0) {
        other = zconfig_next(other);
    }
    return other != peer;
}

bus_err_t
rules_row_parse(bus_view_t text,
                rules_row_fn *fn,
                void *arg,
                char reterr_problem[RULES_PROBLEM_SIZE])
{
    size_t wrong = find_wrong_line(text);
    if (wrong != 0) {
        return problem(
            reterr_problem, "line %zu: neither `peer` nor, 4 spaces in, `key = \"value\"`", wrong);
    }
    zchunk_t *chunk = zchunk_new(text.data, text.size);
    assert(chunk != NULL);
    zconfig_t *root = zconfig_chunk_load(chunk);
    zchunk_destroy(&chunk);
    if (root == NULL) {
        return problem(reterr_problem, "it is no ZPL");
    }
    bus_err_t err = BUS_OK;
    for (int pass = 0; pass < 2; pass++) { // all of it is checked before any is taken
        for (zconfig_t *peer = zconfig_child(root); peer != NULL && err == BUS_OK;
             peer = zconfig_next(peer)) {
            err = take_peer(peer, pass == 0 ? NULL : fn, arg, reterr_problem);
            if (err == BUS_OK && pass == 0 && is_twice(root, peer)) {
                err =
                    problem(reterr_problem, "`%.64s` has two rows", zconfig_get(peer, "name", ""));
            }
        }
    }
    zconfig_destroy(&root);
    return err;
}

bus_err_t
rules_row_read(const char *path,
               rules_row_fn *fn,
               void *arg,
               char ret_hash[SHA256_HEX_SIZE],
               char reterr_problem[RULES_PROBLEM_SIZE])
{
    ret_hash[0] = '\0';
    file_text_t file;
    bus_err_t err = file_read(path, RULES_FILE_SIZE_MAX, &file);
    if (err == BUS_NOT_FOUND) {
        return BUS_OK;
    }
    if (err == BUS_OK) {
        bus_view_t text = view_from(file.text, file.size);
        err = rules_row_parse(text, fn, arg, reterr_problem);
        sha256_hex(text, ret_hash);
        file_clear(&file);
    } else if (err == BUS_PAYLOAD_TOO_LARGE || err == BUS_INVALID_REQUEST) {
        err = problem(reterr_problem,
                      err == BUS_INVALID_REQUEST ? "it is no file" : "it is over 1 MiB");
    } else {
        (void) problem(reterr_problem, "cannot be read: %s", strerror(errno));
    }
    return err;
}

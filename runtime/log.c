// log.c - one line an event, built in a buffer of its own and written with one write.
//
// Nothing here allocates or locks, so a line can be written from any thread and at any moment; what
// does not fit is cut and marked. A line that cannot be written is lost: there is nobody to tell.
#include "log.h"
#include "clock.h"
#include "proto/rfc3339.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINE_SIZE_MAX = 4000,  // bytes: one write below PIPE_BUF does not mix with another process's
    VALUE_SIZE_MAX = 256,  // bytes of one value from outside
    PROGRAM_SIZE_MAX = 32, // bytes of the program's name, with its NUL
    BYTE_TEXT_SIZE = 4,    // "\xff"
};

static const char *const level_texts[] = {
    [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

// The process's: its name, written once at start, and the level.
static struct {
    char program[PROGRAM_SIZE_MAX];
    _Atomic int level; // of log_level_t
} state = {.program = "bhiv", .level = LOG_INFO};

void
log_start(const char *program)
{
    snprintf(state.program, sizeof(state.program), "%s", program);
    const char *text = getenv("BHIV_LOG_LEVEL");
    log_level_t level = LOG_INFO;
    if (text != NULL && *text != '\0' && !log_level_from_text(text, &level)) {
        char value[VALUE_SIZE_MAX];
        log_warning("log_level_unknown",
                    "value=%s using=info",
                    log_escape(view_from_text(text), value, sizeof(value)));
    }
    log_set_level(level);
}

void
log_set_level(log_level_t level)
{
    atomic_store_explicit(&state.level, (int) level, memory_order_relaxed);
}

bool
log_level_from_text(const char *text, log_level_t *ret_level)
{
    for (unsigned i = 0; i < sizeof(level_texts) / sizeof(level_texts[0]); i++) {
        if (strcmp(text, level_texts[i]) == 0) {
            *ret_level = (log_level_t) i;
            return true;
        }
    }
    return false;
}

// The letter behind the backslash for bytes that have one, or 0.
static char
escape_letter(unsigned char byte)
{
    switch (byte) {
    case '\n':
        return 'n';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return (char) byte;
    default:
        return 0;
    }
}

// Writes one byte as itself, as \n, \t, \" or \\, or as \xNN. Returns how many characters.
static size_t
escape_byte(unsigned char byte, char ret_text[BYTE_TEXT_SIZE])
{
    static const char hex_digits[] = "0123456789abcdef";
    char letter = escape_letter(byte);
    if (letter == 0 && byte >= 0x20 && byte < 0x7f) {
        ret_text[0] = (char) byte;
        return 1;
    }
    ret_text[0] = '\\';
    if (letter != 0) {
        ret_text[1] = letter;
        return 2;
    }
    ret_text[1] = 'x';
    ret_text[2] = hex_digits[byte >> 4];
    ret_text[3] = hex_digits[byte & 15];
    return BYTE_TEXT_SIZE;
}

// One line whatever its values are: control bytes that a caller did not escape become visible.
// Room for the newline is kept. Returns the line's size without it.
static size_t
make_visible(const char *text, size_t size, char *line, size_t at)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char) text[i];
        char escaped[BYTE_TEXT_SIZE];
        size_t more = 1;
        escaped[0] = text[i];
        if (byte < 0x20 || byte == 0x7f) {
            more = escape_byte(byte, escaped);
        }
        if (at + more >= LINE_SIZE_MAX - sizeof("...")) {
            memset(line + at, '.', 3);
            return at + 3;
        }
        memcpy(line + at, escaped, more);
        at += more;
    }
    return at;
}

void
log_line(log_level_t level, const char *id, const char *format, ...)
{
    if ((int) level > atomic_load_explicit(&state.level, memory_order_relaxed)) {
        return;
    }
    int caller_errno = errno;
    char line[LINE_SIZE_MAX];
    char text[LINE_SIZE_MAX];
    char time[RFC3339_SIZE];
    rfc3339_format(clock_wall_us(), time);
    int head = snprintf(
        line, sizeof(line) / 2, "%s %s %s %s", time, level_texts[level], state.program, id);
    size_t size = head < 0 ? 0 : (size_t) head;
    size = size < sizeof(line) / 2 ? size : sizeof(line) / 2 - 1;
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (wanted > 0) {
        size_t text_size = (size_t) wanted < sizeof(text) ? (size_t) wanted : sizeof(text) - 1;
        line[size++] = ' ';
        size = make_visible(text, text_size, line, size);
    }
    line[size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void) written;
    errno = caller_errno;
}

static bool
is_plain(bus_view_t value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char byte = (unsigned char) value.data[i];
        if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '=') {
            return false;
        }
    }
    return value.size > 0;
}

const char *
log_escape(bus_view_t value, char *ret_text, size_t size)
{
    if (size < sizeof("\"...\"")) { // no room for any value
        if (size > 0) {
            ret_text[0] = '\0';
        }
        return ret_text;
    }
    if (value.size <= VALUE_SIZE_MAX && value.size < size && is_plain(value)) {
        memcpy(ret_text, value.data, value.size);
        ret_text[value.size] = '\0';
        return ret_text;
    }
    size_t kept = value.size < VALUE_SIZE_MAX ? value.size : VALUE_SIZE_MAX;
    size_t at = 0;
    size_t done = 0;
    ret_text[at++] = '"';
    for (; done < kept; done++) {
        char escaped[BYTE_TEXT_SIZE];
        size_t more = escape_byte((unsigned char) value.data[done], escaped);
        if (at + more + sizeof("...\"") > size) {
            break;
        }
        memcpy(ret_text + at, escaped, more);
        at += more;
    }
    if (done < value.size) {
        memset(ret_text + at, '.', 3);
        at += 3;
    }
    ret_text[at++] = '"';
    ret_text[at] = '\0';
    return ret_text;
}

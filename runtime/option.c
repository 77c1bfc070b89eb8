// option.c - a table of options becomes argp's, is read from presets, environment and flags, and
// becomes a page.
//
// One function sets a field from a text, whoever gave the text; where it is wrong, the giver
// decides what that means: 64 (EX_USAGE) for the command line, 78 (EX_CONFIG) for the environment,
// an assertion for a preset, which is ours. The environment's fault is told after the flags were
// read, so that --help always works.
#include "option.h"
#include <argp.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sysexits.h>

enum {
    ROWS_MAX = 64,            // options of one program: more do not fit a person's head
    KEY_WITHOUT_LETTER = 256, // argp's keys for rows that have none: above every character
    ENVIRONMENT_NAME_SIZE = 80,
    PROBLEM_SIZE = 256,
    FAULT_SIZE = 512, // a problem, and the variable that has it
};

typedef struct {
    const option_table_t *table;
    void *options;      // the caller's struct
    const char **words; // the caller's
    unsigned word_count;
} parse_t;

typedef struct {
    const char *suffix;
    uint64_t factor;
} unit_t;

static const unit_t byte_units[] = {
    {"", 1}, {"k", 1ULL << 10}, {"m", 1ULL << 20}, {"g", 1ULL << 30}, {"t", 1ULL << 40}};
static const unit_t ms_units[] = {
    {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const unit_t count_units[] = {{"", 1}};

// --- Values -------------------------------------------------------------------------------------

static bus_err_t
parse_number(const char *text, const unit_t *units, size_t unit_count, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *at = text;
    while (*at >= '0' && *at <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t) (*at - '0'), &value)) {
            return BUS_VALIDATION_FAILED;
        }
        at++;
    }
    if (at == text) {
        return BUS_VALIDATION_FAILED;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcasecmp(at, units[i].suffix) == 0) {
            return __builtin_mul_overflow(value, units[i].factor, ret_value) ? BUS_VALIDATION_FAILED
                                                                             : BUS_OK;
        }
    }
    return BUS_VALIDATION_FAILED;
}

static bus_err_t
parse_flag(const char *text, uint64_t *ret_value)
{
    static const char *const words[] = {"0", "1", "no", "yes", "false", "true", "off", "on"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret_value = i % 2;
            return BUS_OK;
        }
    }
    return BUS_VALIDATION_FAILED;
}

bus_err_t
option_value(option_type_t type, const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    bus_err_t err = BUS_VALIDATION_FAILED;
    switch (type) {
    case OPTION_FLAG:
        err = parse_flag(text, &value);
        break;
    case OPTION_TEXT:
        break; // a text is no number
    case OPTION_COUNT:
        err = parse_number(text, count_units, 1, &value);
        break;
    case OPTION_BYTES:
        err = parse_number(text, byte_units, sizeof(byte_units) / sizeof(unit_t), &value);
        break;
    case OPTION_MS:
        err = parse_number(text, ms_units, sizeof(ms_units) / sizeof(unit_t), &value);
        break;
    }
    if (err == BUS_OK) {
        *ret_value = value;
    }
    return err;
}

static const char *
describe(option_type_t type)
{
    switch (type) {
    case OPTION_FLAG:
        return "1, true, yes or on, or 0, false, no or off";
    case OPTION_TEXT:
        return "a text";
    case OPTION_COUNT:
        return "a whole number";
    case OPTION_BYTES:
        return "bytes: a whole number, with k, m, g or t behind it for powers of 1024";
    case OPTION_MS:
        return "a time: a whole number with ms, s, m, h or d behind it";
    }
    return "";
}

// Sets the row's field. BUS_VALIDATION_FAILED, with `problem` saying what is expected.
static bus_err_t
set_field(const option_row_t *row, const char *text, void *options, char problem[PROBLEM_SIZE])
{
    char *field = (char *) options + row->offset;
    if (row->type == OPTION_TEXT) {
        memcpy(field, &text, sizeof(text));
        return BUS_OK;
    }
    uint64_t value = 0;
    bus_err_t err = option_value(row->type, text, &value);
    if (err != BUS_OK) {
        snprintf(problem, PROBLEM_SIZE, "expected %s", describe(row->type));
        return err;
    }
    if (row->type == OPTION_FLAG) {
        bool flag = value != 0;
        memcpy(field, &flag, sizeof(flag));
        return BUS_OK;
    }
    if (value < row->min) {
        snprintf(problem, PROBLEM_SIZE, "at least %llu", (unsigned long long) row->min);
        return BUS_VALIDATION_FAILED;
    }
    if (row->max != 0 && value > row->max) {
        snprintf(problem, PROBLEM_SIZE, "at most %llu", (unsigned long long) row->max);
        return BUS_VALIDATION_FAILED;
    }
    memcpy(field, &value, sizeof(value));
    return BUS_OK;
}

static void
environment_name(const option_row_t *row, char ret_name[ENVIRONMENT_NAME_SIZE])
{
    int size = snprintf(ret_name, ENVIRONMENT_NAME_SIZE, "BHIV_%s", row->name);
    assert(size > 0 && size < ENVIRONMENT_NAME_SIZE);
    for (char *at = ret_name; *at != '\0'; at++) {
        *at = (char) (*at == '-' ? '_' : toupper((unsigned char) *at));
    }
}

static void
set_presets(const option_table_t *table, void *options)
{
    for (size_t i = 0; i < table->row_count; i++) {
        const option_row_t *row = &table->rows[i];
        char problem[PROBLEM_SIZE];
        if (row->preset != NULL) {
            bus_err_t err = set_field(row, row->preset, options, problem);
            assert(err == BUS_OK);
        }
    }
}

// An empty variable counts as unset. Says the first fault in `fault`, which is "" where none is.
static void
set_from_environment(const option_table_t *table, void *options, char fault[FAULT_SIZE])
{
    fault[0] = '\0';
    for (size_t i = 0; i < table->row_count; i++) {
        char name[ENVIRONMENT_NAME_SIZE];
        char problem[PROBLEM_SIZE];
        environment_name(&table->rows[i], name);
        const char *text = getenv(name);
        if (text == NULL || *text == '\0') {
            continue;
        }
        bus_err_t err = set_field(&table->rows[i], text, options, problem);
        if (err != BUS_OK && fault[0] == '\0') {
            snprintf(fault, FAULT_SIZE, "%s=%.99s: %s", name, text, problem);
        }
    }
}

// --- argp ---------------------------------------------------------------------------------------

static __attribute__((noreturn, format(printf, 2, 3))) void
refuse(const option_table_t *table, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", table->program);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "; see --help\n");
    va_end(arguments);
    exit(EX_USAGE);
}

static int
key_of(const option_table_t *table, size_t index)
{
    char letter = table->rows[index].letter;
    return letter != 0 ? letter : KEY_WITHOUT_LETTER + (int) index;
}

static const option_row_t *
row_of(const option_table_t *table, int key)
{
    for (size_t i = 0; i < table->row_count; i++) {
        if (key_of(table, i) == key) {
            return &table->rows[i];
        }
    }
    return NULL;
}

static error_t
on_key(int key, char *argument, struct argp_state *state)
{
    parse_t *self = state->input;
    const option_table_t *table = self->table;
    if (key == ARGP_KEY_ARG) {
        if (self->word_count == table->arguments_max) {
            refuse(table, "one argument too many: %s", argument);
        }
        self->words[self->word_count++] = argument;
        return 0;
    }
    if (key == ARGP_KEY_END && self->word_count < table->arguments_min) {
        refuse(table, "an argument is missing: %s", table->arguments);
    }
    const option_row_t *row = row_of(table, key);
    if (row == NULL) {
        return ARGP_ERR_UNKNOWN;
    }
    char problem[PROBLEM_SIZE];
    const char *text = row->type == OPTION_FLAG ? "1" : argument;
    if (set_field(row, text, self->options, problem) != BUS_OK) {
        refuse(table, "--%s %s: %s", row->name, text, problem);
    }
    return 0;
}

// The help of one row, with its default and its twin.
static void
add_row_help(const option_row_t *row, text_t *out)
{
    char name[ENVIRONMENT_NAME_SIZE];
    environment_name(row, name);
    text_add_format(out, "%s (", row->help);
    if (row->preset != NULL) {
        text_add_format(out, "default %s; ", row->preset);
    }
    text_add_format(out, "%s)", name);
}

void
option_parse(const option_table_t *table,
             int argc,
             char **argv,
             void *ret_options,
             const char **ret_words,
             unsigned *ret_word_count)
{
    assert(table->row_count <= ROWS_MAX && argc >= 1);
    char fault[FAULT_SIZE];
    set_presets(table, ret_options);
    set_from_environment(table, ret_options, fault);

    struct argp_option options[ROWS_MAX + 1] = {0};
    text_t *helps[ROWS_MAX] = {0};
    for (size_t i = 0; i < table->row_count; i++) {
        helps[i] = text_new();
        add_row_help(&table->rows[i], helps[i]);
        options[i] = (struct argp_option){.name = table->rows[i].name,
                                          .key = key_of(table, i),
                                          .arg = table->rows[i].argument,
                                          .doc = text_view(helps[i]).data};
    }
    struct argp argp = {
        .options = options, .parser = on_key, .args_doc = table->arguments, .doc = table->help};
    parse_t parse = {.table = table, .options = ret_options, .words = ret_words};
    // getopt puts the words behind the flags in place, and names the program by argv[0].
    char **arguments = calloc((size_t) argc + 1, sizeof(*arguments));
    assert(arguments != NULL);
    memcpy(arguments, argv, (size_t) argc * sizeof(*arguments));
    arguments[0] = (char *) (uintptr_t) table->program;
    error_t error = argp_parse(&argp, argc, arguments, 0, NULL, &parse); // it exits on a bad flag
    free(arguments);
    for (size_t i = 0; i < table->row_count; i++) {
        text_destroy(&helps[i]);
    }
    if (error != 0) {
        refuse(table, "%s", strerror(error));
    }
    if (fault[0] != '\0') {
        fprintf(stderr, "%s: %s\n", table->program, fault);
        exit(EX_CONFIG);
    }
    if (ret_word_count != NULL) {
        *ret_word_count = parse.word_count;
    }
}

// --- The page -----------------------------------------------------------------------------------

// A cell of a table: a bar would end it.
static void
add_cell(text_t *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        text_add_format(out, *at == '|' ? "\\%c" : "%c", *at);
    }
}

static void
add_row(const option_row_t *row, text_t *out)
{
    char name[ENVIRONMENT_NAME_SIZE];
    environment_name(row, name);
    text_add_format(out, "| ");
    if (row->letter != 0) {
        text_add_format(out, "`-%c`, ", row->letter);
    }
    text_add_format(out, "`--%s", row->name);
    if (row->argument != NULL) {
        text_add_format(out, "=");
        add_cell(out, row->argument);
    }
    text_add_format(out, "` | `%s` | ", name);
    if (row->preset != NULL) {
        text_add_format(out, "`");
        add_cell(out, row->preset);
        text_add_format(out, "`");
    }
    text_add_format(out, " | ");
    add_cell(out, row->help);
    text_add_format(out, " |\n");
}

void
option_document(const option_table_t *table, text_t *out)
{
    const char *after = strchr(table->help, '\v');
    size_t before_size = after != NULL ? (size_t) (after - table->help) : strlen(table->help);
    text_add_format(out, "## `%s`\n\n", table->program);
    text_add(out, view_from(table->help, before_size));
    text_add_format(out, "\n\n    %s [OPTION...]", table->program);
    if (*table->arguments != '\0') {
        text_add_format(out, " %s", table->arguments);
    }
    text_add_format(out, "\n\n");
    if (table->row_count > 0) {
        text_add_format(out, "| Option | Environment | Default | Meaning |\n|---|---|---|---|\n");
    }
    for (size_t i = 0; i < table->row_count; i++) {
        add_row(&table->rows[i], out);
    }
    if (after != NULL) {
        text_add_format(out, "\n%s\n", after + 1);
    }
}

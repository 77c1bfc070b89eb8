// setting.c - variables of the environment, read by tables. See setting.h.
#include "setting.h"

#include "log.h"
#include "option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEM_SIZE = 96 };

const char *
setting_text(const char *variable)
{
    const char *text = getenv(variable);
    return text == NULL || text[0] == '\0' ? NULL : text;
}

bus_err_t
setting_refuse(const char *variable, const char *problem)
{
    log_error("config_refused", "variable=%s problem=%s", variable, problem);
    return BUS_VALIDATION_FAILED;
}

static void
set_field(const setting_row_t *row, double value, void *settings)
{
    char *field = (char *) settings + row->offset;
    int64_t count = (int64_t) value;
    bool flag = value != 0;
    switch (row->type) {
    case SETTING_REAL:
        memcpy(field, &value, sizeof value);
        break;
    case SETTING_COUNT:
        memcpy(field, &count, sizeof count);
        break;
    case SETTING_FLAG:
        memcpy(field, &flag, sizeof flag);
        break;
    }
}

static bool
parse_real(const char *text, double *ret_value)
{
    char *end = NULL;
    errno = 0;
    *ret_value = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0';
}

static bool
parse(const setting_row_t *row, const char *text, double *ret_value)
{
    uint64_t number = 0;
    bool is_read = false;
    switch (row->type) {
    case SETTING_REAL:
        is_read = parse_real(text, ret_value);
        break;
    case SETTING_COUNT:
        is_read = option_value(OPTION_COUNT, text, &number) == BUS_OK;
        *ret_value = (double) number;
        break;
    case SETTING_FLAG:
        is_read = option_value(OPTION_FLAG, text, &number) == BUS_OK;
        *ret_value = (double) number;
        return is_read;
    }
    return is_read && *ret_value >= row->min && *ret_value <= row->max; // NaN is neither
}

static bus_err_t
refuse(const setting_row_t *row)
{
    char problem[PROBLEM_SIZE];
    const char *kind = row->type == SETTING_COUNT ? "whole_number" : "number";
    if (row->type == SETTING_FLAG) {
        return setting_refuse(row->variable, "want_true_or_false");
    }
    (void) snprintf(
        problem, sizeof problem, "want_a_%s_from_%.10g_to_%.10g", kind, row->min, row->max);
    return setting_refuse(row->variable, problem);
}

bus_err_t
setting_read(const setting_row_t *rows, size_t count, void *ret_settings)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = setting_text(rows[i].variable);
        double value = rows[i].preset;
        if (text != NULL && !parse(&rows[i], text, &value)) {
            return refuse(&rows[i]);
        }
        set_field(&rows[i], value, ret_settings);
    }
    return BUS_OK;
}

void
setting_presets(const setting_row_t *rows, size_t count, void *ret_settings)
{
    for (size_t i = 0; i < count; i++) {
        set_field(&rows[i], rows[i].preset, ret_settings);
    }
}

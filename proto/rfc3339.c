// rfc3339.c - RFC 3339 both ways.
//
// Days are computed, not asked of libc: gmtime and timegm take locks, and the parser must know
// which dates do not exist. The calendar is the proleptic Gregorian one, counted from 1970-01-01.
#include "rfc3339.h"
#include <assert.h>
#include <stdio.h>

enum {
    DAYS_PER_ERA = 146097, // 400 years, after which the calendar repeats
    DAYS_TO_1970 = 719468, // from 0000-03-01
};

static const uint64_t SECOND_US = 1000000;
static const int64_t DAY_S = 86400;

typedef struct {
    int64_t year;
    unsigned month; // 1 to 12
    unsigned day;   // 1 to 31
} date_t;

// Years begin in March here, so that the leap day is a year's last.
static date_t
date_from_days(uint64_t days_since_1970)
{
    uint64_t days = days_since_1970 + DAYS_TO_1970;
    uint64_t era = days / DAYS_PER_ERA;
    uint64_t day_of_era = days % DAYS_PER_ERA;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month = (5 * day_of_year + 2) / 153; // 0 is March
    return (date_t){
        .year = (int64_t) (year_of_era + era * 400 + (month >= 10)),
        .month = (unsigned) (month < 10 ? month + 3 : month - 9),
        .day = (unsigned) (day_of_year - (153 * month + 2) / 5 + 1),
    };
}

static int64_t
days_from_date(date_t date)
{
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month = date.month > 2 ? (int64_t) date.month - 3 : (int64_t) date.month + 9;
    int64_t day_of_year = (153 * month + 2) / 5 + (int64_t) date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

void
rfc3339_format(uint64_t time_us, char ret_text[RFC3339_SIZE])
{
    uint64_t seconds = time_us / SECOND_US;
    unsigned second = (unsigned) (seconds % (uint64_t) DAY_S);
    date_t date = date_from_days(seconds / (uint64_t) DAY_S);
    int size = snprintf(ret_text,
                        RFC3339_SIZE,
                        "%04lld-%02u-%02uT%02u:%02u:%02u.%06uZ",
                        (long long) date.year,
                        date.month,
                        date.day,
                        second / 3600,
                        second / 60 % 60,
                        second % 60,
                        (unsigned) (time_us % SECOND_US));
    assert(size > 0 && size < RFC3339_SIZE); // the year 586524 is the last that 64 bits hold
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static unsigned
days_in_month(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

// Each take_* reads from the front of *rest and moves it on; false where it does not fit.
static bool
take_char(bus_view_t *rest, const char *any_of)
{
    if (rest->size == 0 || rest->data[0] == '\0' || strchr(any_of, rest->data[0]) == NULL) {
        return false;
    }
    *rest = view_from(rest->data + 1, rest->size - 1);
    return true;
}

static bool
take_number(bus_view_t *rest, size_t digits, unsigned max, unsigned *ret_value)
{
    if (rest->size < digits) {
        return false;
    }
    unsigned value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (!is_digit(rest->data[i])) {
            return false;
        }
        value = value * 10 + (unsigned) (rest->data[i] - '0');
    }
    if (value > max) {
        return false;
    }
    *rest = view_from(rest->data + digits, rest->size - digits);
    *ret_value = value;
    return true;
}

static bool
take_date(bus_view_t *rest, date_t *ret_date)
{
    unsigned year = 0;
    if (!take_number(rest, 4, 9999, &year) || !take_char(rest, "-") ||
        !take_number(rest, 2, 12, &ret_date->month) || !take_char(rest, "-") ||
        !take_number(rest, 2, 31, &ret_date->day)) {
        return false;
    }
    ret_date->year = year;
    return ret_date->month >= 1 && ret_date->day >= 1 &&
           ret_date->day <= days_in_month(year, ret_date->month);
}

// What is finer than a microsecond is cut off.
static bool
take_fraction(bus_view_t *rest, unsigned *ret_us)
{
    *ret_us = 0;
    if (!take_char(rest, ".,")) {
        return true;
    }
    size_t digits = 0;
    unsigned unit_us = (unsigned) SECOND_US;
    while (digits < rest->size && is_digit(rest->data[digits])) {
        unit_us /= 10;
        *ret_us += unit_us * (unsigned) (rest->data[digits] - '0');
        digits++;
    }
    *rest = view_from(rest->data + digits, rest->size - digits);
    return digits > 0;
}

// Z, ±hh:mm, ±hhmm, ±hh, or nothing, up to the end of the text.
static bool
take_offset(bus_view_t *rest, int64_t *ret_offset_s)
{
    *ret_offset_s = 0;
    if (rest->size == 0) {
        return true;
    }
    if (take_char(rest, "Zz")) {
        return rest->size == 0;
    }
    int64_t sign = rest->data[0] == '-' ? -1 : 1;
    unsigned hours = 0;
    unsigned minutes = 0;
    if (!take_char(rest, "+-") || !take_number(rest, 2, 23, &hours)) {
        return false;
    }
    bool colon = take_char(rest, ":");
    if ((colon || rest->size > 0) && !take_number(rest, 2, 59, &minutes)) {
        return false;
    }
    *ret_offset_s = sign * ((int64_t) hours * 3600 + (int64_t) minutes * 60);
    return rest->size == 0;
}

bus_err_t
rfc3339_parse(bus_view_t text, uint64_t *ret_time_us)
{
    bus_view_t rest = text;
    date_t date = {0};
    unsigned hour = 0;
    unsigned minute = 0;
    unsigned second = 0;
    unsigned fraction_us = 0;
    int64_t offset_s = 0;
    if (text.data == NULL || !take_date(&rest, &date) || !take_char(&rest, "Tt ") ||
        !take_number(&rest, 2, 23, &hour) || !take_char(&rest, ":") ||
        !take_number(&rest, 2, 59, &minute) || !take_char(&rest, ":") ||
        !take_number(&rest, 2, 60, &second) || !take_fraction(&rest, &fraction_us) ||
        !take_offset(&rest, &offset_s)) {
        return BUS_VALIDATION_FAILED;
    }
    bool leap = second == 60;
    if (leap) {
        second = 59;
        fraction_us = (unsigned) SECOND_US - 1;
    }
    int64_t seconds = days_from_date(date) * DAY_S + (int64_t) hour * 3600 + (int64_t) minute * 60 +
                      (int64_t) second - offset_s;
    static const int64_t year_10000_s = 253402300800;
    if (seconds < 0 || seconds >= year_10000_s) {
        return BUS_VALIDATION_FAILED;
    }
    if (leap && seconds % DAY_S != DAY_S - 1) {
        return BUS_VALIDATION_FAILED; // a day has its leap second at its end, in UTC
    }
    *ret_time_us = (uint64_t) seconds * SECOND_US + fraction_us;
    return BUS_OK;
}

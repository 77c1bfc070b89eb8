// who_test.c - what is another among certificates and rules is noted.
#include "broker/who.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char dir[32];
    grant_log_t *grants;
    who_t *who;
} place_t;

static place_t
make_place(void)
{
    place_t place = {.dir = "/tmp/bhiv-who-XXXXXX"};
    cr_assert_not_null(mkdtemp(place.dir));
    cr_assert_eq(cert_make(place.dir, CERT_BROKER), BUS_OK);
    place.grants = grant_log_new();
    return place;
}

static void
remove_place(place_t *place)
{
    char command[64];
    who_destroy(&place->who);
    grant_log_destroy(&place->grants);
    (void) snprintf(command, sizeof(command), "rm -r %s", place->dir);
    cr_assert_eq(system(command), 0);
}

static bus_err_t
load(place_t *place, bool with_rules)
{
    char problem[RULES_PROBLEM_SIZE] = "";
    if (place->who == NULL) {
        place->who = who_new(place->dir, place->grants);
    }
    return who_load(place->who, NULL, NULL, with_rules, problem);
}

static void
write_rules(const place_t *place, const char *text)
{
    char path[64];
    (void) snprintf(path, sizeof(path), "%s/access.zpl", place->dir);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static grant_t
next(place_t *place)
{
    const grant_t *grant = grant_log_next(place->grants, 1, true);
    cr_assert_not_null(grant);
    grant_t taken = *grant;
    grant_log_done(place->grants);
    return taken;
}

static void
expect(place_t *place, grant_kind_t kind, const char *name)
{
    grant_t grant = next(place);
    cr_assert_str_eq(grant_kind_text(grant.kind), grant_kind_text(kind));
    cr_assert_str_eq(grant.name, name);
}

static void
expect_nothing(place_t *place)
{
    cr_assert_null(grant_log_next(place->grants, 1, true));
}

Test(who, says_at_a_start_how_many_are_known_and_a_hash_that_is_theirs)
{
    place_t place = make_place();
    grant_t first[3];
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(load(&place, false), BUS_OK);
        first[i] = next(&place);
        cr_assert_eq(first[i].kind, GRANT_CERTIFICATES_KNOWN);
        expect(&place, GRANT_RULES_LOADED, "access.zpl");
        expect_nothing(&place);
        who_destroy(&place.who);
        if (i == 1) {
            cr_assert_eq(cert_make(place.dir, "agent_a"), BUS_OK);
        }
    }
    cr_assert(first[0].count == 1 && first[2].count == 2);
    cr_assert_str_eq(first[0].hash, first[1].hash);
    cr_assert_str_neq(first[1].hash, first[2].hash);
    remove_place(&place);
}

Test(who, names_what_was_added_revoked_and_replaced)
{
    place_t place = make_place();
    const char *const names[] = {"agent_a", "agent_b", "agent_c"};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(cert_make(place.dir, names[i]), BUS_OK);
    }
    cr_assert_eq(load(&place, false), BUS_OK);
    (void) next(&place);
    (void) next(&place);
    cr_assert_eq(cert_revoke(place.dir, "agent_a"), BUS_OK);
    cr_assert_eq(cert_revoke(place.dir, "agent_b"), BUS_OK);
    cr_assert_eq(cert_make(place.dir, "agent_b"), BUS_OK);
    cr_assert_eq(cert_make(place.dir, "agent_d"), BUS_OK);
    cr_assert_eq(load(&place, false), BUS_OK);
    expect(&place, GRANT_CERTIFICATE_REVOKED, "agent_a");
    expect(&place, GRANT_CERTIFICATE_REPLACED, "agent_b");
    expect(&place, GRANT_CERTIFICATE_ADDED, "agent_d");
    expect_nothing(&place);
    cr_assert_eq(load(&place, false), BUS_OK);
    expect_nothing(&place);
    remove_place(&place);
}

Test(who, names_the_rows_that_are_others_when_the_rules_are_read)
{
    place_t place = make_place();
    write_rules(&place, "peer\n    name = \"monitor\"\n    subscribe = \"core.\"\n");
    cr_assert_eq(load(&place, false), BUS_OK);
    (void) next(&place);
    grant_t rules = next(&place);
    cr_assert(rules.kind == GRANT_RULES_LOADED && rules.count == 1);
    cr_assert_str_eq(rules.subject, "monitor", "the one that is not as it was shipped");
    cr_assert_eq(strlen(rules.hash), 64);
    cr_assert_eq(load(&place, false), BUS_OK);
    expect_nothing(&place);
    cr_assert_eq(load(&place, true), BUS_OK);
    grant_t same = next(&place);
    cr_assert(same.kind == GRANT_RULES_LOADED && same.count == 0);
    cr_assert_str_eq(same.hash, rules.hash);
    write_rules(&place, "peer\n    name = \"other_*\"\n    subscribe = \"core.\"\n");
    cr_assert_eq(load(&place, false), BUS_OK);
    expect_nothing(&place);
    cr_assert_eq(load(&place, true), BUS_OK);
    grant_t now = next(&place);
    cr_assert_eq(now.count, 2);
    cr_assert_str_eq(now.subject, "monitor other_*");
    write_rules(&place, "nonsense");
    cr_assert_eq(load(&place, true), BUS_INVALID_REQUEST);
    cr_assert_eq(load(&place, false), BUS_OK);
    expect_nothing(&place);
    remove_place(&place);
}

Test(who, more_names_of_rows_than_fit_end_in_dots)
{
    place_t place = make_place();
    cr_assert_eq(load(&place, false), BUS_OK);
    (void) next(&place);
    (void) next(&place);
    char file[4096] = "";
    for (int i = 0; i < 40; i++) {
        size_t size = strlen(file);
        (void) snprintf(file + size, sizeof(file) - size, "peer\n    name = \"row-%02d\"\n", i);
    }
    write_rules(&place, file);
    cr_assert_eq(load(&place, true), BUS_OK);
    grant_t rules = next(&place);
    cr_assert_eq(rules.count, 40);
    cr_assert_eq(strncmp(rules.subject, "row-00 row-01 ", 14), 0);
    size_t size = strlen(rules.subject);
    cr_assert_lt(size, sizeof(rules.subject));
    cr_assert_str_eq(rules.subject + size - 4, " ...");
    remove_place(&place);
}

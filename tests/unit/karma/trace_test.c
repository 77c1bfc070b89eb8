// trace_test.c - what became of records: those that Karma keeps, and those alone.
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>

Test(trace, tells_what_became_of_the_records_that_are_asked_for)
{
    help_t *help = help_new();
    help_act(help, "asha", "helping_peers");
    uint64_t first = help->seq;
    help_act(help, "ben", "cheat");
    char json[80];
    (void) snprintf(json,
                    sizeof json,
                    "{\"seqs\":[%llu,%llu,%llu]}",
                    (unsigned long long) help->seq,
                    (unsigned long long) first,
                    (unsigned long long) help->seq + 1);
    cr_assert_eq(help_ask(help, "applied", json), BUS_OK);
    cr_expect_null(strstr(help_text(help->answer), "ben"), "who is not said");
    const char *cheat = strstr(help_text(help->answer), "\"action\":\"cheat\"");
    const char *helping = strstr(help_text(help->answer), "\"action\":\"helping_peers\"");
    cr_assert_not_null(cheat);
    cr_assert_not_null(helping);
    cr_expect_lt(cheat, helping, "in the order of the question");
    cr_expect_null(strstr(helping, "\"seq\""), "no third");
    cr_expect_not_null(strstr(helping, "\"token\":\"SevaPoints\""));
    help_destroy(&help);
}

Test(trace, refuses_what_is_no_seq)
{
    help_t *help = help_new();
    cr_expect_eq(help_ask(help, "applied", "{\"seqs\":[0]}"), BUS_VALIDATION_FAILED);
    cr_expect_eq(help_ask(help, "applied", "{\"seqs\":[true]}"), BUS_VALIDATION_FAILED);
    cr_expect_eq(help_ask(help, "applied", "{\"seqs\":[]}"), BUS_OK);
    help_destroy(&help);
}

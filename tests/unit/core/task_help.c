// task_help.c - see task_help.h.
#include "task_help.h"

#include "core/ask.h"
#include "core/show.h"

#include <stdio.h>

bus_err_t
task_help_ask(help_t *help, const char *json)
{
    text_clear(help->late);
    text_clear(help->sent);
    return help_ask(help, core_ask_task, &SCHEMA_handle_task, json);
}

void
task_help_holds(const text_t *text, const char *words)
{
    cr_assert_not_null(
        strstr(text_view(text).data, words), "%s\nis not in\n%s", words, text_view(text).data);
}

void
task_help_lacks(const text_t *text, const char *words)
{
    cr_assert_null(
        strstr(text_view(text).data, words), "%s\nis in\n%s", words, text_view(text).data);
}

unsigned
task_help_times(const text_t *text, const char *words)
{
    unsigned count = 0;
    for (const char *at = strstr(text_view(text).data, words); at != NULL;
         at = strstr(at + 1, words)) {
        count++;
    }
    return count;
}

static const char *
learned(help_t *help, const char *agent)
{
    static char line[256];
    char start[100];
    cr_assert_eq(help_ask(help, core_show_rl, NULL, "{}"), BUS_OK);
    snprintf(start, sizeof start, "{\"agent_id\":\"%s\"", agent);
    const char *at = strstr(help_text(help->answer), start);
    cr_assert_not_null(at, "%s", help_text(help->answer));
    snprintf(line, sizeof line, "%.*s", (int) strcspn(at, "}"), at);
    return line;
}

void
task_help_has_learned(help_t *help, const char *agent, const char *words)
{
    const char *line = learned(help, agent);
    cr_assert_not_null(strstr(line, words), "%s\nis not in\n%s", words, line);
}

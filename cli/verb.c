// verb.c - a word behind a command: `bhiv karma show`. A command with verbs does what its own flags
// say where no word is among them.
#include "cli.h"

#include <stdlib.h>
#include <string.h>

// Whether a row that `flag` (without dashes, perhaps abbreviated) names takes a value.
static bool
takes_value(const option_table_t *options, const char *flag, bool is_letter)
{
    for (size_t i = 0; i < options->row_count; ++i) {
        const option_row_t *row = &options->rows[i];
        bool is_it = is_letter ? row->letter != 0 && row->letter == flag[0]
                               : strncmp(row->name, flag, strlen(flag)) == 0;
        if (is_it && row->type != OPTION_FLAG) {
            return true;
        }
    }
    return false;
}

// Whether the word behind `flag` is its value.
static bool
has_value_behind(const cli_command_t *command, const char *flag)
{
    bool is_letter = flag[1] != '-';
    if (is_letter ? flag[2] != '\0' : strchr(flag, '=') != NULL) {
        return false; // it is in the same word
    }
    const char *name = flag + (is_letter ? 1 : 2);
    bool takes = takes_value(command->options, name, is_letter);
    for (size_t i = 0; command->verbs[i] != NULL && !takes; ++i) {
        takes = takes_value(command->verbs[i]->options, name, is_letter);
    }
    return takes;
}

// The place of the first word that is neither a flag nor a flag's value; 0: there is none.
static int
find_word(const cli_command_t *command, int argc, char **argv)
{
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--") == 0) {
            return i + 1 < argc ? i + 1 : 0;
        }
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            return i;
        }
        if (has_value_behind(command, argv[i])) {
            ++i;
        }
    }
    return 0;
}

static int
no_verb(const cli_command_t *command, const char *word)
{
    BUS_AUTO(text_destroy) text_t *names = text_new();
    for (size_t i = 0; command->verbs[i] != NULL; ++i) {
        text_add_format(names, "%s%s", i == 0 ? "" : ", ", command->verbs[i]->name);
    }
    return cli_fail(CLI_USAGE,
                    "%s has no verb `%s` (%.*s); see bhiv %s --help",
                    command->name,
                    word,
                    (int) text_view(names).size,
                    text_view(names).data,
                    command->name);
}

int
cli_verb_run(const cli_command_t *command, int argc, char **argv)
{
    int at = command->verbs == NULL ? 0 : find_word(command, argc, argv);
    if (at == 0) {
        return command->run(argc, argv);
    }
    for (size_t i = 0; command->verbs[i] != NULL; ++i) {
        const cli_command_t *verb = command->verbs[i];
        if (strcmp(verb->name, argv[at]) == 0) {
            memmove(
                &argv[at], &argv[at + 1], (size_t) (argc - at) * sizeof argv[0]); // its NULL too
            argv[0] = (char *) (uintptr_t) verb->name;
            return verb->run(argc - 1, argv);
        }
    }
    return no_verb(command, argv[at]);
}

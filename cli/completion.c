// completion.c - `bhiv completion`: a script that teaches a shell our verbs, flags and topics.
//
// Printed from the same tables that parse the command line, so it cannot be out of date.
#include "cli.h"

#include "proto/text.h"
#include "proto/topic.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    {"name", 0, OPTION_TEXT, "NAME", "bhiv", offsetof(flags_t, name), 0, 0,
     "the program's name in this shell, where it has another"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv completion",
    .arguments = "bash|zsh|fish",
    .help = "Prints a completion script for a shell.\v"
            "  source <(bhiv completion bash)\n"
            "  bhiv completion zsh > ~/.zfunc/_bhiv\n"
            "  bhiv completion fish > ~/.config/fish/completions/bhiv.fish",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

// Text between single quotes of any of the shells. `colon`: also what zsh takes for a separator.
static void
add_quoted(text_t *out, const char *text, bool colon)
{
    for (const char *at = text; *at != '\0'; ++at) {
        if (*at == '\'') {
            text_add(out, VIEW_LITERAL("'\\''"));
        } else if (colon && strchr(":[]\\", *at) != NULL) {
            text_add_format(out, "\\%c", *at);
        } else {
            text_add(out, view_from(at, 1));
        }
    }
}

static bool
takes_topic(const cli_command_t *command)
{
    return strncmp(command->options->arguments, "TOPIC", 5) == 0 ||
           strstr(command->options->arguments, "PATTERN") != NULL;
}

static bool
has_flag(const cli_command_t *command, const char *name)
{
    for (size_t row = 0; row < command->options->row_count; ++row) {
        if (strcmp(command->options->rows[row].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void
add_verbs(text_t *out, const cli_command_t *command)
{
    for (size_t i = 0; command->verbs[i] != NULL; ++i) {
        text_add_format(out, "%s%s", i == 0 ? "" : " ", command->verbs[i]->name);
    }
}

static bool
is_shown(const cli_command_t *command)
{
    return command->group != CLI_GROUP_HIDDEN;
}

static void
add_topics(text_t *out)
{
    for (size_t i = 0; i < topic_row_count; ++i) {
        if (topic_rows[i].class_ != TOPIC_INBOX && topic_rows[i].class_ != TOPIC_BUS) {
            text_add_format(out, " %s", topic_rows[i].prefix);
        }
    }
}

// --- bash --------------------------------------------------------------------------------------

// Their flags beside the command's own, inside its quotes, and they themselves as words.
static void
add_bash_verbs(text_t *out, const cli_command_t *command)
{
    if (command->verbs == NULL) {
        return;
    }
    for (size_t i = 0; command->verbs[i] != NULL; ++i) {
        const option_table_t *options_of = command->verbs[i]->options;
        for (size_t row = 0; row < options_of->row_count; ++row) {
            if (!has_flag(command, options_of->rows[row].name)) {
                text_add_format(out, " --%s", options_of->rows[row].name);
            }
        }
    }
    text_add(out, VIEW_LITERAL("' words='"));
    add_verbs(out, command);
}

static void
add_bash(text_t *out, const char *name)
{
    text_add_format(out,
                    "# bash completion of bhiv\n"
                    "_bhiv() {\n"
                    "    local word=\"${COMP_WORDS[COMP_CWORD]}\" flags='' words='' topics='");
    add_topics(out);
    text_add_format(out, "'\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='help");
    for (size_t i = 0; i < cli_command_count; ++i) {
        if (is_shown(cli_commands[i])) {
            text_add_format(out, " %s", cli_commands[i]->name);
        }
    }
    text_add_format(out, "'\n    fi\n    case \"${COMP_WORDS[1]}\" in\n");
    for (size_t i = 0; i < cli_command_count; ++i) {
        const cli_command_t *command = cli_commands[i];
        if (!is_shown(command)) {
            continue;
        }
        text_add_format(out, "    %s) flags='--help", command->name);
        for (size_t row = 0; row < command->options->row_count; ++row) {
            text_add_format(out, " --%s", command->options->rows[row].name);
        }
        add_bash_verbs(out, command);
        text_add_format(out, "'%s;;\n", takes_topic(command) ? " words=$topics " : " ");
    }
    text_add_format(out,
                    "    esac\n"
                    "    [ \"$COMP_CWORD\" -eq 1 ] || case \"$word\" in -*) words=$flags ;; esac\n"
                    "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                    "}\n"
                    "complete -o default -F _bhiv %s\n",
                    name);
}

// --- zsh ---------------------------------------------------------------------------------------

static void
add_zsh_flags(text_t *out, const cli_command_t *command)
{
    for (size_t row = 0; row < command->options->row_count; ++row) {
        const option_row_t *option = &command->options->rows[row];
        bool takes_value = option->type != OPTION_FLAG;
        text_add_format(out, " \\\n        '--%s%s[", option->name, takes_value ? "=" : "");
        add_quoted(out, option->help, true);
        text_add(out, VIEW_LITERAL("]"));
        if (takes_value) {
            bool is_folder = strcmp(option->name, "dir") == 0;
            text_add_format(out, ":%s:%s", option->argument, is_folder ? "_files -/" : "");
        }
        text_add(out, VIEW_LITERAL("'"));
    }
}

static void
add_zsh(text_t *out, const char *name)
{
    text_add_format(out,
                    "#compdef %s\n# zsh completion of bhiv\n_bhiv() {\n"
                    "    local -a verbs topics\n    topics=(",
                    name);
    add_topics(out);
    text_add_format(out, " )\n    verbs=(\n");
    for (size_t i = 0; i < cli_command_count; ++i) {
        if (is_shown(cli_commands[i])) {
            text_add_format(out, "        '%s:", cli_commands[i]->name);
            add_quoted(out, cli_commands[i]->summary, true);
            text_add_format(out, "'\n");
        }
    }
    text_add_format(out,
                    "    )\n    if (( CURRENT == 2 )); then\n"
                    "        _describe 'command' verbs\n        return\n    fi\n"
                    "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n"
                    "    case $verb in\n");
    for (size_t i = 0; i < cli_command_count; ++i) {
        if (!is_shown(cli_commands[i])) {
            continue;
        }
        text_add_format(out, "    %s) _arguments '--help[says more]'", cli_commands[i]->name);
        add_zsh_flags(out, cli_commands[i]);
        text_add(out, VIEW_LITERAL(" \\\n        "));
        if (cli_commands[i]->verbs != NULL) {
            text_add(out, VIEW_LITERAL("'*:verb:("));
            add_verbs(out, cli_commands[i]);
            text_add(out, VIEW_LITERAL(")' ;;\n"));
            continue;
        }
        bool has_topic = takes_topic(cli_commands[i]);
        text_add_format(out, "%s ;;\n", has_topic ? "\"*:topic:($topics)\"" : "'*:file:_files'");
    }
    text_add_format(out, "    esac\n}\n_bhiv \"$@\"\n");
}

// --- fish --------------------------------------------------------------------------------------

static void
add_fish(text_t *out, const char *name)
{
    text_add_format(out, "# fish completion of bhiv\n");
    for (size_t i = 0; i < cli_command_count; ++i) {
        const cli_command_t *command = cli_commands[i];
        if (!is_shown(command)) {
            continue;
        }
        text_add_format(
            out, "complete -c %s -f -n __fish_use_subcommand -a %s -d '", name, command->name);
        add_quoted(out, command->summary, false);
        text_add_format(out, "'\n");
        for (size_t row = 0; row < command->options->row_count; ++row) {
            const option_row_t *option = &command->options->rows[row];
            text_add_format(out,
                            "complete -c %s -n '__fish_seen_subcommand_from %s' -l %s%s -d '",
                            name,
                            command->name,
                            option->name,
                            option->type == OPTION_FLAG ? "" : " -r");
            add_quoted(out, option->help, false);
            text_add_format(out, "'\n");
        }
        if (command->verbs != NULL) {
            text_add_format(out,
                            "complete -c %s -f -n '__fish_seen_subcommand_from %s' -a '",
                            name,
                            command->name);
            add_verbs(out, command);
            text_add_format(out, "'\n");
        }
        if (takes_topic(command)) {
            text_add_format(out,
                            "complete -c %s -n '__fish_seen_subcommand_from %s' -a '",
                            name,
                            command->name);
            add_topics(out);
            text_add_format(out, "'\n");
        }
    }
}

static int
run(int argc, char **argv)
{
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, words, &word_count);
    if (!topic_is_legal(view_from_text(flags.name), NULL)) { // letters, digits, dots, _ and -
        return cli_fail(CLI_USAGE, "--name: `%s` is no name for a program", flags.name);
    }
    BUS_AUTO(text_destroy) text_t *out = text_new();
    if (strcmp(words[0], "bash") == 0) {
        add_bash(out, flags.name);
    } else if (strcmp(words[0], "zsh") == 0) {
        add_zsh(out, flags.name);
    } else if (strcmp(words[0], "fish") == 0) {
        add_fish(out, flags.name);
    } else {
        return cli_fail(CLI_USAGE, "`%s` is none of bash, zsh, fish", words[0]);
    }
    bus_view_t script = text_view(out);
    (void) fwrite(script.data, 1, script.size, stdout); // main flushes, and sees a failure
    return CLI_DONE;
}

const cli_command_t cli_completion = {
    .name = "completion",
    .summary = "print a completion script for bash, zsh or fish",
    .group = CLI_GROUP_OTHER,
    .options = &options,
    .run = run,
};

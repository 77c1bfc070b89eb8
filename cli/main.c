// main.c - the program `bhiv`: a table of verbs, and the page that lists them.
#include "cli.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WORD_MAX = 16, // longer words are not compared with commands
    SLIPS_MAX = 2  // letters that a mistyped command may be off
};

// In the order of `bhiv --help`.
const cli_command_t *const cli_commands[] = {
    &cli_up,          &cli_part_broker,   &cli_part_bucket,
    &cli_part_karma,  &cli_part_core,     &cli_part_workflow,
    &cli_part_htm,    &cli_part_brain,    &cli_part_kernel,
    &cli_part_bridge, &cli_pub,           &cli_sub,
    &cli_req,         &cli_tail,          &cli_stats,
    &cli_peers,       &cli_topics,        &cli_trace,
    &cli_bench,       &cli_bench_bare,    &cli_backup,
    &cli_restore,     &cli_check,         &cli_audit,
    &cli_keys,        &cli_token,         &cli_kb,
    &cli_stress,      &cli_stress_worker, &cli_stress_check,
    &cli_completion,  &cli_docs,          &cli_version,
};
const size_t cli_command_count = sizeof cli_commands / sizeof cli_commands[0];

static const char *const group_titles[] = {
    [CLI_GROUP_RUN] = "Running",
    [CLI_GROUP_TALK] = "Talking",
    [CLI_GROUP_LOOK] = "Looking",
    [CLI_GROUP_KEEP] = "Keeping",
    [CLI_GROUP_OTHER] = "The program",
};

// The command with this name, or NULL.
static const cli_command_t *
find_command(const char *name)
{
    for (size_t i = 0; i < cli_command_count; ++i) {
        if (strcmp(cli_commands[i]->name, name) == 0) {
            return cli_commands[i];
        }
    }
    return NULL;
}

static size_t
least(size_t a, size_t b, size_t c)
{
    size_t less = a < b ? a : b;
    return less < c ? less : c;
}

// How many letters to change, add or leave out make `b` of `a`; WORD_MAX where either is longer.
static size_t
distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size >= WORD_MAX || b_size >= WORD_MAX) {
        return WORD_MAX;
    }
    size_t row[WORD_MAX];
    for (size_t j = 0; j <= b_size; ++j) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; ++j) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_size];
}

// Says so, with the nearest that there is.
static int
no_command(const char *word)
{
    const char *nearest = NULL;
    size_t best = SLIPS_MAX + 1;
    for (size_t i = 0; i < cli_command_count; ++i) {
        size_t slips = distance(word, cli_commands[i]->name);
        bool is_likely = cli_commands[i]->name[0] == word[0]; // the first letter is seldom wrong
        bool is_nearer = slips < best || (slips == best && nearest != NULL && is_likely);
        if (cli_commands[i]->group != CLI_GROUP_HIDDEN && is_nearer) {
            best = slips;
            nearest = cli_commands[i]->name;
        }
    }
    if (nearest == NULL) {
        return cli_fail(CLI_USAGE, "no command `%s`; see bhiv --help", word);
    }
    return cli_fail(CLI_USAGE, "no command `%s`: did you mean %s? see bhiv --help", word, nearest);
}

static void
print_help(FILE *out)
{
    fputs("Usage: bhiv COMMAND [OPTION...] [ARGUMENT...]\n"
          "A governed message bus for agents, its services, and the tools to use it.\n",
          out);
    for (cli_group_t group = CLI_GROUP_RUN; group < CLI_GROUP_HIDDEN; ++group) {
        fprintf(out, "\n%s\n", group_titles[group]);
        for (size_t i = 0; i < cli_command_count; ++i) {
            if (cli_commands[i]->group == group) {
                fprintf(out, "  %-11s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
            }
        }
    }
    fputs("\nA first try, in three terminals:\n"
          "  bhiv up\n"
          "  bhiv sub 'core.event.>'\n"
          "  bhiv pub core.event.note --ack \\\n"
          "    '{\"requester_id\":\"bhiv_core\",\"event_type\":\"note\",\"text\":\"hello\"}'\n"
          "\n`bhiv COMMAND --help` says more. Every flag has a twin in the environment: --dir is\n"
          "BHIV_DIR. BHIV_LOG_LEVEL is error, warning, info or debug.\n"
          "\nExit status: 0 done, 1 a negative answer, 64 usage, 65 bad data, 66 not found,\n"
          "69 nobody answers, 74 I/O, 75 try again, 77 refused, 78 configuration, 124 timeout,\n"
          "130 interrupted.\n",
          out);
}

// `bhiv help`, `bhiv help pub`.
static int
run_help(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return CLI_DONE;
    }
    const cli_command_t *command = find_command(argv[1]);
    if (command == NULL) {
        return no_command(argv[1]);
    }
    char help[] = "--help";
    bool has_verb = argc > 2 && command->verbs != NULL;
    char *words[] = {argv[1], help, has_verb ? argv[2] : NULL, NULL};
    return cli_verb_run(command, has_verb ? 3 : 2, words);
}

static int
run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        return run_help(argc - 1, argv + 1);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        word = "version";
    }
    const cli_command_t *command = find_command(word);
    if (command == NULL) {
        return no_command(word);
    }
    return cli_verb_run(command, argc - 1, argv + 1);
}

// Whether whoever read our stdout has gone, which is their business and no error to speak of.
static bool
is_reader_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int
main(int argc, char **argv)
{
    int status = run(argc, argv);
    bool is_written = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (!is_written && (status == CLI_DONE || status == CLI_IO)) {
        status = is_reader_gone() ? CLI_IO : cli_fail(CLI_IO, "cannot write to stdout");
    }
    return status;
}

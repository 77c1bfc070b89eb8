// keys_cert.c - `bhiv keys cert`: a certificate for a peer that speaks over tcp, or the end of one.
#include "keys.h"
#include "secure.h"

#include "broker/rules.h"
#include "broker/zap.h"
#include "runtime/cert.h"
#include "runtime/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { TAKEN_MS = 1000 }; // what a broker that is busy needs; one that was killed takes nothing

typedef struct {
    const char *dir;
    const char *parts;
    bool revoke;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, offsetof(flags_t, dir), 0, 0,
     "the system's folder; default ~/.local/state/bhiv"},
    {"revoke", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, revoke), 0, 0,
     "ends it: the broker cuts who uses it, and lets it in no more"},
    {"parts", 0, OPTION_TEXT, "FOLDER", NULL, offsetof(flags_t, parts), 0, 0,
     "hands out what changed, as `bhiv keys init --parts` does"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv keys cert",
    .arguments = "NAME",
    .help =
        "Makes a CURVE certificate, with which a peer speaks to the broker over tcp as NAME: "
        "DIR/certs/NAME.cert is its public half, NAME.cert_secret the secret one. A broker "
        "that runs in DIR knows it when this ends. The broker's own is named `broker`. A name that "
        "DIR/access.zpl and the built-in rules do not know may do nothing.\v"
        "  bhiv keys cert broker && bhiv broker --secure --bus-bind 0.0.0.0\n"
        "  bhiv keys cert agent_translator\n"
        "  bhiv keys cert agent_translator --revoke\n\n"
        "A peer elsewhere needs its NAME.cert_secret and the broker.cert, in one folder: "
        "--cert FILE.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
end(const cli_dir_t *dir, const char *name)
{
    bus_err_t err = cert_revoke(dir->path, name);
    if (err == BUS_NOT_FOUND) {
        return cli_fail(CLI_NOT_FOUND, "no certificate of %s in %s/certs", name, dir->path);
    }
    if (err != BUS_OK) {
        return cli_fail(CLI_IO, "cannot remove %s's certificate: %s", name, strerror(errno));
    }
    printf("revoked %s\n", name);
    return CLI_DONE;
}

// A certificate alone lets nobody do anything: better said now than by the first refusal.
static void
note_without_rules(const cli_dir_t *dir, const char *name)
{
    char path[CLI_PATH_SIZE];
    char problem[RULES_PROBLEM_SIZE];
    BUS_AUTO(rules_destroy) rules_t *rules = NULL;
    if (strcmp(name, CERT_BROKER) == 0 || cli_dir_join(dir, "access.zpl", path) != CLI_DONE ||
        rules_load(path, &rules, problem) != BUS_OK) {
        return; // the broker says what is wrong with the file
    }
    rules_set_t *set = rules_of(rules, view_from_text(name));
    bool has_any = false;
    for (int i = 0; i < RULES_RIGHTS; i++) {
        has_any = has_any || rules_has(set, (rules_right_t) i);
    }
    rules_set_destroy(&set);
    if (!has_any) {
        fprintf(stderr, "bhiv: %s may do nothing yet: give it a row in %s\n", name, path);
    }
}

static int
make(const cli_dir_t *dir, const char *name)
{
    bus_err_t err = cert_make(dir->path, name);
    if (err == BUS_CONFLICT) {
        return cli_fail(CLI_NEGATIVE, "%s has a certificate; --revoke ends that one", name);
    }
    if (err != BUS_OK) {
        return cli_fail(CLI_IO, "cannot write %s/certs: %s", dir->path, strerror(errno));
    }
    printf("%s/" CERT_FOLDER "/%s" CERT_SUFFIX "\n", dir->path, name);
    note_without_rules(dir, name);
    return CLI_DONE;
}

// Until the broker that runs in this folder, if one does, has let the name in, or out.
static void
wait_for_broker(const cli_dir_t *dir, const char *name, bool is_in)
{
    char leaf[CERT_NAME_MAX + 32];
    char folder[CLI_PATH_SIZE];
    char path[CLI_PATH_SIZE];
    (void) snprintf(leaf, sizeof leaf, ZAP_FOLDER "/%s" CERT_SUFFIX, name);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    bool is_there = watch >= 0 && cli_dir_join(dir, ZAP_FOLDER, folder) == CLI_DONE &&
                    cli_dir_join(dir, leaf, path) == CLI_DONE &&
                    inotify_add_watch(watch, folder, IN_CLOSE_WRITE | IN_DELETE) >= 0;
    uint64_t until_ms = clock_boot_ms() + TAKEN_MS;
    uint64_t now_ms = clock_boot_ms();
    while (is_there && now_ms < until_ms && (access(path, F_OK) == 0) != is_in) {
        char events[4096];
        struct pollfd readable = {.fd = watch, .events = POLLIN};
        (void) poll(&readable, 1, (int) (until_ms - now_ms));
        while (read(watch, events, sizeof events) > 0) {
        }
        now_ms = clock_boot_ms();
    }
    if (watch >= 0) {
        close(watch);
    }
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    const char *names[1] = {NULL};
    unsigned name_count = 0;
    option_parse(&options, argc, argv, &flags, names, &name_count);
    const char *name = names[0];
    if (!cert_is_name(view_from_text(name))) {
        return cli_fail(CLI_USAGE,
                        "a name has 1 to 64 of A-Z a-z 0-9 _ -, and begins with no _ or -");
    }
    cli_dir_t dir;
    int status = cli_dir_make(flags.dir, &dir);
    if (status != CLI_DONE) {
        return status;
    }
    status = flags.revoke ? end(&dir, name) : make(&dir, name);
    if (status == CLI_DONE && flags.parts != NULL) {
        status = cli_secure_hand_out(&dir, flags.parts);
    }
    if (status == CLI_DONE) {
        wait_for_broker(&dir, name, !flags.revoke);
    }
    return status;
}

const cli_command_t cli_keys_cert = {
    .name = "cert",
    .summary = "make or revoke a peer's CURVE certificate",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};

// hints.c - see hints.h.
#include "hints.h"

#include "runtime/cert.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXAMPLE "scripts/examples/subscribe.py" // in a checkout

// The words that call this program: its name where it is installed, else its path, from here where
// it lies below.
static void
find_program(char ret_program[CLI_PATH_SIZE])
{
    char path[CLI_PATH_SIZE];
    char here[CLI_PATH_SIZE];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    path[size < 0 ? 0 : size] = '\0';
    const char *slash = strrchr(path, '/');
    size_t folder_size = slash == NULL ? 0 : (size_t) (slash - path);
    bool is_installed = folder_size >= 4 && strncmp(slash - 4, "/bin", 4) == 0;
    const char *program = path;
    if (slash == NULL || is_installed) {
        program = slash == NULL ? "bhiv" : slash + 1;
    } else if (getcwd(here, sizeof here) != NULL) {
        size_t here_size = strlen(here);
        if (strncmp(path, here, here_size) == 0 && path[here_size] == '/') {
            program = strchr(path + here_size + 1, '/') == NULL ? path : path + here_size + 1;
        }
    }
    snprintf(ret_program, CLI_PATH_SIZE, "%s", program);
}

void
cli_hints_add(const cli_hints_t *self, text_t *text)
{
    char program[CLI_PATH_SIZE];
    find_program(program);
    const char *flag = self->dir == NULL ? "" : " --dir ";
    const char *dir = self->dir == NULL ? "" : self->dir;
    text_add(text, VIEW_LITERAL("In another shell:\n"));
    text_add_format(text, "    %s sub 'core.>'%s%s\n", program, flag, dir);
    if (self->host != NULL) {
        text_add_format(text,
                        "    curl -s http://%s:%u/core/write-event -d '{\"requester_id\":"
                        "\"bhiv_core\",\"event_data\":{\"event_type\":\"agent_result\","
                        "\"agent_id\":\"me\",\"user_id\":\"me\",\"result\":{\"status\":200}}}'\n"
                        "    curl -s http://%s:%u/api/v1/karma/me\n",
                        self->host,
                        self->bucket_port,
                        self->host,
                        self->karma_port);
    }
    text_add_format(text, "    %s stats%s%s\n", program, flag, dir);
    if (access(EXAMPLE, F_OK) == 0) {
        text_add_format(text,
                        "    %s%s%s/usr/bin/python3 " EXAMPLE " core.event.\n",
                        self->dir == NULL ? "" : "BHIV_DIR=",
                        dir,
                        self->dir == NULL ? "" : " ");
    }
}

static bool
is_there(const cli_dir_t *dir, const char *name)
{
    char path[CLI_PATH_SIZE];
    return cli_dir_join(dir, name, path) == CLI_DONE && access(path, F_OK) == 0;
}

void
cli_hints_add_token(const cli_dir_t *dir, text_t *text)
{
    if (!is_there(dir, "tokens")) {
        text_add_format(text,
                        "HTTP asks for a token, and there is none yet. Make one:\n"
                        "    bhiv token create --dir %s -r bhiv_core -p gurukul -e 30d\n",
                        dir->path);
    }
}

void
cli_hints_add_open(const cli_dir_t *dir, text_t *text)
{
    if (is_there(dir, CERT_FOLDER "/" CERT_BROKER CERT_SUFFIX)) {
        text_add_format(text,
                        "%s has certificates, but this is open: whoever is on this machine may do "
                        "anything. To ask for certificates and tokens: bhiv up --secure\n",
                        dir->path);
    }
}

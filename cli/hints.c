// hints.c - see hints.h.
#include "hints.h"

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

// stress_env.c - see stress_env.h.
#include "stress_env.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

// What of ours would make the instance another than the drill's, or do work for it: an instance is
// on loopback, has all parts that its drill asked for, and drills nothing by itself.
static const char *const dropped[] = {
    "BHIV_DIR",
    "BHIV_PORT_BASE",
    "BHIV_HTTP_BIND",
    "BHIV_ALLOW_ANONYMOUS",
    "BHIV_ONLY",
    "BHIV_WITHOUT",
    "BHIV_HINTS",
    "BHIV_INGRESS",
    "BHIV_EGRESS",
    "BHIV_CERT",
    "BHIV_SECURE",
    "BHIV_TOKENS",
    "BHIV_TLS_CERT",
    "BHIV_TLS_KEY",
    "BHIV_BUS_BIND",
    "BHIV_BUS_IN",
    "BHIV_BUS_OUT",
    "BHIV_STRESS_DEPTH",
};

static const char DEPTH[] = "BHIV_STRESS_DEPTH";

typedef struct {
    char **lines; // owned, with room for their NULL
    size_t count;
    size_t limit;
} list_t;

static bool
is_same_name(const char *line, const char *name, size_t size)
{
    return strncmp(line, name, size) == 0 && line[size] == '=';
}

// Adds NAME=VALUE, in place of one of that name.
static void
put(list_t *list, const char *line)
{
    char *copy = strdup(line);
    assert(copy);
    size_t size = strcspn(line, "=");
    for (size_t i = 0; i < list->count; ++i) {
        if (is_same_name(list->lines[i], line, size)) {
            free(list->lines[i]);
            list->lines[i] = copy;
            return;
        }
    }
    if (list->count + 2 > list->limit) {
        list->limit = list->limit == 0 ? 64 : 2 * list->limit;
        list->lines = realloc(list->lines, list->limit * sizeof *list->lines);
        assert(list->lines);
    }
    list->lines[list->count++] = copy;
    list->lines[list->count] = NULL;
}

static void
put_own(list_t *list)
{
    for (char *const *line = environ; *line != NULL; ++line) {
        bool is_dropped = false;
        for (size_t i = 0; i < sizeof dropped / sizeof dropped[0]; ++i) {
            is_dropped = is_dropped || is_same_name(*line, dropped[i], strlen(dropped[i]));
        }
        if (!is_dropped) {
            put(list, *line);
        }
    }
    char depth[64];
    snprintf(depth, sizeof depth, "%s=%u", DEPTH, cli_stress_env_depth() + 1);
    put(list, depth);
    put(list, "BHIV_BRAIN_DRILLS=false");
}

// Whether it is BHIV_NAME=VALUE.
static bool
is_setting(const char *line)
{
    size_t size = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return strncmp(line, "BHIV_", 5) == 0 && size > 5 && line[size] == '=';
}

// Cuts the spaces around it off, in place.
static char *
trim(char *line)
{
    line += strspn(line, " \t");
    size_t size = strlen(line);
    while (size > 0 && strchr(" \t\r", line[size - 1]) != NULL) {
        line[--size] = '\0';
    }
    return line;
}

// 0 where there is no such file.
static int
put_conf(list_t *list, const char *path)
{
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return path == NULL || errno == ENOENT
                   ? CLI_DONE
                   : cli_fail(CLI_CONFIG, "cannot read %s: %s", path, strerror(errno));
    }
    char *text = calloc(1, CLI_STRESS_ENV_CONF_SIZE_MAX + 1);
    assert(text);
    ssize_t size = read(fd, text, CLI_STRESS_ENV_CONF_SIZE_MAX);
    close(fd);
    int status = size >= 0 && size < CLI_STRESS_ENV_CONF_SIZE_MAX && strlen(text) == (size_t) size
                     ? CLI_DONE
                     : cli_fail(CLI_CONFIG, "%s is no file of settings", path);
    char *rest = text;
    for (unsigned number = 1; status == CLI_DONE && rest != NULL; ++number) {
        char *line = trim(strsep(&rest, "\n"));
        if (is_setting(line)) {
            put(list, line);
        } else if (line[0] != '\0' && line[0] != '#') {
            status = cli_fail(CLI_CONFIG, "%s:%u: not BHIV_NAME=VALUE", path, number);
        }
    }
    free(text);
    return status;
}

int
cli_stress_env_make(const char *conf, const char *const *settings, char ***ret_environment)
{
    list_t list = {0};
    put_own(&list);
    int status = put_conf(&list, conf);
    put(&list, "BHIV_LOG_LEVEL=info"); // boot times and restarts are read from its log
    for (; status == CLI_DONE && settings != NULL && *settings != NULL; ++settings) {
        put(&list, *settings);
    }
    if (status == CLI_DONE) {
        *ret_environment = list.lines;
    } else {
        cli_stress_env_free(&list.lines);
    }
    return status;
}

void
cli_stress_env_free(char ***environment_p)
{
    char **lines = *environment_p;
    for (size_t i = 0; lines != NULL && lines[i] != NULL; ++i) {
        free(lines[i]);
    }
    free(lines);
    *environment_p = NULL;
}

unsigned
cli_stress_env_depth(void)
{
    const char *text = getenv(DEPTH);
    unsigned long depth = text == NULL ? 0 : strtoul(text, NULL, 10);
    return depth > CLI_STRESS_ENV_DEPTH_MAX ? CLI_STRESS_ENV_DEPTH_MAX : (unsigned) depth;
}

// bench_server.c - the servers that are measured: started fresh for each case, in a folder of their
// own on a real disk, and gone with it. See bench.h.
#include "bench.h"

#include "port.h"
#include "runtime/clock.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READY_MS = 10000,
    WORDS = 8,
    WORD_SIZE = CLI_PATH_SIZE + 32,
    PORT_SPAN = 80,  // the highest port of a system above its base
    BUCKET_PORT = 1, // above the base
    BASES_MAX = 5,   // tried until their ports are free
    BASE_FIRST = 10000,
    BASES = 200, // below 32768, from where on the kernel takes ports for whoever connects
    BASE_STEP = 100
};
#define LOAD_NAME "bench" // of the load's certificate: its inboxes are below it

// --- The folder --------------------------------------------------------------------------------

static int
make_folder(const char *parent, char ret_path[CLI_PATH_SIZE])
{
    if (snprintf(ret_path, CLI_PATH_SIZE, "%s/bhiv-bench-XXXXXX", parent) >= CLI_PATH_SIZE ||
        mkdtemp(ret_path) == NULL) {
        return cli_fail(CLI_IO, "bench: cannot make a folder in %s: %s", parent, strerror(errno));
    }
    return CLI_DONE;
}

// --- Endpoints ---------------------------------------------------------------------------------

// A port that was free a moment ago; 0 where there is none.
static unsigned
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *) &address, size) == 0 &&
        getsockname(fd, (struct sockaddr *) &address, &size) == 0) {
        port = ntohs(address.sin_port);
    }
    if (fd >= 0) {
        close(fd);
    }
    return port;
}

// Where a system's ports are free; somewhere else each time.
static unsigned
free_base(void)
{
    unsigned begin = (unsigned) (clock_boot_us() % BASES);
    for (unsigned i = 0; i < BASES; ++i) {
        unsigned base = BASE_FIRST + (begin + i) % BASES * BASE_STEP;
        bool is_taken = false;
        for (unsigned port = base; port <= base + PORT_SPAN && !is_taken; ++port) {
            is_taken = cli_port_is_taken("127.0.0.1", port);
        }
        if (!is_taken) {
            return base;
        }
    }
    return BASE_FIRST; // and `up` says what is wrong
}

// --- The process -------------------------------------------------------------------------------

typedef struct {
    char words[WORDS][WORD_SIZE];
    size_t count;
} command_t;

static void add_word(command_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add_word(command_t *self, const char *format, ...)
{
    assert(self->count < WORDS);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->words[self->count++], WORD_SIZE, format, arguments);
    va_end(arguments);
}

static void
command_of(const cli_bench_server_t *server, command_t *ret_command)
{
    const unsigned *ports = server->ports;
    const char *verb = server->bare ? "bench-bare" : "broker";
    add_word(ret_command, "bhiv");
    add_word(ret_command, "%s", server->is_system ? "up" : verb);
    add_word(ret_command, "--dir=%s", server->dir);
    if (server->is_system) {
        add_word(ret_command, "--dev"); // no rate limits
        add_word(ret_command, "--port-base=%u", server->http_port - BUCKET_PORT);
    } else if (server->bare) {
        add_word(ret_command, "--in=%s", server->bus.ingress);
        add_word(ret_command, "--out=%s", server->bus.egress);
    } else if (ports[0] != 0) {
        add_word(ret_command, "--bus-bind=127.0.0.1");
        add_word(ret_command, "--bus-in=%u", ports[0]);
        add_word(ret_command, "--bus-out=%u", ports[1]);
    } else {
        add_word(ret_command, "--bus-bind=");
    }
    if (server->is_secure) {
        add_word(ret_command, "--secure");
    }
}

static void
command_destroy(command_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static void
become(const command_t *command, int out, pid_t parent)
{
    const char *argv[WORDS + 1] = {NULL};
    for (size_t i = 0; i < command->count; ++i) {
        argv[i] = command->words[i];
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
        dup2(out, STDOUT_FILENO) < 0) {
        _exit(CLI_IO);
    }
    execv("/proc/self/exe", (char *const *) argv);
    _exit(CLI_CONFIG);
}

static bool
wait_for_ready(int out)
{
    struct pollfd readable = {.fd = out, .events = POLLIN};
    char bytes[256];
    return poll(&readable, 1, READY_MS) == 1 && read(out, bytes, sizeof bytes) > 5 &&
           memcmp(bytes, "ready", 5) == 0;
}

static int
launch(cli_bench_server_t *server)
{
    BUS_AUTO(command_destroy) command_t *command = calloc(1, sizeof *command);
    assert(command);
    command_of(server, command);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return cli_fail(CLI_IO, "bench: %s", strerror(errno));
    }
    (void) fflush(NULL); // or the child prints it a second time
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid == 0) {
        become(command, ends[1], parent);
    }
    close(ends[1]);
    bool ready = server->pid > 0 && wait_for_ready(ends[0]);
    close(ends[0]); // it says nothing more
    return ready ? CLI_DONE : cli_fail(CLI_NO_ANSWER, "bench: %s did not start", command->words[1]);
}

// The broker's certificate, and that of the load.
static int
make_certificates(cli_bench_server_t *server)
{
    const char *why = "cannot be made";
    bool is_made = cert_make(server->dir, CERT_BROKER) == BUS_OK &&
                   cert_make(server->dir, LOAD_NAME) == BUS_OK &&
                   cert_load(server->dir, LOAD_NAME, &server->bus.cert, &why) == BUS_OK;
    server->bus.has_cert = is_made;
    return is_made ? CLI_DONE : cli_fail(CLI_IO, "bench: certificate `%s`: %s", LOAD_NAME, why);
}

int
cli_bench_server_start(const char *parent,
                       bool bare,
                       cli_bench_transport_t transport,
                       cli_bench_server_t *ret_server)
{
    cli_bench_server_t *server = ret_server;
    *server = (cli_bench_server_t){0};
    int status = make_folder(parent, server->dir);
    if (status != CLI_DONE) {
        server->dir[0] = '\0';
        return status;
    }
    server->bare = bare;
    server->is_secure = transport == CLI_BENCH_CURVE;
    if (transport != CLI_BENCH_IPC) {
        unsigned *ports = server->ports;
        ports[0] = free_port();
        ports[1] = free_port();
        snprintf(server->bus.ingress, sizeof server->bus.ingress, "tcp://127.0.0.1:%u", ports[0]);
        snprintf(server->bus.egress, sizeof server->bus.egress, "tcp://127.0.0.1:%u", ports[1]);
    } else {
        cli_dir_t dir;
        snprintf(dir.path, sizeof dir.path, "%s", server->dir);
        status = cli_dir_endpoint(&dir, "bus.in", server->bus.ingress);
        if (status == CLI_DONE) {
            status = cli_dir_endpoint(&dir, "bus.out", server->bus.egress);
        }
    }
    if (status == CLI_DONE && server->is_secure) {
        status = make_certificates(server);
    }
    if (status == CLI_DONE) {
        status = launch(server);
    }
    if (status != CLI_DONE) {
        cli_bench_server_stop(server);
    }
    return status;
}

int
cli_bench_server_up(const char *parent, bool secure, cli_bench_server_t *ret_server)
{
    int status = CLI_NO_ANSWER;
    for (int i = 0; i < BASES_MAX && status != CLI_DONE; ++i) {
        *ret_server = (cli_bench_server_t){.is_system = true, .is_secure = secure};
        status = make_folder(parent, ret_server->dir);
        if (status != CLI_DONE) {
            ret_server->dir[0] = '\0';
            return status;
        }
        ret_server->http_port = free_base() + BUCKET_PORT;
        status = launch(ret_server);
        if (status != CLI_DONE) {
            cli_bench_server_stop(ret_server);
        }
    }
    return status;
}

static void
end_process(cli_bench_server_t *self)
{
    if (self->pid > 0) {
        // A server alone holds nothing that anybody will read; a system has processes to end.
        (void) kill(self->pid, self->is_system ? SIGTERM : SIGKILL);
        while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        self->pid = 0;
    }
}

int
cli_bench_server_again(cli_bench_server_t *self, double *ret_ready_ms)
{
    end_process(self);
    uint64_t began_us = clock_boot_us();
    int status = launch(self);
    *ret_ready_ms = (double) (clock_boot_us() - began_us) / 1e3;
    return status;
}

void
cli_bench_server_stop(cli_bench_server_t *self)
{
    end_process(self);
    if (self->dir[0] != '\0') {
        (void) cli_scratch_remove(self->dir);
        self->dir[0] = '\0';
    }
}

// --- Memory ------------------------------------------------------------------------------------

// Of one process, in KiB.
static unsigned long
memory_of(const char *pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.10s/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    char line[256];
    unsigned long kib = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Pss:", 4) == 0) {
            kib = strtoul(line + 4, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

// Of the process whose id is in this file.
static unsigned long
memory_at(const char *folder, const char *leaf)
{
    char path[CLI_PATH_SIZE + NAME_MAX + 16];
    char pid[16] = "";
    snprintf(path, sizeof path, "%s/%s", folder, leaf);
    FILE *file = fopen(path, "re");
    unsigned long kib = 0;
    if (file != NULL) {
        if (fgets(pid, sizeof pid, file) != NULL) {
            pid[strcspn(pid, "\n")] = '\0';
            kib = memory_of(pid);
        }
        fclose(file);
    }
    return kib;
}

double
cli_bench_server_memory(const cli_bench_server_t *self)
{
    char folder[CLI_PATH_SIZE + 8];
    char pid[16];
    snprintf(folder, sizeof folder, "%s/run", self->dir);
    snprintf(pid, sizeof pid, "%d", (int) self->pid);
    unsigned long kib = memory_of(pid);
    DIR *entries = opendir(folder);
    const struct dirent *entry = entries == NULL ? NULL : readdir(entries);
    for (; entry != NULL; entry = readdir(entries)) {
        const char *end = strrchr(entry->d_name, '.');
        if (end != NULL && strcmp(end, ".pid") == 0) {
            kib += memory_at(folder, entry->d_name);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return (double) kib / 1024.0;
}

// --- The machine -------------------------------------------------------------------------------

static void
read_processor(char *ret_name, size_t size)
{
    snprintf(ret_name, size, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(ret_name, size, "%s", colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static const char *
file_system_of(const char *dir)
{
    static const struct {
        long magic;
        const char *name;
    } known[] = {{0xef53, "ext4"},
                 {0x58465342, "xfs"},
                 {0x9123683e, "btrfs"},
                 {0x01021994, "tmpfs (memory: flushes cost nothing)"},
                 {0x794c7630, "overlayfs"},
                 {0x2fc12fc1, "zfs"},
                 {0xf2f52010, "f2fs"}};
    struct statfs about;
    if (statfs(dir, &about) != 0) {
        return "unknown";
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i) {
        if ((long) about.f_type == known[i].magic) {
            return known[i].name;
        }
    }
    return "another file system";
}

void
cli_bench_server_machine(const char *dir, char *ret_text, size_t size)
{
    char processor[128];
    struct utsname kernel;
    read_processor(processor, sizeof processor);
    bool known = uname(&kernel) == 0;
    snprintf(ret_text,
             size,
             "%ld x %s, %s %s, %s",
             sysconf(_SC_NPROCESSORS_ONLN),
             processor,
             known ? kernel.sysname : "",
             known ? kernel.release : "",
             file_system_of(dir));
}

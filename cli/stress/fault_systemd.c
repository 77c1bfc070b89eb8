// fault_systemd.c - scenario systemd: the shipped unit, where systemd is the first process.
//
// The unit is run as it is but for what has to be ours: its program, its folder, its ports. Both
// files lie in /run/systemd/system, which no reboot keeps, under a name with our process id.
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CALL_MS = 30000, // of one systemctl
    WAIT_MS = 20000,
    LOOK_MS = 100,
    UNIT_SIZE_MAX = 16384,
    SAID_SIZE = 256,
    PORT_FIRST = 10000,
    PORT_STEP = 100,
    PORT_BASES = 200
};
#define UNITS "/run/systemd/system"

typedef struct {
    cli_fault_t *fault;
    char name[64];                    // bhiv-fault-<pid>.service
    char unit[CLI_PATH_SIZE];         // its path
    char drop_in[CLI_PATH_SIZE + 32]; // of what is ours
    char drop_in_dir[CLI_PATH_SIZE];
} unit_t;

// Runs `systemctl` with at most three words; what it says goes to `ret_said` (NULL: nowhere).
static int
systemctl(const char *a, const char *b, const char *c, char *ret_said)
{
    const char *argv[] = {"systemctl", a, b, c, NULL};
    const cli_fault_command_t command = {
        .argv = argv, .program = "systemctl", .err = STDERR_FILENO, .net = -1};
    cli_fault_process_t process = CLI_FAULT_PROCESS_NONE;
    int status = cli_fault_process_start(&command, &process)
                     ? cli_fault_process_wait(&process, CALL_MS)
                     : CLI_IO;
    if (ret_said != NULL) {
        ssize_t size = process.out < 0 ? 0 : read(process.out, ret_said, SAID_SIZE - 1);
        ret_said[size > 0 ? size : 0] = '\0';
        ret_said[strcspn(ret_said, "\n")] = '\0';
    }
    cli_fault_process_end(&process);
    return status;
}

static bool
copy_file(const char *from, const char *to)
{
    char bytes[UNIT_SIZE_MAX];
    FILE *in = fopen(from, "re");
    size_t size = in == NULL ? 0 : fread(bytes, 1, sizeof bytes, in);
    if (in != NULL) {
        (void) fclose(in);
    }
    FILE *out = size == 0 ? NULL : fopen(to, "we");
    bool written = out != NULL && fwrite(bytes, 1, size, out) == size;
    return out != NULL && fclose(out) == 0 && written;
}

static bool
write_drop_in(const unit_t *self)
{
    char program[CLI_PATH_SIZE];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0 || mkdir(self->drop_in_dir, 0755) != 0) {
        return false;
    }
    program[size] = '\0';
    unsigned base = PORT_FIRST + (unsigned) getpid() % PORT_BASES * PORT_STEP;
    FILE *file = fopen(self->drop_in, "we");
    // Its own user and hidden folders would keep it from a program and a folder that are ours.
    bool written =
        file != NULL &&
        fprintf(file,
                "[Service]\nExecStart=\nExecStart=%s up --dir %s/d --port-base %u\n"
                "WorkingDirectory=%s\nReadWritePaths=%s\nStateDirectory=\nEnvironmentFile=\n"
                "User=\nGroup=\nDynamicUser=no\nProtectHome=no\nPrivateTmp=no\n",
                program,
                self->fault->dir,
                base,
                self->fault->dir,
                self->fault->dir) > 0;
    return file != NULL && fclose(file) == 0 && written;
}

// The process of the unit; 0: none.
static pid_t
main_pid(const unit_t *self)
{
    char said[SAID_SIZE];
    int status = systemctl("show", "--property=MainPID", self->name, said);
    const char *number = strchr(said, '=');
    return status == 0 && number != NULL ? (pid_t) strtol(number + 1, NULL, 10) : 0;
}

static void
try_unit(const unit_t *self)
{
    cli_fault_t *fault = self->fault;
    char said[SAID_SIZE] = "";
    bool is_started = systemctl("start", self->name, NULL, NULL) == 0;
    if (!is_started) {
        (void) systemctl("show", "--property=ExecMainStatus", self->name, said);
    }
    if (!cli_fault_expect(fault, is_started, "systemd starts the unit %s", said)) {
        return;
    }
    pid_t before = main_pid(self);
    double since_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "SIGKILL of bhiv up, process %d", (int) before);
    cli_fault_expect(fault, before != 0 && kill(before, SIGKILL) == 0, "it can be killed");
    pid_t after = before;
    while ((after == before || after == 0) && cli_fault_now_ms() < since_ms + WAIT_MS) {
        cli_fault_pause(LOOK_MS);
        after = main_pid(self);
    }
    cli_fault_expect_soon(fault, cli_fault_now_ms() - since_ms, "systemd has started it again");
    cli_fault_expect(fault, after != 0 && after != before, "it is another process");
    fault->result->restarts++;
    since_ms = cli_fault_now_ms();
    cli_fault_expect(fault, systemctl("stop", self->name, NULL, NULL) == 0, "systemd stops it");
    cli_fault_expect_soon(fault, cli_fault_now_ms() - since_ms, "it has stopped");
}

void
cli_fault_systemd(cli_fault_t *fault)
{
    struct stat about;
    // As sd_booted(3) has it.
    if (lstat("/run/systemd/system", &about) != 0 || !S_ISDIR(about.st_mode)) {
        cli_fault_skip(fault, "systemd is not the first process here");
        return;
    }
    if (geteuid() != 0) {
        cli_fault_skip(fault, "only root may give systemd a unit");
        return;
    }
    if (access(fault->unit, R_OK) != 0) {
        cli_fault_skip(fault, "there is no unit %.128s; say --unit", fault->unit);
        return;
    }
    unit_t unit = {.fault = fault};
    snprintf(unit.name, sizeof unit.name, "bhiv-fault-%d.service", (int) getpid());
    snprintf(unit.unit, sizeof unit.unit, UNITS "/%s", unit.name);
    snprintf(unit.drop_in_dir, sizeof unit.drop_in_dir, UNITS "/%s.d", unit.name);
    snprintf(unit.drop_in, sizeof unit.drop_in, "%s/ours.conf", unit.drop_in_dir);
    if (cli_fault_expect(fault,
                         copy_file(fault->unit, unit.unit) && write_drop_in(&unit) &&
                             systemctl("daemon-reload", NULL, NULL, NULL) == 0,
                         "systemd takes the unit (%s)",
                         strerror(errno))) {
        try_unit(&unit);
    }
    (void) unlink(unit.drop_in);
    (void) rmdir(unit.drop_in_dir);
    (void) unlink(unit.unit);
    (void) systemctl("daemon-reload", NULL, NULL, NULL);
}

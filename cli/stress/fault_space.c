// fault_space.c - namespaces of a scenario: a small disk, a cable that can be pulled. See fault.h.
//
// None of them has a name, so none can be left behind: the kernel takes them away, with mounts and
// links, when the last process in them has ended. Without root they are made in a user namespace,
// where the machine lets us.
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IP_MS = 5000 }; // for one call of `ip`

// --- Entering ------------------------------------------------------------------------------------

static bool
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t size = strlen(text);
    bool written = fd >= 0 && write(fd, text, size) == (ssize_t) size;
    if (fd >= 0) {
        close(fd);
    }
    return written;
}

// We stay who we are outside, and are root inside.
static bool
map_user(unsigned uid, unsigned gid)
{
    char map[64];
    snprintf(map, sizeof map, "0 %u 1", uid);
    if (!write_file("/proc/self/uid_map", map) || !write_file("/proc/self/setgroups", "deny")) {
        return false;
    }
    snprintf(map, sizeof map, "0 %u 1", gid);
    return write_file("/proc/self/gid_map", map);
}

// New namespaces of these kinds for this process. False, errno saying why.
static bool
enter(int kinds)
{
    if (geteuid() == 0) {
        return unshare(kinds) == 0;
    }
    unsigned uid = geteuid();
    unsigned gid = getegid();
    // A change of credentials takes the kernel's promise to end us with our parent away.
    return unshare(kinds | CLONE_NEWUSER) == 0 && map_user(uid, gid) &&
           prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

static const char *
why_not(void)
{
    return geteuid() == 0 ? strerror(errno) : "neither root nor user namespaces";
}

bool
cli_fault_space_disk(cli_fault_t *self, const char *path, uint64_t bytes)
{
    char data[64];
    snprintf(data, sizeof data, "size=%llu,mode=0700", (unsigned long long) bytes);
    if (!enter(CLONE_NEWNS)) {
        cli_fault_skip(self, "no mount namespace: %s", why_not());
        return false;
    }
    // Private first, or the mount would show outside.
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mkdir(path, 0700) != 0 ||
        mount("bhiv-fault", path, "tmpfs", MS_NOSUID | MS_NODEV, data) != 0) {
        cli_fault_skip(self, "no small file system: %s", why_not());
        return false;
    }
    return true;
}

// --- A cable -------------------------------------------------------------------------------------

// Runs `ip` with words that are parted by spaces, in this network namespace (-1: ours).
static bool
ip(int net, const char *words)
{
    enum { WORDS_MAX = 16 };
    char text[256];
    const char *argv[WORDS_MAX + 1] = {"ip"};
    size_t count = 1;
    snprintf(text, sizeof text, "%s", words);
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        argv[count++] = word;
    }
    const cli_fault_command_t command = {
        .argv = argv, .program = "ip", .err = STDERR_FILENO, .net = net};
    cli_fault_process_t process = CLI_FAULT_PROCESS_NONE;
    bool is_done =
        cli_fault_process_start(&command, &process) && cli_fault_process_wait(&process, IP_MS) == 0;
    cli_fault_process_end(&process);
    return is_done;
}

// A network of its own for this process. -1 where that is not allowed.
static int
make_net(bool is_first)
{
    bool is_made = is_first ? enter(CLONE_NEWNET) : unshare(CLONE_NEWNET) == 0;
    return is_made ? open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
}

// Addresses of 127.77.0.0/24 on the cable; the loopback device, which has all of 127/8 by default,
// keeps the one address that everybody expects.
static bool
set_up_end(int net, const char *device, const char *address)
{
    char words[160];
    bool is_up = ip(net, "link set lo up") && ip(net, "addr flush dev lo") &&
                 ip(net, "addr add 127.0.0.1/32 dev lo");
    snprintf(words, sizeof words, "addr add %s/24 dev %s", address, device);
    is_up = is_up && ip(net, words);
    snprintf(words, sizeof words, "link set %s up", device);
    return is_up && ip(net, words);
}

// The device takes and sends packets of 127/8. /proc/sys/net shows the network of whoever reads it.
static bool
allow_loopback(int net, const char *device)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/route_localnet", device);
    return setns(net, CLONE_NEWNET) == 0 && write_file(path, "1");
}

bool
cli_fault_space_link(cli_fault_t *self, cli_fault_link_t *ret_link)
{
    char words[128];
    ret_link->far = make_net(true);
    ret_link->near = ret_link->far < 0 ? -1 : make_net(false); // and here we are
    if (ret_link->near < 0) {
        cli_fault_skip(self, "no network namespace: %s", why_not());
        return false;
    }
    snprintf(words, sizeof words, "link add far type veth peer name near netns %d", (int) getpid());
    if (!ip(ret_link->far, words)) {
        cli_fault_skip(self, "no cable between two networks (is iproute2 installed?)");
        return false;
    }
    if (!allow_loopback(ret_link->far, "far") || !allow_loopback(ret_link->near, "near") ||
        !set_up_end(ret_link->far, "far", CLI_FAULT_FAR) ||
        !set_up_end(ret_link->near, "near", CLI_FAULT_NEAR)) {
        cli_fault_skip(self, "the cable does not carry addresses of 127/8: %s", strerror(errno));
        return false;
    }
    return true;
}

bool
cli_fault_space_set_link(const cli_fault_link_t *link, bool is_up)
{
    return ip(link->far, is_up ? "link set far up" : "link set far down");
}

// fuzz_export.c - any bytes as an export of the audit log: it is verified to its end, and what is
// called good holds the one root that the key has signed here.
#include "audit.h"
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Of the log that corpus/export/good is of; its secret half is gone.
#define VKEY "bhiv.bucket/audit/ad3c0388+dd6e0eba+AbzwSmrTybAiwOWeFZiUjqAeTIerVJKVBbRz2Sh4aivH"
#define ROOT "kecrtvl/tZ8JBFu8lKJ/QKJJ8rwSOIUd2MdFtAK9HJI="

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("export", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t) size && lseek(fd, 0, SEEK_SET) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    char *words[] = {"verify-export", "--format=json", "--key=" VKEY, path, NULL};
    int status = cli_audit_verify_export.run(4, words);
    close(fd);
    assert(status == CLI_DONE || status == CLI_NEGATIVE);
    assert(status == CLI_NEGATIVE || memmem(data, size, ROOT, sizeof ROOT - 1) != NULL);
    return 0;
}

// replay.c - runs a fuzz target over files and folders, without libFuzzer: what a fuzzer once found
// is a test in every run.
//
// replay_<target> PATH...: a folder stands for its files. Prints how many inputs ran; none is a
// failure, since a corpus that is not found would pass unseen.
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 8 * 1024 * 1024 }; // twice the largest body

// Runs one file. Returns whether it could be read.
static int
run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 0;
    }
    uint8_t *room = malloc(INPUT_SIZE_MAX);
    if (room == NULL) {
        fclose(file);
        return 0;
    }
    size_t size = fread(room, 1, INPUT_SIZE_MAX, file);
    int failed = ferror(file);
    fclose(file);
    uint8_t *data = malloc(size > 0 ? size : 1); // exactly as long: ASan sees a read behind it
    if (data == NULL || failed) {
        perror(path);
        free(data);
        free(room);
        return 0;
    }
    memcpy(data, room, size);
    free(room);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

// Runs the files of a folder. Returns how many ran, -1 where one could not be read or `path` is
// none.
static int
run_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return -1;
    }
    int count = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL && count >= 0;
         entry = readdir(folder)) {
        char name[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        int size = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        int ran = size > 0 && (size_t) size < sizeof(name) && run_file(name);
        count = ran ? count + 1 : -1;
    }
    closedir(folder);
    return count;
}

int
main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int count = run_folder(argv[i]);
        if (count < 0) {
            count = run_file(argv[i]);
        }
        if (count == 0) {
            fprintf(stderr, "%s: nothing ran\n", argv[i]);
            return EXIT_FAILURE;
        }
        total += count;
    }
    printf("%d inputs\n", total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// stress_model.c - see stress_model.h.
#include "stress_model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PLACES_FIRST = 1024, ITEMS_FIRST = 256 };

// Room for one more of `size` bytes.
void *
cli_stress_model_grow(void *items, size_t count, size_t *limit, size_t size)
{
    if (count < *limit) {
        return items;
    }
    *limit = *limit == 0 ? ITEMS_FIRST : 2 * *limit;
    void *more = realloc(items, *limit * size);
    assert(more);
    return more;
}

uint64_t
cli_stress_model_hash(bus_view_t text)
{
    uint64_t value = 14695981039346656037U;
    for (size_t i = 0; i < text.size; ++i) {
        value = (value ^ (uint8_t) text.data[i]) * 1099511628211U;
    }
    return value;
}

void
cli_stress_model_init(cli_stress_model_t *self)
{
    *self = (cli_stress_model_t){.place_count = PLACES_FIRST};
    self->places = calloc(self->place_count, sizeof *self->places);
    self->workers = calloc(CLI_STRESS_MODEL_WORKERS_MAX, sizeof *self->workers);
    assert(self->places != NULL && self->workers != NULL);
}

void
cli_stress_model_clear(cli_stress_model_t *self)
{
    for (size_t i = 0; i < self->task_count; ++i) {
        free(self->tasks[i].id);
    }
    for (size_t i = 0; i < self->handler_count; ++i) {
        free(self->handlers[i].heap);
    }
    free(self->tasks);
    free(self->places);
    free(self->workers);
}

// --- Names -------------------------------------------------------------------------------------

// Where the task's place is, or is to be.
static uint32_t *
find_place(const cli_stress_model_t *self, bus_view_t id)
{
    size_t at = (size_t) cli_stress_model_hash(id) & (self->place_count - 1);
    while (self->places[at] != 0 && !view_is(id, self->tasks[self->places[at] - 1].id)) {
        at = (at + 1) & (self->place_count - 1);
    }
    return &self->places[at];
}

static void
rehash(cli_stress_model_t *self)
{
    free(self->places);
    self->place_count *= 2;
    self->places = calloc(self->place_count, sizeof *self->places);
    assert(self->places);
    for (size_t i = 0; i < self->task_count; ++i) {
        *find_place(self, view_from_text(self->tasks[i].id)) = (uint32_t) i + 1;
    }
}

cli_stress_model_task_t *
cli_stress_model_find_task(const cli_stress_model_t *self, bus_view_t id)
{
    uint32_t place = *find_place(self, id);
    return place == 0 ? NULL : &self->tasks[place - 1];
}

cli_stress_model_task_t *
cli_stress_model_add_task(cli_stress_model_t *self, bus_view_t id)
{
    uint32_t *place = find_place(self, id);
    if (*place != 0) {
        return NULL;
    }
    assert(self->task_count < CLI_STRESS_MODEL_TASKS_MAX);
    self->tasks = cli_stress_model_grow(
        self->tasks, self->task_count, &self->task_limit, sizeof *self->tasks);
    cli_stress_model_task_t *task = &self->tasks[self->task_count++];
    *task = (cli_stress_model_task_t){.id = strndup(id.data, id.size)};
    assert(task->id);
    *place = (uint32_t) self->task_count;
    if (self->task_count * 2 > self->place_count) {
        rehash(self);
    }
    return &self->tasks[self->task_count - 1];
}

uint16_t
cli_stress_model_handler(cli_stress_model_t *self, bus_view_t name)
{
    size_t i = 0;
    while (i < self->handler_count && !view_is(name, self->handlers[i].name)) {
        ++i;
    }
    if (i == self->handler_count && i < CLI_STRESS_MODEL_HANDLERS_MAX) {
        snprintf(
            self->handlers[i].name, CLI_STRESS_MODEL_NAME_SIZE, "%.*s", (int) name.size, name.data);
        ++self->handler_count;
    }
    return (uint16_t) i;
}

uint32_t
cli_stress_model_worker(cli_stress_model_t *self, bus_view_t name)
{
    uint32_t i = 0;
    while (i < self->worker_count && !view_is(name, self->workers[i].name)) {
        ++i;
    }
    if (i == self->worker_count && i < CLI_STRESS_MODEL_WORKERS_MAX) {
        cli_stress_model_worker_t *worker = &self->workers[i];
        *worker = (cli_stress_model_worker_t){.slots = 1};
        snprintf(worker->name, CLI_STRESS_MODEL_NAME_SIZE, "%.*s", (int) name.size, name.data);
        ++self->worker_count;
    }
    return i;
}

// --- What waits --------------------------------------------------------------------------------

bool
cli_stress_model_is_before(const cli_stress_model_task_t *a, const cli_stress_model_task_t *b)
{
    if (a->rank != b->rank) {
        return a->rank < b->rank;
    }
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->seq < b->seq;
}

static bool
is_valid(const cli_stress_model_t *self, cli_stress_place_t place)
{
    const cli_stress_model_task_t *task = &self->tasks[place.task];
    return task->state == TASK_WAITING && task->rank == place.rank;
}

// By what the places were when they were made: the heap's order must not change under it.
static bool
goes_before(const cli_stress_model_t *self, cli_stress_place_t a, cli_stress_place_t b)
{
    const cli_stress_model_task_t *x = &self->tasks[a.task];
    const cli_stress_model_task_t *y = &self->tasks[b.task];
    if (a.rank != b.rank) {
        return a.rank < b.rank;
    }
    return x->deadline != y->deadline ? x->deadline < y->deadline : x->seq < y->seq;
}

void
cli_stress_model_push(cli_stress_model_t *self, const cli_stress_model_task_t *task)
{
    if (task->handler >= CLI_STRESS_MODEL_HANDLERS_MAX) {
        return;
    }
    cli_stress_handler_t *handler = &self->handlers[task->handler];
    handler->heap = cli_stress_model_grow(
        handler->heap, handler->count, &handler->limit, sizeof *handler->heap);
    cli_stress_place_t place = {.task = (uint32_t) (task - self->tasks), .rank = task->rank};
    size_t at = handler->count++;
    while (at > 0 && goes_before(self, place, handler->heap[(at - 1) / 2])) {
        handler->heap[at] = handler->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    handler->heap[at] = place;
}

static void
pop(const cli_stress_model_t *self, cli_stress_handler_t *handler)
{
    cli_stress_place_t last = handler->heap[--handler->count];
    size_t at = 0;
    size_t child = 1;
    while (child < handler->count) {
        if (child + 1 < handler->count &&
            goes_before(self, handler->heap[child + 1], handler->heap[child])) {
            ++child;
        }
        if (!goes_before(self, handler->heap[child], last)) {
            break;
        }
        handler->heap[at] = handler->heap[child];
        at = child;
        child = 2 * at + 1;
    }
    if (handler->count > 0) {
        handler->heap[at] = last;
    }
}

const cli_stress_model_task_t *
cli_stress_model_best(cli_stress_model_t *self, size_t index)
{
    cli_stress_handler_t *handler = &self->handlers[index];
    while (handler->count > 0 && !is_valid(self, handler->heap[0])) {
        pop(self, handler);
    }
    return handler->count == 0 ? NULL : &self->tasks[handler->heap[0].task];
}

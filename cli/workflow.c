// workflow.c - see workflow.h. The verbs are in workflow_run.c, workflow_list.c, workflow_show.c,
// workflow_tasks.c, workflow_complete.c.
#include "workflow.h"

#include "proto/walk.h"

const cli_command_t *const cli_workflow_verbs[] = {&cli_workflow_run,
                                                   &cli_workflow_list,
                                                   &cli_workflow_show,
                                                   &cli_workflow_tasks,
                                                   &cli_workflow_complete,
                                                   NULL};

static void
add_row(cli_table_t *cells, const cli_workflow_table_t *table, bus_view_t item)
{
    for (size_t i = 0; i < table->column_count; ++i) {
        bus_view_t value;
        if (walk_find_path(item, table->keys[i], &value) == BUS_OK) {
            cli_table_add_value(cells, value);
        } else {
            cli_table_add(cells, VIEW_LITERAL("-"));
        }
    }
}

int
cli_workflow_print(cli_output_t *out, bus_view_t answer, const cli_workflow_table_t *table)
{
    bus_view_t list, item;
    walk_item_t head;
    if (walk_find(answer, table->list, &list) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "the answer has no %s", table->list);
    }
    cli_table_t cells;
    cli_table_init(&cells, table->titles, table->column_count);
    walk_t walk = walk_from(list);
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        for (uint32_t i = 0; i < head.count && walk_skip(&walk, &item) == BUS_OK; ++i) {
            if (out->format == CLI_FORMAT_LINE) {
                add_row(&cells, table, item);
            } else {
                cli_output_value(out, item);
            }
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&cells, out);
    }
    cli_table_clear(&cells);
    return CLI_DONE;
}

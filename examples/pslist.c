/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process list: cc pslist.c $(pkg-config --cflags --libs kioku) && ./a.out IMAGE */
#include <kioku/kioku.h>
#include <stdio.h>

static enum kioku_status print_row(void *user, const struct kioku_cell *cells, size_t count)
{
	const struct kioku_cell *pid = &cells[1], *comm = &cells[8]; /* see kioku_view_column() */
	int length = comm->presence == KIOKU_CELL_PRESENT ? (int)comm->value.text.size : 0;

	printf("%6lld  %.*s\n", (long long)pid->value.integer, length, comm->value.text.data);
	return KIOKU_OK;
}

int main(int argc, char **argv)
{
	const struct kioku_view *ps = kioku_view_find("ps");
	struct kioku_source *source = NULL;
	struct kioku_kernel *kernel = NULL;
	struct kioku_error error = { .message = "usage: pslist IMAGE" };

	if (argc == 2 && kioku_source_open(argv[1], NULL, &source, &error) == KIOKU_OK &&
	    kioku_kernel_open(source, NULL, &kernel, &error) == KIOKU_OK &&
	    kioku_view_run(ps, kernel, NULL, print_row, NULL, &error) == KIOKU_OK)
		error.message[0] = 0;
	kioku_kernel_close(kernel);
	kioku_source_close(source);
	return error.message[0] && fprintf(stderr, "pslist: %s\n", error.message);
}

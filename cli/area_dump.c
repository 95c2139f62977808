/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "area_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"

enum { PAGE = 4096, CHUNK = 1 << 20, NAME_ROOM = 64 };

static const char missing_name[] = "missing.csv";

static bool parse_dump(struct options *options, const struct command *command, const char *text)
{
	options->dump = text;
	return text[0] != '\0';
}

const struct option_row area_dump_options[AREA_DUMP_OPTION_COUNT] = {
	{ "dump", 0, "DIR", parse_dump, "write the memory of each area to a file in there" },
};

/* --- one area */

/* A file of one area, and the stretch of it that is missing. */
struct area {
	struct area_dump *dump;
	int32_t pid;
	uint64_t start;
	int file;
	uint64_t hole, hole_size; /* size 0: none */
	enum kioku_status reason;
};

/* A page that nobody has touched yet was never anywhere: listed, and no gap. */
static void end_hole(struct area *area)
{
	if (area->hole_size == 0)
		return;
	fprintf(area->dump->missing, "%" PRId32 ",0x%" PRIx64 ",0x%" PRIx64 ",%s\n", area->pid,
		area->hole, area->hole + area->hole_size, kioku_status_name(area->reason));
	if (area->reason != KIOKU_ERROR_UNMAPPED)
		area->dump->lost += area->hole_size;
	area->hole_size = 0;
}

static void grow_hole(struct area *area, uint64_t address, size_t size, enum kioku_status reason)
{
	if (area->hole_size > 0 && area->reason != reason)
		end_hole(area);
	if (area->hole_size == 0)
		area->hole = address;
	area->hole_size += size;
	area->reason = reason;
}

static bool put_data(struct area *area, uint64_t address, const uint8_t *data, size_t size)
{
	end_hole(area);
	while (size > 0) {
		ssize_t written = pwrite(area->file, data, size, (off_t)(address - area->start));
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		data += written;
		address += (uint64_t)written;
		size -= (size_t)written;
	}
	return true;
}

static bool copy_pages(struct area *area, uint64_t address, size_t size)
{
	uint8_t *buffer = area->dump->buffer;

	for (size_t done = 0; done < size; done += PAGE) {
		enum kioku_status status = kioku_address_space_read(
			area->dump->space, address + done, buffer, PAGE, NULL);
		if (status != KIOKU_OK)
			grow_hole(area, address + done, PAGE, status);
		else if (!put_data(area, address + done, buffer, PAGE))
			return false;
	}
	return true;
}

static bool copy_area(struct area *area, uint64_t end)
{
	struct area_dump *dump = area->dump;

	for (uint64_t at = area->start; at < end;) {
		size_t size = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		bool is_whole = kioku_address_space_read(dump->space, at, dump->buffer, size,
							 NULL) == KIOKU_OK;
		if (!(is_whole ? put_data(area, at, dump->buffer, size)
			       : copy_pages(area, at, size)))
			return false;
		at += size;
	}
	end_hole(area);
	return ftruncate(area->file, (off_t)(end - area->start)) == 0 && !ferror(dump->missing);
}

/* --- all of them */

/* Memory is full of secrets: the files are for their owner only. */
static int create(const struct area_dump *dump, const char *name)
{
	return openat(dump->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      0600);
}

static size_t column(const struct kioku_view *view, const char *name)
{
	size_t count, i = 0;
	const struct kioku_column *columns = kioku_view_columns(view, &count);

	while (i + 1 < count && strcmp(columns[i].name, name) != 0)
		i++;
	return i;
}

uint64_t area_dump_columns(const struct kioku_view *view)
{
	return UINT64_C(1) << column(view, "pid") | UINT64_C(1) << column(view, "start") |
	       UINT64_C(1) << column(view, "end");
}

int area_dump_begin(struct area_dump *dump, const char *folder, const struct kioku_view *view,
		    struct kioku_kernel *kernel)
{
	*dump = (struct area_dump){
		.kernel = kernel,
		.folder = -1,
		.pid = column(view, "pid"),
		.start = column(view, "start"),
		.end = column(view, "end"),
		.buffer = malloc(CHUNK),
	};
	if (!dump->buffer)
		return message_error("out of memory");
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return message_error("cannot make %s: %s", folder, strerror(errno));
	dump->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int missing = dump->folder < 0 ? -1 : create(dump, missing_name);
	dump->missing = missing < 0 ? NULL : fdopen(missing, "w");
	if (!dump->missing)
		return message_error("cannot create %s/%s: %s", folder, missing_name,
				     strerror(errno));
	fputs("pid,start,end,reason\n", dump->missing);
	return STATUS_COMPLETE;
}

static bool open_space(struct area_dump *dump, int32_t pid)
{
	struct kioku_error error = { 0 };

	if (dump->space && dump->of == pid)
		return true;
	kioku_address_space_close(dump->space);
	dump->space = NULL;
	dump->of = pid;
	if (kioku_process_space_open(dump->kernel, pid, &dump->space, &error) == KIOKU_OK)
		return true;
	message_finding(KIOKU_GAP, "process %" PRId32 ": %s", pid, error.message);
	return false;
}

int area_dump_row(struct area_dump *dump, const struct kioku_cell *cells)
{
	const struct kioku_cell *pid = &cells[dump->pid], *start = &cells[dump->start],
				*end = &cells[dump->end];
	char name[NAME_ROOM];

	if (pid->presence || start->presence || end->presence ||
	    end->value.number <= start->value.number ||
	    !open_space(dump, (int32_t)pid->value.integer))
		return STATUS_COMPLETE;
	struct area area = { .dump = dump,
			     .pid = (int32_t)pid->value.integer,
			     .start = start->value.number };
	snprintf(name, sizeof(name), "%" PRId32 ".%" PRIx64 "-%" PRIx64, area.pid, area.start,
		 end->value.number);
	area.file = create(dump, name);
	dump->lost = 0;
	bool is_good = area.file >= 0 && copy_area(&area, end->value.number);
	int problem = errno;
	if (area.file >= 0 && close(area.file) != 0 && is_good) {
		is_good = false;
		problem = errno;
	}
	if (!is_good)
		return message_error("cannot write %s: %s", name, strerror(problem));
	if (dump->lost > 0)
		message_finding(KIOKU_GAP, "%s: %" PRIu64 " bytes are missing, see %s", name,
				dump->lost, missing_name);
	return STATUS_COMPLETE;
}

int area_dump_end(struct area_dump *dump)
{
	bool failed = dump->missing && fclose(dump->missing) != 0;
	int problem = errno;

	kioku_address_space_close(dump->space);
	free(dump->buffer);
	if (dump->folder >= 0)
		close(dump->folder);
	return failed ? message_error("cannot write %s: %s", missing_name, strerror(problem))
		      : STATUS_COMPLETE;
}

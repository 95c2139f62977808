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
#include "output.h"

enum { PAGE = 4096, CHUNK = 1 << 20, NAME_ROOM = 64 };

static const char missing_name[] = "missing.csv";

const struct option_row area_dump_options[AREA_DUMP_OPTION_COUNT] = {
	{ "dump", 0, "DIR", TEXT_OF(dump), "write the memory of each area to a file in there" },
};

/* --- one area */

/* A file of one area, and the stretch of it that is missing. */
struct area {
	struct area_dump *dump;
	int32_t pid;
	uint64_t start;
	int file;
	uint64_t hole, hole_size; /* size 0: none */
	const char *reason;
};

static const char lost[] = "lost";

static void end_hole(struct area *area)
{
	if (area->hole_size == 0)
		return;
	fprintf(area->dump->missing, "%" PRId32 ",0x%" PRIx64 ",0x%" PRIx64 ",%s\n", area->pid,
		area->hole, area->hole + area->hole_size, area->reason);
	if (area->reason == lost)
		area->dump->lost += area->hole_size;
	area->hole_size = 0;
}

static void grow_hole(struct area *area, uint64_t address, uint64_t size, const char *reason)
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

/* What can be read, in pieces; and of a piece that cannot, its pages. */
static bool copy_present(struct area *area, uint64_t start, uint64_t end, size_t piece)
{
	uint8_t *buffer = area->dump->buffer;

	for (uint64_t at = start; at < end; at += piece) {
		size_t size = end - at < piece ? (size_t)(end - at) : piece;
		bool is_read =
			kioku_source_read(area->dump->memory, at, buffer, size, NULL) == KIOKU_OK;
		if (!is_read && piece == PAGE)
			grow_hole(area, at, size, lost);
		else if (!(is_read ? put_data(area, at, buffer, size)
				   : copy_present(area, at, at + size, PAGE)))
			return false;
	}
	return true;
}

/* Why a range that is not present is not. */
static const char *reason_of(enum kioku_range_state state)
{
	switch (state) {
	case KIOKU_RANGE_ZERO: return "never touched";
	case KIOKU_RANGE_EXCLUDED: return "not in memory";
	default: return lost;
	}
}

static bool copy_area(struct area *area, uint64_t end)
{
	size_t count;
	const struct kioku_range *ranges = kioku_source_ranges(area->dump->memory, &count);
	uint64_t at = area->start;

	for (size_t i = 0; i < count && at < end; i++) {
		uint64_t first = ranges[i].start, past = first + ranges[i].size;
		if (past <= at)
			continue;
		first = first > at ? first : at;
		past = past < end ? past : end;
		if (first >= end)
			break;
		if (first > at)
			grow_hole(area, at, first - at, lost);
		if (ranges[i].state != KIOKU_RANGE_PRESENT)
			grow_hole(area, first, past - first, reason_of(ranges[i].state));
		else if (!copy_present(area, first, past, CHUNK))
			return false;
		at = past;
	}
	if (at < end)
		grow_hole(area, at, end - at, lost);
	end_hole(area);
	return ftruncate(area->file, (off_t)(end - area->start)) == 0;
}

/* --- all of them */

/* Memory is full of secrets: the files are for their owner only. */
static int create(const struct area_dump *dump, const char *name)
{
	return openat(dump->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      0600);
}

/* Views of areas have those that are asked for. */
static size_t column(const struct kioku_view *view, const char *name)
{
	return (size_t)output_find_column(view, name);
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
		.of = -1,
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

/* Whose memory cannot be had at all is said once. */
static bool open_memory(struct area_dump *dump, int32_t pid)
{
	struct kioku_error error = { 0 };

	if (dump->of == pid)
		return dump->memory;
	kioku_source_close(dump->memory);
	dump->memory = NULL;
	dump->of = pid;
	if (kioku_process_core_open(dump->kernel, pid, NULL, 0, &dump->memory, &error) == KIOKU_OK)
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
	    !open_memory(dump, (int32_t)pid->value.integer))
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
	/* The size of an area in a damaged image may be more than a file can have. */
	if (!is_good && problem == EFBIG)
		message_finding(KIOKU_GAP, "%s: it is too large for a file", name);
	else if (!is_good)
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

	kioku_source_close(dump->memory);
	free(dump->buffer);
	if (dump->folder >= 0)
		close(dump->folder);
	return failed ? message_error("cannot write %s: %s", missing_name, strerror(problem))
		      : STATUS_COMPLETE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "message.h"
#include "number.h"
#include "output.h"
#include "session.h"
#include "sink.h"

enum { PAGE = 4096, CHUNK = 1 << 20 };

/* One request, page by page: what can be read goes to the sink, runs of what cannot are holes. */
struct reading {
	struct kioku_source *source;
	struct kioku_kernel *kernel;       /* NULL: none was looked for */
	struct kioku_address_space *space; /* NULL: physical */
	struct sink sink;
	uint64_t address, size;
	uint64_t bytes_read;
	uint64_t hole_start, hole_size; /* the hole that is growing; size 0: none */
	enum kioku_status hole_status;
	struct kioku_error hole_error;    /* of its first page */
	uint64_t stale_start, stale_size; /* likewise, what comes from files of swap areas */
	bool stopped;
};

static enum kioku_status fetch(struct reading *reading, uint64_t address, void *buffer, size_t size,
			       struct kioku_error *error)
{
	if (reading->space)
		return kioku_address_space_read(reading->space, address, buffer, size, error);
	return kioku_source_read(reading->source, address, buffer, size, error);
}

static uint64_t swap_reads(const struct reading *reading)
{
	return reading->kernel ? kioku_kernel_swap_reads(reading->kernel) : 0;
}

static void end_hole(struct reading *reading)
{
	if (reading->hole_size == 0)
		return;
	const char *reason = kioku_status_name(reading->hole_status);
	/* Which swap area it is in, or why what is there cannot be read. */
	bool is_told = reading->hole_status == KIOKU_ERROR_PAGED_OUT;
	message_finding(KIOKU_GAP, "0x%" PRIx64 "-0x%" PRIx64 ": %s%s%s%s", reading->hole_start,
			reading->hole_start + reading->hole_size - 1, reason, is_told ? ": " : "",
			is_told ? reading->hole_error.message : "",
			reading->stopped ? "; stopped there, as --pad is not given" : "");
	reading->sink.format->hole(&reading->sink, reading->hole_start, reading->hole_size, reason);
	reading->hole_size = 0;
}

static void end_stale(struct reading *reading)
{
	if (reading->stale_size > 0)
		message_finding(KIOKU_WARNING,
				"0x%" PRIx64 "-0x%" PRIx64 ": read from swap, may be stale",
				reading->stale_start,
				reading->stale_start + reading->stale_size - 1);
	reading->stale_size = 0;
}

static void put_data(struct reading *reading, uint64_t address, const uint8_t *data, size_t size,
		     bool is_stale)
{
	end_hole(reading);
	if (!is_stale)
		end_stale(reading);
	else if (reading->stale_size == 0)
		reading->stale_start = address;
	reading->stale_size += is_stale ? size : 0;
	reading->bytes_read += size;
	reading->sink.format->data(&reading->sink, address, data, size, is_stale);
}

static void grow_hole(struct reading *reading, uint64_t address, size_t size,
		      const struct kioku_error *error)
{
	end_stale(reading);
	if (reading->hole_size > 0 && reading->hole_status != error->status)
		end_hole(reading);
	if (reading->hole_size == 0) {
		reading->hole_start = address;
		reading->hole_error = *error;
	}
	reading->hole_size += size;
	reading->hole_status = error->status;
	reading->stopped = !reading->sink.format->skips_holes && !reading->sink.pad;
}

/* The bytes up to the next multiple of unit, or to the end of what is left. */
static size_t step_at(uint64_t address, uint64_t left, size_t unit)
{
	size_t step = unit - address % unit;

	return left < step ? (size_t)left : step;
}

static void copy_chunk(struct reading *reading, uint64_t address, size_t size, uint8_t *buffer)
{
	struct kioku_error error = { 0 };
	uint64_t before = swap_reads(reading);

	if (fetch(reading, address, buffer, size, NULL) == KIOKU_OK &&
	    swap_reads(reading) == before) {
		put_data(reading, address, buffer, size, false);
		return;
	}
	for (size_t step; size > 0 && !reading->stopped; address += step, size -= step) {
		step = step_at(address, size, PAGE);
		before = swap_reads(reading);
		if (fetch(reading, address, buffer, step, &error) == KIOKU_OK)
			put_data(reading, address, buffer, step, swap_reads(reading) > before);
		else
			grow_hole(reading, address, step, &error);
	}
}

static int copy_all(struct reading *reading)
{
	AUTO_FREE uint8_t *buffer = malloc(CHUNK);
	uint64_t address = reading->address, left = reading->size;

	if (!buffer)
		return message_error("out of memory");
	reading->sink.format->begin(&reading->sink, address, left);
	while (left > 0 && !reading->stopped && !ferror(reading->sink.file)) {
		size_t step = step_at(address, left, CHUNK);
		copy_chunk(reading, address, step, buffer);
		address += step;
		left -= step;
	}
	end_hole(reading);
	end_stale(reading);
	reading->sink.format->end(&reading->sink);
	if (reading->bytes_read == 0)
		return message_error("nothing at 0x%" PRIx64 " could be read", reading->address);
	return STATUS_COMPLETE;
}

/* Memory is full of secrets: the file is for its owner only. */
static int copy_to_file(struct reading *reading, const char *path)
{
	int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;

	if (!file)
		return message_error("cannot create %s: %s", path, strerror(errno));
	reading->sink.file = file;
	int status = copy_all(reading);
	bool failed = ferror(file);
	if (fclose(file) != 0 || failed)
		return message_error("cannot write %s: %s", path, strerror(errno));
	return status;
}

static int run(struct session *session)
{
	const struct options *options = &session->options;
	AUTO_SPACE struct kioku_address_space *space = NULL;
	struct reading reading = { .sink.pad = options->given & OPTION_PAD };
	bool terminal = !options->output && isatty(STDOUT_FILENO);
	uint64_t last;

	if (!address_parse(options->arguments[1], &reading.address))
		return message_usage("read: not an address: \"%s\"", options->arguments[1]);
	if (!size_parse(options->arguments[2], &reading.size) || reading.size == 0)
		return message_usage("read: not a size: \"%s\"", options->arguments[2]);
	if (__builtin_add_overflow(reading.address, reading.size - 1, &last))
		return message_usage("read: the range ends beyond 2^64");
	if (options->output && session_is_source(session, options->output))
		return message_usage("read: \"%s\" is the image itself", options->output);

	const char *format = options->format;
	if (strcmp(format, "auto") == 0)
		format = terminal ? "hex" : "raw";
	reading.sink.format = sink_format_find(format);

	bool physical = options->given & OPTION_PHYSICAL;
	int status = session_open_source(session);
	if (status == STATUS_COMPLETE && (!physical || kioku_source_is_ambiguous(session->source) ||
					  kioku_source_lacks_ranges(session->source)))
		status = session_open_kernel(session);
	if (status == STATUS_COMPLETE && !physical)
		status = session_open_space(session, &space);
	if (status != STATUS_COMPLETE)
		return status;
	reading.source = session->source;
	reading.kernel = session->kernel;
	if (!physical)
		reading.space = space ? space : kioku_kernel_space(session->kernel);
	/* The kernel's own page tables are found without types; a process's are not. */
	if (space || (!physical && kioku_kernel_basis(session->kernel) == KIOKU_BASIS_FORCED))
		reading.sink.mark = output_mark_name(session->kernel);

	if (options->output)
		return copy_to_file(&reading, options->output);
	reading.sink.file = stdout;
	return copy_all(&reading);
}

static const char *const formats[] = { "auto", "hex", "raw", "json", NULL };

const struct command read_command = {
	.name = "read",
	.help = "bytes of memory, by kernel, process or physical address",
	.usage = "SOURCE ADDRESS SIZE",
	.formats = formats,
	.details = "ADDRESS is a virtual address of the kernel unless --pid, --cr3 or --physical "
		   "says\n"
		   "otherwise. SIZE may end in K, M, G or T. auto is hex on a terminal and raw "
		   "elsewhere.",
	.options = OPTION_HELP | OPTION_FORMAT | OPTIONS_KERNEL | OPTIONS_SPACE | OPTION_PHYSICAL |
		   OPTION_PAD | OPTION_OUTPUT,
	.run = run,
};

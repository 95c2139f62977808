// SPDX-License-Identifier: GPL-2.0-only
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "dump.h"
#include "format/lime_layout.h"
#include "memory.h"
#include "stream.h"

struct dump {
	const struct dump_settings *settings;
	const struct dump_format *format;
	struct stream stream;
	unsigned long timeout; /* jiffies */
	u64 position;          /* physical address that comes next in a padded dump */
	u64 ranges, pages, skipped[KIOKU_PAGE_KINDS];
};

struct dump_format {
	const char *name;
	/* What comes before the bytes of a range. */
	int (*begin_range)(struct dump *dump, const struct ram_range *range);
};

static int begin_lime(struct dump *dump, const struct ram_range *range)
{
	u8 *header = stream_room(&dump->stream);

	memset(header, 0, LIME_HEADER_SIZE);
	put_unaligned_le32(LIME_MAGIC, header + LIME_AT_MAGIC);
	put_unaligned_le32(LIME_VERSION, header + LIME_AT_VERSION);
	put_unaligned_le64(range->start, header + LIME_AT_START);
	put_unaligned_le64(range->last, header + LIME_AT_LAST);
	return stream_added(&dump->stream, LIME_HEADER_SIZE);
}

static int begin_raw(struct dump *dump, const struct ram_range *range)
{
	return 0;
}

static int begin_padded(struct dump *dump, const struct ram_range *range)
{
	return stream_zeros(&dump->stream, range->start - dump->position);
}

static const struct dump_format formats[] = {
	{ "lime", begin_lime },
	{ "raw", begin_raw },
	{ "padded", begin_padded },
};

static const struct dump_format *find_format(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	pr_err("format=%s: there are lime, raw and padded\n", name);
	return NULL;
}

/* --- memory */

/* Bytes of one page. */
static int write_part(struct dump *dump, u64 physical, size_t size)
{
	void *out = stream_room(&dump->stream);
	enum kioku_device_page state = memory_read(physical, out, size, dump->timeout);

	dump->pages++;
	if (state != KIOKU_PAGE_READABLE) {
		dump->skipped[state]++;
		memset(out, 0, size);
	}
	cond_resched();
	return stream_added(&dump->stream, size);
}

static int write_range(struct dump *dump, const struct ram_range *range)
{
	u64 left = range->last - range->start + 1, physical = range->start;
	int status = dump->format->begin_range(dump, range);
	size_t part;

	for (; left > 0 && status == 0; left -= part, physical += part) {
		part = min_t(u64, left, PAGE_SIZE - offset_in_page(physical));
		status = write_part(dump, physical, part);
	}
	dump->position = range->last + 1;
	dump->ranges++;
	return status;
}

static int write_memory(struct dump *dump)
{
	struct ram_range range;
	int status = 0;

	while (status == 0 && ram_next(dump->position, &range)) {
		status = write_range(dump, &range);
		if (dump->position == 0)
			break; /* the end of the address space */
	}
	return status ? status : stream_end(&dump->stream);
}

/* --- outputs */

static int write_image(struct dump *dump)
{
	struct output *output = dump->stream.output;
	int status = output->driver->begin(output, "");

	if (status == 0)
		status = write_memory(dump);
	return status ? status : output->driver->end(output);
}

static int write_digest(struct dump *dump)
{
	struct output *output = dump->stream.output;
	int status;

	if (!dump->settings->digest)
		return 0;
	status = output->driver->begin(output, dump->settings->digest);
	if (status == 0)
		status = stream_write_digest(&dump->stream);
	return status ? status : output->driver->end(output);
}

/* --- what came of it */

static const char *const reasons[KIOKU_PAGE_KINDS] = {
	[KIOKU_PAGE_OFFLINE] = "offline or ballooned", [KIOKU_PAGE_POISONED] = "poisoned",
	[KIOKU_PAGE_UNACCEPTED] = "not accepted",      [KIOKU_PAGE_PROTECTED] = "protected",
	[KIOKU_PAGE_FAULTED] = "unreadable",           [KIOKU_PAGE_TIMED_OUT] = "too slow",
};

static void say_end(const struct dump *dump)
{
	char skipped[200] = "";
	u64 total = 0;
	size_t i, used = 0;

	for (i = 0; i < KIOKU_PAGE_KINDS; i++) {
		if (!dump->skipped[i])
			continue;
		used += scnprintf(skipped + used, sizeof(skipped) - used, "%s%llu %s",
				  used ? ", " : ": ", dump->skipped[i], reasons[i]);
		total += dump->skipped[i];
	}
	pr_info("%llu bytes written to %s: %llu ranges of RAM, %llu pages, %llu pages skipped%s\n",
		dump->stream.given, dump->settings->output.path, dump->ranges, dump->pages, total,
		skipped);
}

static int run(struct dump *dump)
{
	const struct dump_settings *settings = dump->settings;
	const char *doing = "open";
	int status = output_open(&settings->output, &dump->stream.output);

	if (status == 0) {
		doing = "write";
		status = write_image(dump);
	}
	if (status == 0) {
		doing = "write the digest of";
		status = write_digest(dump);
	}
	if (dump->stream.output)
		output_close(dump->stream.output);
	/* What a system call that is not started again says. */
	if (status == -ERESTARTSYS || status == -ERESTART_RESTARTBLOCK)
		status = -EINTR;
	if (status)
		pr_err("cannot %s %s: %pe, after %llu bytes\n", doing, settings->output.path,
		       ERR_PTR(status), dump->stream.given);
	else
		say_end(dump);
	return status;
}

int dump_memory(const struct dump_settings *settings)
{
	const struct dump_format *format = find_format(settings->format);
	struct dump *dump;
	int status;

	if (!format)
		return -EINVAL;
	status = output_check(&settings->output);
	if (status)
		return status;
	dump = kzalloc(sizeof(*dump), GFP_KERNEL);
	if (!dump)
		return -ENOMEM;
	dump->settings = settings;
	dump->format = format;
	dump->timeout = settings->timeout
				? max_t(unsigned long, msecs_to_jiffies(settings->timeout), 1)
				: 0;
	status = stream_init(&dump->stream, settings->digest, settings->compress);
	if (status == 0)
		status = run(dump);
	stream_release(&dump->stream);
	kfree(dump);
	return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dmesg: the kernel's log. */
#include <stdio.h>
#include <string.h>

#include "kernel/clock.h"
#include "kernel/printk.h"
#include "view/view.h"

enum {
	COLUMN_SEQUENCE,
	COLUMN_SINCE_BOOT,
	COLUMN_TIME,
	COLUMN_FACILITY,
	COLUMN_LEVEL,
	COLUMN_CALLER,
	COLUMN_SUBSYSTEM,
	COLUMN_DEVICE,
	COLUMN_TEXT,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_SEQUENCE] = { "sequence", KIOKU_KIND_UNSIGNED,
			      "number of the record, from 0 at boot", 1 },
	[COLUMN_SINCE_BOOT] = { "since_boot", KIOKU_KIND_TEXT, "seconds, as dmesg shows them", 0 },
	[COLUMN_TIME] = { "time", KIOKU_KIND_TIME, "the same as UTC, if the machine never slept",
			  1 },
	[COLUMN_FACILITY] = { "facility", KIOKU_KIND_TEXT, "kern: the kernel itself", 1 },
	[COLUMN_LEVEL] = { "level", KIOKU_KIND_TEXT, "emerg, alert, crit, err ... debug", 0 },
	[COLUMN_CALLER] = { "caller", KIOKU_KIND_TEXT, "T and a thread id, C and a CPU", 0 },
	[COLUMN_SUBSYSTEM] = { "subsystem", KIOKU_KIND_TEXT, "of the device that it is about", 1 },
	[COLUMN_DEVICE] = { "device", KIOKU_KIND_TEXT, "that it is about", 1 },
	[COLUMN_TEXT] = { "text", KIOKU_KIND_TEXT, "the message", 0 },
};

/* include/linux/kern_levels.h, and syslog(3). */
static const char *const levels[] = { "emerg", "alert",  "crit", "err",
				      "warn",  "notice", "info", "debug" };
static const char *const facilities[] = {
	"kern",   "user",   "mail",     "daemon", "auth",   "syslog",   "lpr",     "news",
	"uucp",   "cron",   "authpriv", "ftp",    "ntp",    "security", "console", "clock",
	"local0", "local1", "local2",   "local3", "local4", "local5",   "local6",  "local7",
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A name, or the number where there is none. */
static struct kioku_cell named(const char *const *names, size_t count, uint8_t number, char room[4])
{
	if (number < count)
		return cell_text(names[number], strlen(names[number]));
	return cell_text(room, (size_t)snprintf(room, 4, "%u", number));
}

static enum kioku_status give_entry(void *user, const struct printk_entry *entry)
{
	struct view_run *run = user;
	char since_boot[32], level[4], facility[4], caller[16];
	uint64_t microseconds = entry->time / 1000;
	int64_t utc;

	int since_boot_size = snprintf(since_boot, sizeof(since_boot), "%llu.%06llu",
				       (unsigned long long)(microseconds / 1000000),
				       (unsigned long long)(microseconds % 1000000));
	int caller_size = snprintf(caller, sizeof(caller), "%c%u",
				   entry->caller & PRINTK_CALLER_CPU ? 'C' : 'T',
				   entry->caller & ~PRINTK_CALLER_CPU);
	const struct kioku_cell cells[COLUMNS] = {
		[COLUMN_SEQUENCE] = cell_number(entry->sequence),
		[COLUMN_SINCE_BOOT] = cell_text(since_boot, (size_t)since_boot_size),
		[COLUMN_TIME] = clock_from_boot(run->kernel, entry->time, &utc)
					? cell_integer(utc)
					: cell_absent(KIOKU_CELL_UNREADABLE),
		[COLUMN_FACILITY] = named(facilities, COUNT(facilities), entry->facility, facility),
		[COLUMN_LEVEL] = named(levels, COUNT(levels), entry->level, level),
		[COLUMN_CALLER] = entry->has_caller ? cell_text(caller, (size_t)caller_size)
						    : cell_absent(KIOKU_CELL_UNSUPPORTED),
		[COLUMN_SUBSYSTEM] = cell_text_if_any(
			entry->subsystem, strnlen(entry->subsystem, PRINTK_SUBSYSTEM_ROOM)),
		[COLUMN_DEVICE] =
			cell_text_if_any(entry->device, strnlen(entry->device, PRINTK_DEVICE_ROOM)),
		[COLUMN_TEXT] = cell_text(entry->text, entry->size),
	};
	return view_row(run, cells);
}

static enum kioku_status run_dmesg(struct view_run *run, struct kioku_error *error)
{
	return printk_each(run->kernel, give_entry, run, error);
}

const struct kioku_view dmesg_view = {
	.name = "dmesg",
	.help = "the kernel's log",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.run = run_dmesg,
};

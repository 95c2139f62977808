/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening the machine this runs on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/file_text.h"
#include "format/iomem_format.h"
#include "source/live_driver.h"

const struct live_paths live_paths = {
	.module = "/dev/kioku",
	.kcore = "/proc/kcore",
	.crash = "/dev/crash",
	.mem = "/dev/mem",
	.iomem = "/proc/iomem",
	.kpageflags = "/proc/kpageflags",
	.lockdown = "/sys/kernel/security/lockdown",
	.boot_id = "/proc/sys/kernel/random/boot_id",
	.cmdline = "/proc/cmdline",
};

/*
 * The module first: it is there only because somebody loaded it for this, it gives RAM that is no
 * whole page, says itself what each page is (kpageflags need CONFIG_PROC_PAGE_MONITOR), and survives
 * a memory error that nobody has seen yet and pages that are missing in the direct map, for which
 * kcore's answer is zeros. Of the kernel's own, kcore reads fastest and is nearly everywhere;
 * /dev/mem shows RAM on few kernels.
 */
static const struct source_driver *const drivers[] = { &module_source, &kcore_source,
						       &devcrash_source, &devmem_source };

#define DRIVER_COUNT (sizeof(drivers) / sizeof(*drivers))

_Static_assert(DRIVER_COUNT <= LIVE_REFUSAL_LIMIT, "a refusal for each driver");

/* --- small files */

/* More than any machine's /proc/iomem. */
#define TEXT_LIMIT (64u << 20)

/* A file of /proc, NUL-terminated; NULL on failure. */
static char *read_text(const char *path)
{
	struct file_text text = { 0 };

	if (file_text_read(&text, AT_FDCWD, path, TEXT_LIMIT, NULL) != KIOKU_OK)
		file_text_release(&text);
	return text.data;
}

/* As read_text(), without the line feed at the end; empty where there is none. */
static char *read_line(const char *path)
{
	char *text = read_text(path);

	if (!text)
		return strdup("");
	size_t size = strlen(text);
	if (size > 0 && text[size - 1] == '\n')
		text[size - 1] = '\0';
	return text;
}

/* --- why not */

/* Whether this process has a capability that the kernel asks for in the first user namespace. */
static bool is_capable(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[capability / 32].effective & 1u << capability % 32);
}

/* The level in "none integrity [confidentiality]"; empty if it cannot be had. */
static void read_lockdown(const struct live *live, char *level, size_t size)
{
	AUTO_FREE char *text = read_text(live->paths->lockdown);
	const char *start = text ? strchr(text, '[') : NULL;
	const char *end = start ? strchr(start, ']') : NULL;

	snprintf(level, size, "%.*s", end ? (int)(end - start - 1) : 0, end ? start + 1 : "");
}

enum kioku_status live_open_file(const struct live *live, const char *path, int *out,
				 struct kioku_error *error)
{
	char lockdown[32];

	*out = open(path, O_RDONLY | O_CLOEXEC);
	if (*out >= 0)
		return KIOKU_OK;
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "there is no %s", path);
	if (errno != EPERM && errno != EACCES)
		return error_os(error, "open %s", path);
	if (!is_capable(CAP_SYS_RAWIO))
		return error_os(error, "%s needs CAP_SYS_RAWIO", path);
	int saved = errno;
	read_lockdown(live, lockdown, sizeof(lockdown));
	errno = saved;
	if (lockdown[0] && strcmp(lockdown, "none") != 0)
		return error_os(error, "the kernel is locked down (%s) and keeps %s shut", lockdown,
				path);
	return error_os(error, "open %s, which a locked down kernel or a container keeps shut",
			path);
}

static void refuse(struct live *live, const char *driver, const char *reason)
{
	struct live_machine *machine = &live->machine;
	struct live_refusal *refusal = &machine->refusals[machine->refusal_count++];

	refusal->driver = driver;
	snprintf(refusal->reason, sizeof(refusal->reason), "%.255s", reason);
}

/* Where another driver helped; else the error says it all. */
static void report_refusals(const struct kioku_source *source)
{
	const struct live_machine *machine = &((const struct live *)source->state)->machine;

	for (size_t i = 0; i < machine->refusal_count; i++)
		diagnose(&source->diagnostics, KIOKU_NOTE, "%s is not used: %s",
			 machine->refusals[i].driver, machine->refusals[i].reason);
}

/* --- the machine */

bool live_machine_learn(struct live_machine *machine, const struct live_paths *paths)
{
	struct utsname names = { 0 };

	uname(&names);
	machine->host_name = strdup(names.nodename);
	machine->release = strdup(names.release);
	machine->version = strdup(names.version);
	machine->machine = strdup(names.machine);
	machine->boot_id = read_line(paths->boot_id);
	machine->cmdline = read_line(paths->cmdline);
	return machine->host_name && machine->release && machine->version && machine->machine &&
	       machine->boot_id && machine->cmdline;
}

void live_machine_release(struct live_machine *machine)
{
	free(machine->host_name);
	free(machine->release);
	free(machine->version);
	free(machine->machine);
	free(machine->boot_id);
	free(machine->cmdline);
	free(machine->iomem);
}

void live_close(struct kioku_source *source)
{
	struct live *live = source->state;

	if (!live)
		return;
	live_machine_release(&live->machine);
	range_map_release(&live->ram);
	free(live->headers);
	free(live->notes);
	free(live);
	source->state = NULL;
}

static enum kioku_status list_ram(struct live *live, struct range_map *ram,
				  struct kioku_error *error)
{
	const char *path = live->paths->iomem;
	struct bytes text = { (const uint8_t *)live->machine.iomem, strlen(live->machine.iomem) };

	switch (iomem_list_ram(text, ram)) {
	case IOMEM_OK: return KIOKU_OK;
	case IOMEM_HIDDEN:
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "%s shows no addresses: that needs CAP_SYS_ADMIN", path);
	case IOMEM_NO_RAM:
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "%s has no System RAM", path);
	case IOMEM_DAMAGED:
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s cannot be understood", path);
	case IOMEM_NO_MEMORY: break;
	}
	return error_no_memory(error);
}

static enum kioku_status learn_machine(struct live *live, struct kioku_error *error)
{
	struct live_machine *machine = &live->machine;

	live->page_size = (size_t)sysconf(_SC_PAGESIZE);
	if (!live_machine_learn(machine, live->paths))
		return error_no_memory(error);
	AUTO_FILE_TEXT struct file_text iomem = { 0 };
	TRY(file_text_read(&iomem, AT_FDCWD, live->paths->iomem, TEXT_LIMIT, error));
	machine->iomem = TAKE(iomem.data);
	return list_ram(live, &live->ram, error);
}

/* --- opening */

bool source_is_live_name(const char *where)
{
	if (strcmp(where, "live") == 0)
		return true;
	for (size_t i = 0; i < DRIVER_COUNT; i++)
		if (strcmp(where, drivers[i]->name) == 0)
			return true;
	return false;
}

static enum kioku_status try_driver(struct kioku_source *source, const struct source_driver *driver,
				    const struct kioku_source_options *options,
				    struct kioku_error *error)
{
	struct live *live = source->state;

	const struct extent *last = &live->ram.extents[live->ram.count - 1];
	if (!source->touched.leaves && !page_set_init(&source->touched, last->start + last->size))
		return error_no_memory(error);
	source->driver = driver;
	enum kioku_status status = driver->open(source, options, error);
	if (status == KIOKU_OK)
		return KIOKU_OK;
	/* Nothing of it may be there when the next one is tried. */
	free(TAKE(live->headers));
	free(TAKE(live->notes));
	live->has_mapped = live->reads_pages = false;
	source->vmcoreinfo = (struct bytes){ 0 };
	return status;
}

/* That it is not is no news on nearly all machines, so that nobody is told unless nothing else helps. */
static bool is_loaded(const struct live *live)
{
	return access(live->paths->module, F_OK) == 0;
}

static enum kioku_status no_way_in(const struct kioku_source *source, struct kioku_error *error)
{
	const struct live_machine *machine = &((const struct live *)source->state)->machine;
	char reasons[400] = "";

	for (size_t i = 0; i < machine->refusal_count; i++) {
		size_t used = strlen(reasons);
		snprintf(reasons + used, sizeof(reasons) - used, "%s%s: %s", i ? "; " : "",
			 machine->refusals[i].driver, machine->refusals[i].reason);
	}
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "there is no way to its memory: %s%s",
			 reasons, is_loaded(source->state) ? "" : "; kioku.ko is not loaded");
}

enum kioku_status live_open(struct kioku_source *source, const char *name,
			    const struct live_paths *paths,
			    const struct kioku_source_options *options, struct kioku_error *error)
{
	struct live *live = source->state = calloc(1, sizeof(*live));
	bool any = strcmp(name, "live") == 0;
	struct kioku_error reason;

	if (!live)
		return error_no_memory(error);
	source->driver = drivers[0]; /* whose close() frees the machine */
	source->machine = &live->machine;
	live->paths = paths;
	if (options->placement_count > 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "placements are for raw images, but this is a live machine");
	TRY(learn_machine(live, error));
	for (size_t i = 0; i < DRIVER_COUNT; i++) {
		if (any ? drivers[i] == &module_source && !is_loaded(live)
			: strcmp(name, drivers[i]->name) != 0)
			continue;
		enum kioku_status status =
			try_driver(source, drivers[i], options, any ? &reason : error);
		if (status == KIOKU_OK)
			report_refusals(source);
		if (status == KIOKU_OK || !any)
			return status;
		if (status == KIOKU_ERROR_NO_MEMORY)
			return error_no_memory(error);
		refuse(live, drivers[i]->name, reason.message);
	}
	return no_way_in(source, error);
}

bool kioku_source_is_live(const struct kioku_source *source)
{
	for (size_t i = 0; i < DRIVER_COUNT; i++)
		if (source->driver == drivers[i])
			return true;
	return false;
}

const struct live_machine *source_machine(const struct kioku_source *source)
{
	return source->machine;
}

const struct live_machine *source_live_machine(const struct kioku_source *source)
{
	return kioku_source_is_live(source) ? source->machine : NULL;
}

bool source_iomem_changed(const struct kioku_source *source)
{
	const struct live *live = source->state;
	CLEANUP(range_map_release) struct range_map ram = { 0 };

	if (!kioku_source_is_live(source))
		return false;
	struct live now = { .paths = live->paths };
	AUTO_FREE char *iomem = now.machine.iomem = read_text(live->paths->iomem);
	if (!iomem || list_ram(&now, &ram, NULL) != KIOKU_OK || ram.count != live->ram.count)
		return true;
	for (size_t i = 0; i < ram.count; i++)
		if (ram.extents[i].start != live->ram.extents[i].start ||
		    ram.extents[i].size != live->ram.extents[i].size)
			return true;
	return false;
}

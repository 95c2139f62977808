/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/kdump_writer.h"

#include <time.h>

#include "format/elf_format.h"
#include "format/vmcoreinfo_format.h"
#include "kernel/kernel.h"
#include "source/live.h"

#define NANOSECONDS 1000000000

/* --- bitmaps */

struct page_run {
	uint64_t start, end; /* page numbers */
};

/* The next run of pages that ranges from *index on touch; ranges may share a page. */
static bool next_run(const struct plan *plan, bool is_stored, size_t *index, struct page_run *out)
{
	bool found = false;

	for (; *index < plan->count; ++*index) {
		const struct plan_range *range = &plan->ranges[*index];
		if (is_stored && !range->is_stored)
			continue;
		uint64_t start = range->start / CAPTURE_PAGE;
		if (found && start > out->end)
			return true;
		if (!found)
			out->start = start;
		out->end = (range->start + range->size - 1) / CAPTURE_PAGE + 1;
		found = true;
	}
	return found;
}

uint64_t kdump_count_pages(const struct plan *plan, bool is_stored, uint64_t *end)
{
	uint64_t count = 0;
	struct page_run run;

	*end = 0;
	for (size_t index = 0; next_run(plan, is_stored, &index, &run); *end = run.end)
		count += run.end - run.start;
	return count;
}

#define CHUNK       4096u       /* bytes of a bitmap */
#define CHUNK_PAGES (8 * CHUNK) /* that they stand for */

static void set_bits(uint8_t *bits, uint64_t start, uint64_t end)
{
	for (; start < end && start % 8; start++)
		bits[start / 8] |= (uint8_t)(1u << start % 8);
	for (; end > start && end % 8; end--)
		bits[end / 8] |= (uint8_t)(1u << (end - 1) % 8);
	memset(bits + start / 8, 0xff, (end - start) / 8);
}

enum kioku_status kdump_emit_bitmap(struct image_writer *writer, bool is_stored, uint64_t size,
				    struct kioku_error *error)
{
	const struct plan *plan = writer->plan;
	struct page_run run = { 0 };
	uint8_t bits[CHUNK];
	size_t index = 0;
	bool more = next_run(plan, is_stored, &index, &run);
	uint64_t page = 0;

	while (more) {
		uint64_t hole = (run.start - page) / CHUNK_PAGES * CHUNK;
		TRY(writer_emit_zeros(writer, hole, error));
		page += hole * 8;
		memset(bits, 0, sizeof(bits));
		while (more && run.start < page + CHUNK_PAGES) {
			uint64_t end = run.end < page + CHUNK_PAGES ? run.end : page + CHUNK_PAGES;
			set_bits(bits, run.start - page, end - page);
			run.start = end;
			if (run.start == run.end)
				more = next_run(plan, is_stored, &index, &run);
		}
		TRY(writer_emit(writer, bits, sizeof(bits), error));
		page += CHUNK_PAGES;
	}
	return writer_emit_zeros(writer, size - page / 8, error);
}

/* --- names */

/* text may be NULL; one that is too long is cut. */
static void set_name(struct kdump_identity *identity, enum kdump_name name, const char *text,
		     size_t size)
{
	char *place = identity->names[name];

	memset(place, 0, KDUMP_NAME_SIZE);
	if (text)
		memcpy(place, text, size < KDUMP_NAME_SIZE ? size : KDUMP_NAME_SIZE - 1);
}

static void set_text(struct kdump_identity *identity, enum kdump_name name, const char *text)
{
	set_name(identity, name, text, text ? strlen(text) : 0);
}

/* "Linux version RELEASE (who built it with what) #1 SMP ...": init/version.c. */
static void take_banner(struct kdump_identity *identity, const char *banner)
{
	static const char start[] = "Linux version ";

	if (strncmp(banner, start, sizeof(start) - 1) != 0)
		return;
	const char *release = banner + sizeof(start) - 1, *version = strrchr(banner, '#');
	set_name(identity, KDUMP_RELEASE, release, strcspn(release, " "));
	set_text(identity, KDUMP_KERNEL_VERSION, version);
}

void kdump_identify(const struct image_writer *writer, const struct machine_notes *notes,
		    struct kdump_identity *out)
{
	const struct kioku_kernel *kernel = writer->kernel;
	struct bytes release;
	int64_t phys_base;

	*out = (struct kdump_identity){ .cpu_count = notes->cpu_count };
	set_text(out, KDUMP_SYSTEM, "Linux");
	set_text(out, KDUMP_MACHINE, notes->machine == EM_AARCH64 ? "aarch64" : "x86_64");
	if (kernel && kernel->banner)
		take_banner(out, kernel->banner);
	if (vmcoreinfo_find(notes->vmcoreinfo, "OSRELEASE", &release))
		set_name(out, KDUMP_RELEASE, (const char *)release.data, release.size);
	if (kernel && kernel->wall_time > 0)
		out->time = (uint64_t)(kernel->wall_time / NANOSECONDS);
	if (vmcoreinfo_decimal(notes->vmcoreinfo, "NUMBER(phys_base)", &phys_base))
		out->phys_base = (uint64_t)phys_base;
	else if (kernel && kernel->image.run_count > 0)
		out->phys_base = kernel->image.physical - (kernel->image.start - KERNEL_MAP_START);

	const struct live_machine *live = source_live_machine(writer->source);
	if (!live)
		return;
	set_text(out, KDUMP_NODE, live->host_name);
	set_text(out, KDUMP_RELEASE, live->release);
	set_text(out, KDUMP_KERNEL_VERSION, live->version);
	set_text(out, KDUMP_MACHINE, live->machine);
	out->time = (uint64_t)time(NULL);
}

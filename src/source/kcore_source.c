/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/kcore (fs/proc/kcore.c): the kernel's address space as an ELF core. RAM is what its direct
 * map shows; segments of vmalloc, vmemmap and modules have no one physical address, and that of the
 * kernel's text shows RAM once more, elsewhere.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "source/live_driver.h"
#include "source/notes.h"

/* 65,535 program headers, the most that e_phnum can hold here, have 3.5 MiB. */
#define HEADERS_LIMIT (4u << 20)
#define NOTES_LIMIT   (1u << 20)

/* Memory blocks come by the thousand, lengths that fit one by chance do not. */
#define GUESS_LIMIT (1u << 16)

struct segment {
	uint64_t virtual, physical, size, offset;
};

struct kcore {
	struct kioku_source *source;
	struct live *live;
	struct elf_header header;
	struct segment *segments;
	size_t count;
	struct note_reading notes;
};

static void kcore_release(struct kcore *kcore)
{
	free(kcore->segments);
}

/* --- headers */

static enum kioku_status read_headers(struct kcore *kcore, int descriptor,
				      struct kioku_error *error)
{
	struct live *live = kcore->live;
	uint8_t first[ELF_HEADER_SIZE];
	struct elf_header *header = &kcore->header;

	TRY(live_read_at(descriptor, 0, first, sizeof(first), error));
	const char *problem = elf_header_decode((struct bytes){ first, sizeof(first) }, header);
	if (problem)
		return error_set(error, KIOKU_ERROR_CORRUPT, "%s", problem);
	if (header->type != ET_CORE || !header->is_64 || header->segment_offset > HEADERS_LIMIT)
		return error_set(error, KIOKU_ERROR_CORRUPT, "it is no 64-bit ELF core");

	uint64_t size = header->segment_offset +
			(uint64_t)header->segment_count * header->segment_entry_size;
	if (size > HEADERS_LIMIT)
		return error_set(error, KIOKU_ERROR_CORRUPT, "its program headers have no end");
	live->headers = malloc(size);
	if (!live->headers)
		return error_no_memory(error);
	live->headers_size = size;
	return live_read_at(descriptor, 0, live->headers, size, error);
}

/* The VMCOREINFO, since 4.19. There is a note of a CPU as well, of which nothing is filled in. */
static enum kioku_status read_notes(struct kcore *kcore, int descriptor,
				    const struct elf_segment *segment, struct kioku_error *error)
{
	uint64_t size = segment->filesz < NOTES_LIMIT ? segment->filesz : NOTES_LIMIT, used;

	if (kcore->live->notes || size == 0 || segment->offset > HEADERS_LIMIT)
		return KIOKU_OK;
	uint8_t *notes = kcore->live->notes = malloc(size);
	if (!notes)
		return error_no_memory(error);
	TRY(live_read_at(descriptor, segment->offset, notes, size, error));
	TRY(notes_read(&kcore->notes, (struct bytes){ notes, size }, segment->align, &used, error));
	kcore->source->cpu_count = 0;
	return KIOKU_OK;
}

/* What pread() can reach of a segment, and physical addresses without overflow. */
static bool is_possible(const struct elf_segment *segment)
{
	return segment->filesz > 0 && segment->offset < LIVE_MAPPED &&
	       segment->filesz < LIVE_MAPPED - segment->offset &&
	       segment->filesz <= UINT64_MAX - segment->vaddr;
}

static enum kioku_status read_segments(struct kcore *kcore, int descriptor,
				       struct kioku_error *error)
{
	const struct elf_header *header = &kcore->header;
	struct bytes headers = { kcore->live->headers, kcore->live->headers_size }, table;

	bytes_slice(headers, header->segment_offset, headers.size - header->segment_offset, &table);
	kcore->segments = calloc(header->segment_count + 1u, sizeof(*kcore->segments));
	if (!kcore->segments)
		return error_no_memory(error);
	for (uint32_t i = 0; i < header->segment_count; i++) {
		struct elf_segment segment;
		if (!elf_segment_decode(table, header, i, &segment))
			break;
		if (segment.type == PT_NOTE)
			TRY(read_notes(kcore, descriptor, &segment, error));
		if (segment.type == PT_LOAD && is_possible(&segment))
			kcore->segments[kcore->count++] =
				(struct segment){ segment.vaddr, segment.paddr, segment.filesz,
						  segment.offset };
	}
	return KIOKU_OK;
}

/* --- the direct map */

/* How many bytes of RAM lie in [start, start + size). */
static uint64_t ram_in(const struct live *live, uint64_t start, uint64_t size)
{
	uint64_t end = size > UINT64_MAX - start ? UINT64_MAX : start + size, sum = 0;

	for (size_t i = range_map_after(&live->ram, start); i < live->ram.count; i++) {
		const struct extent *ram = &live->ram.extents[i];
		if (ram->start >= end)
			break;
		uint64_t from = ram->start > start ? ram->start : start;
		uint64_t to = ram->start + ram->size < end ? ram->start + ram->size : end;
		sum += to - from;
	}
	return sum;
}

/* A distance between virtual and physical addresses, and the bytes that speak for it. */
struct guess {
	uint64_t distance, bytes;
};

static int compare_guesses(const void *left, const void *right)
{
	const struct guess *a = left, *b = right;

	return (a->distance > b->distance) - (a->distance < b->distance);
}

/* The distance that most bytes speak for; 0 bytes if there is no guess. */
static struct guess best_guess(struct guess *guesses, size_t count)
{
	struct guess best = { 0 }, sum = { 0 };

	qsort(guesses, count, sizeof(*guesses), compare_guesses);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || guesses[i].distance != sum.distance)
			sum = (struct guess){ guesses[i].distance, 0 };
		sum.bytes += guesses[i].bytes;
		if (sum.bytes > best.bytes)
			best = sum;
	}
	return best;
}

/*
 * The direct map is where most RAM is: all its segments have the same distance. Whatever else has
 * physical addresses, as the kernel's text, shows the same bytes again.
 */
static enum kioku_status find_direct_map(const struct kcore *kcore, struct guess *best,
					 struct kioku_error *error)
{
	AUTO_FREE struct guess *guesses = calloc(kcore->count + 1, sizeof(*guesses));

	if (!guesses)
		return error_no_memory(error);
	for (size_t i = 0; i < kcore->count; i++) {
		const struct segment *segment = &kcore->segments[i];
		guesses[i] =
			(struct guess){ segment->virtual - segment->physical,
					ram_in(kcore->live, segment->physical, segment->size) };
	}
	*best = best_guess(guesses, kcore->count);
	return KIOKU_OK;
}

/* Before 4.11 no segment had a physical address. */
static bool has_physical(const struct kcore *kcore)
{
	for (size_t i = 0; i < kcore->count; i++)
		if (kcore->segments[i].physical != 0)
			return true;
	return false;
}

/*
 * Then segments are told by their sizes: the kernel makes one of each range of RAM, without pages
 * that are RAM in part, and they lie as far apart from each other as the ranges do.
 */
static enum kioku_status guess_physical(struct kcore *kcore, struct kioku_error *error)
{
	const struct range_map *ram = &kcore->live->ram;
	uint64_t mask = kcore->live->page_size - 1, all = 0;
	AUTO_FREE struct guess *guesses = calloc(GUESS_LIMIT, sizeof(*guesses));
	size_t count = 0;

	if (!guesses)
		return error_no_memory(error);
	for (size_t r = 0; r < ram->count; r++) {
		uint64_t start = (ram->extents[r].start + mask) & ~mask;
		uint64_t end = (ram->extents[r].start + ram->extents[r].size) & ~mask;
		all += start < end ? end - start : 0;
		for (size_t i = 0; i < kcore->count && count < GUESS_LIMIT; i++)
			if (start < end && kcore->segments[i].size == end - start)
				guesses[count++] =
					(struct guess){ kcore->segments[i].virtual - start,
							end - start };
	}
	struct guess best = best_guess(guesses, count);
	if (best.bytes <= all / 2)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "its segments have no physical addresses and do not fit %s",
				 kcore->live->paths->iomem);
	for (size_t i = 0; i < kcore->count; i++)
		kcore->segments[i].physical = kcore->segments[i].virtual - best.distance;
	return KIOKU_OK;
}

/* Where kcore has which physical address; of several places the one in the direct map. */
static enum kioku_status map_segments(struct kcore *kcore, struct range_map *map,
				      struct kioku_error *error)
{
	struct guess direct = { 0 };

	if (kcore->count > 0 && !has_physical(kcore))
		TRY(guess_physical(kcore, error));
	TRY(find_direct_map(kcore, &direct, error));
	if (direct.bytes == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "it shows no RAM");
	for (int is_direct = 1; is_direct >= 0; is_direct--)
		for (size_t i = 0; i < kcore->count; i++) {
			const struct segment *segment = &kcore->segments[i];
			uint64_t distance = segment->virtual - segment->physical;
			/* Others would add nothing but what no RAM is. */
			if ((distance == direct.distance) != is_direct ||
			    ram_in(kcore->live, segment->physical, segment->size) == 0)
				continue;
			if (!range_map_add(map,
					   (struct extent){ segment->physical, segment->size,
							    segment->offset, KIOKU_RANGE_PRESENT }))
				return error_no_memory(error);
		}
	return range_map_normalise(map) ? KIOKU_OK : error_no_memory(error);
}

/* --- RAM, as far as kcore shows it */

struct layout {
	struct kioku_source *source;
	struct range_map extents;
	int mem;                            /* a descriptor of /dev/mem, -1 until it is needed */
	uint64_t lost, first_lost, offline; /* bytes; the address of the first */
	struct kioku_error reason;          /* why the first bytes were lost */
};

static void layout_release(struct layout *layout)
{
	range_map_release(&layout->extents);
	cleanup_close(&layout->mem);
}

static bool can_map(struct layout *layout, uint64_t start, uint64_t size,
		    struct kioku_error *reason)
{
	const struct live *live = layout->source->state;

	if (layout->mem < 0 &&
	    live_open_file(live, live->paths->mem, &layout->mem, reason) != KIOKU_OK)
		return false;
	return live_read_mapped(layout->mem, live->page_size, start, NULL, size, reason) ==
	       KIOKU_OK;
}

/*
 * What kcore leaves out, which rounds ranges inward to whole pages: the last 3 KiB of 0x1000-0x9fbff
 * for one. STRICT_DEVMEM kernels let the first MiB be mapped, though not read (range_is_allowed() in
 * drivers/char/mem.c takes the 2 of devmem_is_allowed() for a yes).
 */
static bool add_gap(struct layout *layout, uint64_t start, uint64_t size)
{
	struct live *live = layout->source->state;
	struct extent extent = { start, size, start | LIVE_MAPPED, KIOKU_RANGE_PRESENT };
	struct kioku_error reason;

	if (can_map(layout, start, size, &reason)) {
		live->has_mapped = true;
		return source_add_range(layout->source, &layout->extents, extent);
	}
	if (layout->lost == 0) {
		layout->first_lost = start;
		layout->reason = reason;
	}
	layout->lost += size;
	extent.kind = KIOKU_RANGE_UNREADABLE;
	return source_add_range(layout->source, &layout->extents, extent);
}

/* As add_gap(), except for memory blocks that are offline, which are RAM in iomem all the same. */
static bool add_missing(struct layout *layout, uint64_t start, uint64_t size)
{
	for (uint64_t run; size > 0; start += run, size -= run) {
		struct extent extent = { start, 0, 0, KIOKU_RANGE_UNREADABLE };
		bool offline;
		run = live_offline_run(layout->source->state, start, size, &offline);
		extent.size = run;
		if (offline ? !source_add_range(layout->source, &layout->extents, extent)
			    : !add_gap(layout, start, run))
			return false;
		layout->offline += offline ? run : 0;
	}
	return true;
}

/* Adds one range of RAM: what kcore has of it, and what lies between. */
static bool add_ram(struct layout *layout, const struct range_map *map, const struct extent *ram)
{
	uint64_t position = ram->start, end = ram->start + ram->size;

	for (size_t i = range_map_after(map, position); i < map->count && position < end; i++) {
		const struct extent *extent = &map->extents[i];
		uint64_t from = extent->start < end ? extent->start : end;
		uint64_t to = extent->start + extent->size;
		to = to < end ? to : end;
		if (from > position && !add_missing(layout, position, from - position))
			return false;
		from = from > position ? from : position;
		if (to > from &&
		    !source_add_range(layout->source, &layout->extents,
				      (struct extent){ from, to - from,
						       extent->offset + (from - extent->start),
						       KIOKU_RANGE_PRESENT }))
			return false;
		position = to > position ? to : position;
	}
	return position >= end || add_missing(layout, position, end - position);
}

static enum kioku_status add_layout(struct kcore *kcore, const struct range_map *map,
				    struct kioku_error *error)
{
	const struct live *live = kcore->live;
	CLEANUP(layout_release) struct layout layout = { .source = kcore->source, .mem = -1 };

	for (size_t i = 0; i < live->ram.count; i++)
		if (!add_ram(&layout, map, &live->ram.extents[i]))
			return error_no_memory(error);
	if (layout.offline > 0)
		diagnose(&kcore->source->diagnostics, KIOKU_NOTE,
			 "%llu bytes of RAM are offline, and cannot be read",
			 (unsigned long long)layout.offline);
	if (layout.lost > 0)
		diagnose(&kcore->source->diagnostics, KIOKU_GAP,
			 "%llu bytes of RAM, the first at physical address 0x%llx, are not in %s "
			 "and cannot be had otherwise: %s",
			 (unsigned long long)layout.lost, (unsigned long long)layout.first_lost,
			 live->paths->kcore, layout.reason.message);
	TRY(live_access.open(kcore->source, &kcore->source->access, error));
	return source_add_layout(kcore->source, &layout.extents, error);
}

static enum kioku_status open_kcore(struct kioku_source *source,
				    const struct kioku_source_options *options,
				    struct kioku_error *error)
{
	CLEANUP(kcore_release) struct kcore kcore = { .source = source, .live = source->state };
	CLEANUP(range_map_release) struct range_map map = { 0 };
	AUTO_CLOSE int descriptor = -1;

	kcore.notes =
		(struct note_reading){ source, &kcore.header, .cpu_note = ELF_REGISTERS_NONE };
	kcore.live->memory_path = kcore.live->paths->kcore;
	TRY(live_open_file(kcore.live, kcore.live->memory_path, &descriptor, error));
	TRY(read_headers(&kcore, descriptor, error));
	TRY(read_segments(&kcore, descriptor, error));
	TRY(map_segments(&kcore, &map, error));
	return add_layout(&kcore, &map, error);
}

const struct source_driver kcore_source = {
	.name = "kcore",
	.help = "live machine",
	.open = open_kcore,
	.access = &live_access,
	.close = live_close,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a kernel: which candidate is the running one. */
#include <string.h>

#include "kernel/clock.h"
#include "kernel/direct_map.h"
#include "kernel/given.h"
#include "kernel/locate.h"
#include "kernel/module_types.h"
#include "kernel/profile.h"
#include "kernel/ram.h"
#include "kernel/record.h"
#include "kernel/swap.h"
#include "source/source.h"

#define CANDIDATE_LIMIT 64
#define MESSAGE_LIMIT   200

/* Diagnostics of a candidate count only if it wins. */
struct messages {
	struct arena arena;
	struct {
		enum kioku_severity severity;
		const char *text;
	} list[MESSAGE_LIMIT];
	size_t count;
};

struct search {
	struct kioku_source *source;
	const struct profile *profile; /* given by the caller: this one or none */
	struct given *given;           /* likewise; NULL: the image's own types and symbols */
	const char *cache_folder;
	bool ignores_btf;
	struct kioku_error refusal; /* why the profile did not fit; OK if it was not asked */
	struct kioku_kernel *best;
	size_t placement, best_placement;
	bool everywhere;          /* the cheap places led to no living kernel */
	struct messages messages; /* of best */
	struct {
		uint64_t physical, virtual;
	} seen[CANDIDATE_LIMIT];
	size_t seen_count;
};

static void keep_message(void *user, enum kioku_severity severity, const char *message)
{
	struct messages *messages = user;

	if (messages->count == MESSAGE_LIMIT)
		return;
	const char *text = arena_copy(&messages->arena, message, strlen(message));
	if (!text)
		return;
	messages->list[messages->count].severity = severity;
	messages->list[messages->count++].text = text;
}

void kioku_kernel_close(struct kioku_kernel *kernel)
{
	if (!kernel)
		return;
	swap_say_use(kernel);
	swap_close(kernel->swap);
	record_cache_release(kernel);
	module_types_release(kernel);
	symbols_close(kernel->symbols);
	types_close(kernel->types);
	types_close(kernel->own_types);
	given_close(kernel->given_kept);
	profile_close(kernel->profile);
	image_release(&kernel->image);
	arena_release(&kernel->arena);
	free(kernel);
}

/* Every process shares the kernel's tables: one attempt for each image is enough. */
static bool seen_before(struct search *search, const struct image *image)
{
	for (size_t i = 0; i < search->seen_count; i++)
		if (search->seen[i].physical == image->physical &&
		    search->seen[i].virtual == image->start)
			return true;
	if (search->seen_count == CANDIDATE_LIMIT)
		return true;
	search->seen[search->seen_count].physical = image->physical;
	search->seen[search->seen_count++].virtual = image->start;
	return false;
}

/* The better proof wins; between equals the later clock, for an earlier boot may be all there. */
static bool is_better(const struct kioku_kernel *kernel, const struct kioku_kernel *best)
{
	if (kernel->proof != best->proof)
		return kernel->proof > best->proof;
	return kernel->wall_time > best->wall_time;
}

static enum kioku_status consider(void *user, const struct candidate *candidate)
{
	struct search *search = user;
	AUTO_KERNEL struct kioku_kernel *kernel = NULL;
	struct messages messages = { 0 };

	kernel = calloc(1, sizeof(*kernel));
	if (!kernel)
		return KIOKU_ERROR_NO_MEMORY;
	kernel->source = search->source;
	kernel->found_by_scan = search->everywhere;
	kernel->ignores_btf = search->ignores_btf;
	kernel->given = search->given;
	kernel->diagnostics = (struct diagnostics){ keep_message, &messages };
	if (!kernel_map(kernel, candidate) || seen_before(search, &kernel->image))
		return KIOKU_OK;
	enum kioku_status status =
		kernel_prove(kernel, search->profile, search->cache_folder, &search->refusal);
	if (status ==
	    KIOKU_ERROR_REFUSED) /* another candidate may be the profile's or file's kernel */
		status = KIOKU_OK;
	if (status == KIOKU_OK && kernel->proof >= PROOF_BANNER) {
		direct_map_find(kernel);
		ram_learn(kernel);
		if (kernel->direct_map) {
			kernel->space.linear_start = kernel->direct_map;
			kernel->space.linear_size = source_end(search->source);
		}
		clock_read(kernel);
		/* The same kernel in another arrangement of the file is no second one. */
		if (search->best && search->best_placement == search->placement)
			keep_message(
				&messages, KIOKU_NOTE,
				"more than one kernel proves itself: an earlier boot, or a crash "
				"kernel; the one with the later clock is taken");
		if (!search->best || is_better(kernel, search->best)) {
			arena_release(&search->messages.arena);
			search->messages = messages;
			kioku_kernel_close(search->best);
			search->best = TAKE(kernel);
			search->best_placement = search->placement;
			return KIOKU_OK;
		}
	}
	arena_release(&messages.arena);
	return status;
}

/* An unsigned long of the kernel's image; 0 if there is none. */
static uint64_t image_variable(const struct kioku_kernel *kernel, const char *name)
{
	uint64_t address = kernel_symbol(kernel, name);
	uint8_t raw[8];

	if (!address || !image_contains(&kernel->image, address) ||
	    kioku_source_read(kernel->source, image_to_physical(&kernel->image, address), raw,
			      sizeof(raw), NULL) != KIOKU_OK)
		return 0;
	return load_le64(raw);
}

/*
 * Where the machine's RAM ends (max_pfn, mm/memblock.c: the page after the last); 0 if unknown. Read
 * where the image lies, not through page tables: these may be in the part that is arranged wrongly.
 */
static uint64_t memory_end(const struct kioku_kernel *kernel)
{
	uint64_t max_pfn = image_variable(kernel, "max_pfn");

	return max_pfn <= UINT64_MAX / PAGE_SIZE ? max_pfn * PAGE_SIZE : 0;
}

/* If a headerless file is arranged right, it ends where RAM does. */
static size_t right_placement(struct kioku_kernel *kernel, size_t found)
{
	uint64_t ram = memory_end(kernel);
	size_t right = ram ? source_placement_ending_at(kernel->source, ram, found) : found;

	return right == SIZE_MAX ? found : right;
}

static enum kioku_status search_placement(struct search *search, size_t index)
{
	source_select_placement(search->source, index);
	search->placement = index;
	search->seen_count = 0;
	return (search->everywhere ? candidates_scan : candidates_known)(search->source, consider,
									 search);
}

/*
 * What it takes to find a kernel may lie right in a wrong arrangement too. If it says where its
 * memory ends, that decides; otherwise the arrangement in which it proves itself best.
 */
static enum kioku_status search_placements(struct search *search)
{
	size_t count = source_placement_count(search->source);

	for (size_t i = 0; i < count; i++) {
		TRY(search_placement(search, i));
		if (!search->best || search->best_placement != i || memory_end(search->best) == 0)
			continue;
		size_t right = right_placement(search->best, i);
		if (right != i) {
			kioku_kernel_close(search->best);
			search->best = NULL;
			TRY(search_placement(search, right));
		}
		if (search->best)
			break;
	}
	if (search->best)
		source_select_placement(search->source, search->best_placement);
	return KIOKU_OK;
}

/*
 * Whether a page of the image is none of its own any more: given up once the kernel had booted
 * (arch/x86/mm/init.c, free_initmem(), mark_rodata_ro(), mem_encrypt_free_decrypted_mem();
 * arch/x86/kernel/alternative.c, alternative_instructions()), or, in the large page that maps its
 * end, past what early boot took from .brk (arch/x86/kernel/setup.c, reserve_brk(),
 * cleanup_highmap()); v4.18 to v7.0. A dump without free pages lacks nothing there.
 */
static bool is_given_up(const struct kioku_kernel *kernel, uint64_t page, uint64_t brk_end)
{
	static const char *const parts[][2] = { { "__init_begin", "__init_end" },
						{ "__smp_locks", "__smp_locks_end" },
						{ "_etext", "__start_rodata" },
						{ "__end_rodata", "_sdata" },
						{ "__start_bss_decrypted_unused",
						  "__end_bss_decrypted" } };

	if (brk_end && page >= brk_end)
		return true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		uint64_t start = kernel_symbol(kernel, parts[i][0]);
		uint64_t end = kernel_symbol(kernel, parts[i][1]);
		if (start && page >= start && page + PAGE_SIZE <= end)
			return true;
	}
	return false;
}

/* Bytes of the kernel's image that the source lacks. */
static uint64_t count_lost(const struct kioku_kernel *kernel)
{
	const struct image *image = &kernel->image;
	uint64_t brk_end = image_variable(kernel, "_brk_end"), lost = 0;

	/* It lies after all sections that have symbols, or it was overwritten. */
	if (brk_end < kernel_symbol(kernel, "__bss_stop") || brk_end > image->end)
		brk_end = 0;
	for (size_t i = 0; i < image->run_count; i++) {
		const struct mapping *run = &image->runs[i];
		if (source_has(kernel->source, run->physical, run->size))
			continue;
		for (uint64_t at = 0; at < run->size; at += PAGE_SIZE)
			if (!source_has(kernel->source, run->physical + at, PAGE_SIZE) &&
			    !is_given_up(kernel, run->virtual + at, brk_end))
				lost += PAGE_SIZE;
	}
	return lost;
}

/* An image that ends before the machine's memory, or the kernel itself, did has lost what follows. */
static void check_coverage(struct kioku_kernel *kernel)
{
	uint64_t ram = memory_end(kernel);
	uint64_t end = source_end(kernel->source);
	uint64_t lost = count_lost(kernel);
	uint64_t missing = candidates_missing(kernel->source);
	if (kernel->found_by_scan && missing)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "low memory names page tables at 0x%llx, which are not in the image: the "
			 "kernel that was found may be of an earlier boot",
			 (unsigned long long)missing);
	if (lost)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "parts of the kernel's own memory are not in the image: %llu bytes",
			 (unsigned long long)lost);
	if (ram > end)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "the image ends at 0x%llx, but the machine's memory at 0x%llx",
			 (unsigned long long)end, (unsigned long long)ram);
}

/* Cheap places first; everything if no kernel there is alive. */
static enum kioku_status search_kernel(struct search *search, struct kioku_error *error)
{
	enum kioku_status status = search_placements(search);

	/* A kernel that refused what was given is the running one: no earlier one is looked for that would take it. */
	bool refused = search->given && search->refusal.status == KIOKU_ERROR_REFUSED;
	if (status == KIOKU_OK && !refused &&
	    (!search->best || search->best->proof < PROOF_ALIVE)) {
		search->everywhere = true;
		status = search_placements(search);
	}
	if (status != KIOKU_OK)
		return error_set(error, status, "cannot look for a kernel: %s",
				 kioku_status_name(status));
	if (search->best)
		return KIOKU_OK;
	if (search->refusal.status == KIOKU_ERROR_REFUSED) {
		if (error)
			*error = search->refusal;
		return KIOKU_ERROR_REFUSED;
	}
	return error_set(error, KIOKU_ERROR_NOT_FOUND,
			 "no x86-64 Linux kernel proves itself in this image: no page tables lead "
			 "to an image with a banner");
}

/* For views that do without a kernel. */
static enum kioku_status open_memory(struct kioku_source *source,
				     const struct diagnostics *diagnostics,
				     struct kioku_kernel **out, struct kioku_error *error)
{
	struct kioku_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return error_no_memory(error);
	source_select_placement(source, 0);
	kernel->source = source;
	kernel->diagnostics = *diagnostics;
	diagnose(diagnostics, KIOKU_WARNING,
		 "no x86-64 Linux kernel proves itself in this image; only its memory is searched");
	*out = kernel;
	return KIOKU_OK;
}

enum kioku_status kioku_kernel_open(struct kioku_source *source,
				    const struct kioku_kernel_options *options,
				    struct kioku_kernel **out, struct kioku_error *error)
{
	AUTO_PROFILE struct profile *profile = NULL;
	AUTO_GIVEN struct given *files = NULL;
	struct kioku_kernel_options given = { 0 };

	if (options)
		memcpy(&given, options,
		       options->size < sizeof(given) ? options->size : sizeof(given));
	if (given.profile)
		TRY(profile_open(given.profile, &profile, error));
	TRY(given_open(&given, &files, error));
	/* What is cached must neither replace what was given nor come from it. */
	if (files)
		given.cache_folder = NULL;

	if (given.ignore_btf)
		given.cache_folder = NULL; /* what is there has been made from BTF */
	struct search search = { .source = source,
				 .profile = profile,
				 .given = files,
				 .cache_folder = given.cache_folder,
				 .ignores_btf = given.ignore_btf };
	enum kioku_status status = search_kernel(&search, error);
	AUTO_KERNEL struct kioku_kernel *kernel = search.best;
	struct diagnostics diagnostics = { given.diagnostic, given.diagnostic_user };
	bool complete = true;
	for (size_t i = 0; i < search.messages.count && status == KIOKU_OK; i++) {
		complete = complete && search.messages.list[i].severity != KIOKU_GAP;
		diagnose(&diagnostics, search.messages.list[i].severity, "%s",
			 search.messages.list[i].text);
	}
	arena_release(&search.messages.arena);
	if (status == KIOKU_ERROR_NOT_FOUND && given.memory_alone)
		return open_memory(source, &diagnostics, out, error);
	if (status != KIOKU_OK)
		return status;

	/* Users that are never freed, tables of names, what the kernel says of itself. */
	source_keep(source, kernel->image.physical, kernel->image.end - kernel->image.start);
	kernel->diagnostics = diagnostics;

	if (profile)
		kernel->profile = TAKE(profile);
	kernel->given_kept = TAKE(files);
	kernel_collect_facts(kernel);
	check_coverage(kernel);
	if (!kernel->profile && given.cache_folder && complete && kernel->build_id_size &&
	    kernel->symbols && kernel->types && !kernel->types_are_inferred)
		profile_keep(kernel, given.cache_folder);
	*out = TAKE(kernel);
	return KIOKU_OK;
}

void kernel_types_are_inferred(struct kioku_kernel *kernel, struct bytes member_evidence)
{
	kernel->types_are_inferred = kernel->types_are_foreign = true;
	kernel->member_evidence = member_evidence;
	diagnose(
		&kernel->diagnostics, KIOKU_GAP,
		"there is no type information: layouts are inferred from memory, and what rests on "
		"members that were not found is missing");
}

enum kioku_basis kioku_kernel_basis(const struct kioku_kernel *kernel)
{
	if (kernel->forced)
		return KIOKU_BASIS_FORCED;
	if (!kernel->types)
		return KIOKU_BASIS_NONE;
	return kernel->types_are_inferred ? KIOKU_BASIS_INFERRED : KIOKU_BASIS_TYPES;
}

const char *kioku_basis_name(enum kioku_basis basis)
{
	switch (basis) {
	case KIOKU_BASIS_NONE: return "none";
	case KIOKU_BASIS_TYPES: return "types";
	case KIOKU_BASIS_INFERRED: return "inferred";
	case KIOKU_BASIS_FORCED: return "forced";
	}
	return "unknown";
}

const struct kioku_symbols *kioku_kernel_symbols(const struct kioku_kernel *kernel)
{
	return kernel->symbols;
}

const struct kioku_types *kioku_kernel_types(const struct kioku_kernel *kernel)
{
	return kernel->types;
}

struct kioku_address_space *kioku_kernel_space(struct kioku_kernel *kernel)
{
	return kernel->proof == PROOF_NONE ? NULL : &kernel->space;
}

const struct kioku_fact *kioku_kernel_facts(const struct kioku_kernel *kernel, size_t *count)
{
	*count = kernel->fact_count;
	return kernel->facts;
}

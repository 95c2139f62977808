/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/unowned_code.h"

#include <stdlib.h>

#include "base/growing.h"
#include "kernel/list.h"
#include "kernel/live_symbols.h"
#include "kernel/maple.h"
#include "kernel/module_scan.h"

struct search {
	const struct module_sightings *sightings;
	uint64_t *known; /* addresses in allocations with an owner, ascending */
	size_t known_count, known_capacity;
	struct code_range *spare; /* executable memory that is not in use, ascending */
	size_t spare_count, spare_capacity;
	uint64_t start, end; /* of the allocation that is being walked */
	uint64_t first;      /* unowned page of it, and how many there are */
	uint64_t pages;
	unowned_code_fn *receive;
	void *user;
};

static void search_release(struct search *search)
{
	free(search->known);
	free(search->spare);
}

/* --- owners */

static enum kioku_status add_known(struct search *search, uint64_t address)
{
	if (!GROW(search->known, search->known_count, search->known_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	search->known[search->known_count++] = address;
	return KIOKU_OK;
}

static enum kioku_status add_symbol(void *user, const struct live_symbol *symbol)
{
	return add_known(user, symbol->address);
}

/* Memory for several BPF programs, some of which have no symbol: filters of sockets, seccomp(2)'s. */
struct pack {
	uint64_t next, memory;
};

static const struct member pack_members[] = {
	MEMBER(struct pack, next, "list.next"),
	MEMBER(struct pack, memory, "ptr"),
};
static const struct record pack_record = RECORD(struct pack, "bpf_prog_pack", pack_members);

static enum kioku_status add_packs(struct search *search)
{
	struct kioku_kernel *kernel = search->sightings->kernel;
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	uint64_t head = kernel_symbol(kernel, "pack_list"), node;
	const struct binding *binding;
	struct pack pack;

	/* v5.18 on. */
	if (!head || record_bind(kernel, &pack_record, &binding, NULL) != KIOKU_OK)
		return KIOKU_OK;
	list_begin(&walk, kernel, head, "memory of BPF programs");
	while (list_next(&walk, &node)) {
		uint64_t start = node - BINDING_OFFSET(binding, struct pack, next);
		enum kioku_status status = record_read(kernel, binding, start, &pack, NULL);
		if (status != KIOKU_OK)
			list_reject(&walk, kioku_status_name(status));
		else
			TRY(add_known(search, pack.memory));
	}
	return KIOKU_OK;
}

struct cache {
	uint64_t spare; /* the root of a tree of what was given back, or never used */
};

static const struct member cache_members[] = { MEMBER(struct cache, spare, "free_areas.ma_root") };
static const struct record cache_record = RECORD(struct cache, "execmem_cache", cache_members);

static enum kioku_status add_spare(void *user, uint64_t first, uint64_t last, uint64_t pointer)
{
	struct search *search = user;

	(void)pointer;
	if (!GROW(search->spare, search->spare_count, search->spare_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	search->spare[search->spare_count++] = (struct code_range){ first, last + 1 };
	return KIOKU_OK;
}

/* mm/execmem.c, v6.13 on: code is taken from large pages, which are executable as a whole. */
static enum kioku_status add_cache(struct search *search)
{
	struct kioku_kernel *kernel = search->sightings->kernel;
	uint64_t cache = kernel_symbol(kernel, "execmem_cache");
	const struct binding *binding;

	if (!cache || record_bind(kernel, &cache_record, &binding, NULL) != KIOKU_OK)
		return KIOKU_OK;
	uint64_t root = cache + BINDING_OFFSET(binding, struct cache, spare);
	enum kioku_status status =
		maple_each(kernel, root - maple_root_offset(kernel),
			   "executable memory that is not in use", add_spare, search, NULL);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (status != KIOKU_OK)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "executable memory that is not in use: %s", kioku_status_name(status));
	return KIOKU_OK;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int compare_with_allocation(const void *key, const void *element)
{
	const struct search *search = key;
	uint64_t address = *(const uint64_t *)element;

	return address < search->start ? 1 : address >= search->end ? -1 : 0;
}

static bool is_module(const struct search *search, uint64_t address)
{
	for (size_t i = 0; i < search->sightings->count; i++)
		if (module_has(&search->sightings->found[i].module, address))
			return true;
	return false;
}

static int compare_with_range(const void *key, const void *element)
{
	const struct code_range *range = element;
	uint64_t address = *(const uint64_t *)key;

	return address < range->start ? -1 : address >= range->end ? 1 : 0;
}

static bool is_spare(const struct search *search, uint64_t address)
{
	return search->spare_count && bsearch(&address, search->spare, search->spare_count,
					      sizeof(*search->spare), compare_with_range);
}

/* --- pages */

static enum kioku_status end_allocation(struct search *search)
{
	if (search->pages == 0 ||
	    (search->known_count && bsearch(search, search->known, search->known_count,
					    sizeof(*search->known), compare_with_allocation)))
		return KIOKU_OK;
	return search->receive(search->user, search->first, search->pages);
}

static enum kioku_status take_mapping(void *user, const struct mapping *mapping)
{
	struct search *search = user;

	if (mapping->virtual != search->end) {
		TRY(end_allocation(search));
		search->start = mapping->virtual;
		search->pages = 0;
	}
	search->end = mapping->virtual + mapping->size;
	if (!(mapping->permissions & KIOKU_PERMISSION_EXECUTE))
		return KIOKU_OK;
	for (uint64_t at = mapping->virtual; at < search->end; at += PAGE_SIZE) {
		if (is_module(search, at) || is_spare(search, at))
			continue;
		if (search->pages++ == 0)
			search->first = at;
	}
	return KIOKU_OK;
}

enum kioku_status unowned_code_each(const struct module_sightings *sightings,
				    unowned_code_fn *receive, void *user)
{
	CLEANUP(search_release)
	struct search search = { .sightings = sightings, .receive = receive, .user = user };
	struct address_walk walk = { .first = MODULES_FIRST,
				     .last = MODULES_LAST,
				     .receive = take_mapping,
				     .user = &search };

	TRY(live_symbols_each_made(sightings->kernel, add_symbol, &search));
	TRY(add_packs(&search));
	TRY(add_cache(&search));
	if (search.known_count)
		qsort(search.known, search.known_count, sizeof(*search.known), compare);
	TRY(address_space_walk(&sightings->kernel->space, &walk));
	return end_allocation(&search);
}

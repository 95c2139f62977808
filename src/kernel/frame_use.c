/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/frame_use.h"

#include <string.h>

#include "kernel/page.h"

#define ORDER_LIMIT 11u /* MAX_ORDER without CONFIG_ARCH_FORCE_MAX_ORDER, which x86 has not */

struct page_facts {
	uint64_t flags, mapping, private, head;
	uint32_t type;
};

static const struct member page_members[] = {
	MEMBER(struct page_facts, flags, "flags"),
	MEMBER(struct page_facts, mapping, "mapping"),
	MEMBER(struct page_facts, private, "private"),
	MEMBER(struct page_facts, head, "compound_head", "compound_info"),
	MEMBER(struct page_facts, type, "page_type"),
};
static const struct record page_record = RECORD(struct page_facts, "page", page_members);

static const struct member slab_members[] = {
	OPTIONAL(struct frame_slab, cache, "slab_cache"),
	OPTIONAL(struct frame_slab, objects, "objects"),
};
static const struct record slab_record = RECORD(struct frame_slab, "slab", slab_members);
/* Until v5.16. */
static const struct record old_slab_record = RECORD(struct frame_slab, "page", slab_members);

struct cache_facts {
	uint64_t name;
};

static const struct member cache_members[] = { MEMBER(struct cache_facts, name, "name") };
static const struct record cache_record = RECORD(struct cache_facts, "kmem_cache", cache_members);

struct mapping_facts {
	uint64_t host;
};

static const struct member mapping_members[] = { MEMBER(struct mapping_facts, host, "host") };
static const struct record mapping_record =
	RECORD(struct mapping_facts, "address_space", mapping_members);

struct host_facts {
	uint64_t mapping, alias;
};

static const struct member host_members[] = {
	MEMBER(struct host_facts, mapping, "i_mapping"),
	MEMBER(struct host_facts, alias, "i_dentry.first"),
};
static const struct record host_record = RECORD(struct host_facts, "inode", host_members);

struct alias_facts {
	uint64_t next;
};

static const struct member alias_members[] = {
	MEMBER(struct alias_facts, next, "d_u.d_alias.next", "d_alias.next"),
};
static const struct record alias_record = RECORD(struct alias_facts, "dentry", alias_members);

/* --- what BTF says */

/* The mask of a flag; 0: there is none. */
static uint64_t flag(const struct kioku_types *types, const char *name)
{
	uint64_t bit;

	return types_enum_value(types, "pageflags", name, &bit) && bit < 64 ? UINT64_C(1) << bit
									    : 0;
}

static uint32_t type_value(const struct kioku_types *types, const char *name)
{
	uint64_t value;

	return types_enum_value(types, "pagetype", name, &value) ? (uint32_t)value : 0;
}

static void learn_page_types(struct frame_reader *reader)
{
	const struct kioku_types *types = reader->kernel->types;

	reader->buddy = type_value(types, "PGTY_buddy");
	if (reader->buddy) {
		reader->form = PAGE_TYPE_TOP;
		reader->slab_type = type_value(types, "PGTY_slab");
		reader->table = type_value(types, "PGTY_table");
		return;
	}
	reader->buddy = type_value(types, "PG_buddy");
	reader->base = type_value(types, "PAGE_TYPE_BASE");
	if (reader->buddy && reader->base) {
		reader->form = PAGE_TYPE_BITS;
		reader->slab_type = type_value(types, "PG_slab");
		reader->table = type_value(types, "PG_table");
		return;
	}
	/* include/linux/page-flags.h, v4.18 to v6.9; other types had changing bits. */
	reader->form = PAGE_TYPE_MACROS;
	reader->base = 0xf0000000;
	reader->buddy = 0x80;
}

static bool has_type(const struct frame_reader *reader, uint32_t type, uint32_t wanted)
{
	if (!wanted)
		return false;
	if (reader->form == PAGE_TYPE_TOP)
		return type >> 24 == wanted;
	return (type & (reader->base | wanted)) == reader->base;
}

enum kioku_status frame_reader_open(struct kioku_kernel *kernel, struct frame_reader *out,
				    struct kioku_error *error)
{
	uint64_t page;

	*out = (struct frame_reader){ .kernel = kernel };
	if (!kernel->types)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this image has no type information (BTF)");
	TRY(record_bind(kernel, &page_record, &out->page, error));
	TRY(page_of_physical(kernel, 0, &page, error));
	if (record_bind(kernel, &slab_record, &out->slab, NULL) != KIOKU_OK)
		TRY(record_bind(kernel, &old_slab_record, &out->slab, error));
	out->slab_flag = flag(kernel->types, "PG_slab");
	out->reserved_flag = flag(kernel->types, "PG_reserved");
	learn_page_types(out);
	return KIOKU_OK;
}

/* --- frames */

/* Of a tail, the head: a pointer, or from v7.0 on a mask where a struct page has 64 bytes. */
static uint64_t head_of(const struct frame_reader *reader, uint64_t page, uint64_t head)
{
	uint64_t physical;

	if (!(head & 1))
		return page;
	head--;
	if (head >> 28 == UINT64_MAX >> 28)
		head &= page;
	return page_physical(reader->kernel, head, &physical, NULL) == KIOKU_OK ? head : page;
}

static bool is_slab(const struct frame_reader *reader, const struct page_facts *facts)
{
	return (facts->flags & reader->slab_flag) ||
	       has_type(reader, facts->type, reader->slab_type);
}

static bool read_slab(const struct frame_reader *reader, uint64_t page, struct frame_slab *out)
{
	return record_read(reader->kernel, reader->slab, page, out, NULL) == KIOKU_OK;
}

/* Only the first page of a slab says that it is one. */
bool frame_slab_read(const struct frame_reader *reader, uint64_t physical, struct frame_slab *out)
{
	struct page_facts facts;
	uint64_t page;

	return page_of_physical(reader->kernel, physical, &page, NULL) == KIOKU_OK &&
	       record_read(reader->kernel, reader->page, page, &facts, NULL) == KIOKU_OK &&
	       is_slab(reader, &facts) && read_slab(reader, page, out);
}

/* The inode of a mapping, if both know each other; 0: they do not. */
static uint64_t host_of(const struct frame_reader *reader, uint64_t mapping)
{
	struct kioku_kernel *kernel = reader->kernel;
	const struct binding *binding, *host_binding;
	struct mapping_facts facts;
	struct host_facts host;

	if (!kernel_is_pointer(kernel, mapping) ||
	    record_bind(kernel, &mapping_record, &binding, NULL) != KIOKU_OK ||
	    record_bind(kernel, &host_record, &host_binding, NULL) != KIOKU_OK ||
	    record_read(kernel, binding, mapping, &facts, NULL) != KIOKU_OK ||
	    !kernel_is_pointer(kernel, facts.host) ||
	    record_read(kernel, host_binding, facts.host, &host, NULL) != KIOKU_OK)
		return 0;
	return host.mapping == mapping ? facts.host : 0;
}

/* Whether one of the blocks that a frame may be part of is free. Only its first page says so. */
static bool is_free(const struct frame_reader *reader, uint64_t physical)
{
	struct page_facts facts;
	uint64_t page, last = UINT64_MAX;

	for (unsigned order = 0; order < ORDER_LIMIT; order++) {
		uint64_t first = physical & ~((PAGE_SIZE << order) - UINT64_C(1));
		if (first == last)
			continue;
		last = first;
		if (page_of_physical(reader->kernel, first, &page, NULL) == KIOKU_OK &&
		    record_read(reader->kernel, reader->page, page, &facts, NULL) == KIOKU_OK &&
		    has_type(reader, facts.type, reader->buddy) && facts.private >= order &&
		    facts.private < ORDER_LIMIT && first + (PAGE_SIZE << facts.private) > physical)
			return true;
	}
	return false;
}

static void classify_mapping(const struct frame_reader *reader, uint64_t mapping,
			     struct frame_use *out)
{
	/* The low bits of page->mapping, include/linux/page-flags.h. */
	enum { ANONYMOUS = 1, KSM = 3 };

	if ((mapping & 3) == 0) {
		out->inode = mapping ? host_of(reader, mapping) : 0;
		out->kind = out->inode ? FRAME_FILE : FRAME_UNKNOWN;
	} else if (kernel_is_pointer(reader->kernel, mapping & ~UINT64_C(3))) {
		out->kind = (mapping & 3) == KSM         ? FRAME_KSM
			    : (mapping & 3) == ANONYMOUS ? FRAME_ANONYMOUS
							 : FRAME_UNKNOWN;
	}
}

enum kioku_status frame_use_read(const struct frame_reader *reader, uint64_t physical,
				 struct frame_use *out)
{
	struct kioku_kernel *kernel = reader->kernel;
	struct page_facts facts;
	struct frame_slab slab;
	uint64_t page, head;

	*out = (struct frame_use){ 0 };
	TRY(page_of_physical(kernel, physical, &page, NULL));
	TRY(record_read(kernel, reader->page, page, &facts, NULL));
	/* Slabs may keep something else where others have the way to their head: v7.0. */
	head = is_slab(reader, &facts) ? page : head_of(reader, page, facts.head);
	if (head != page)
		TRY(record_read(kernel, reader->page, head, &facts, NULL));
	if (is_slab(reader, &facts)) {
		out->kind = FRAME_SLAB;
		out->cache = read_slab(reader, head, &slab) ? slab.cache : 0;
	} else if (facts.flags & reader->reserved_flag) {
		out->kind = FRAME_RESERVED;
	} else if (has_type(reader, facts.type, reader->table)) {
		out->kind = FRAME_TABLE;
	} else {
		classify_mapping(reader, facts.mapping, out);
		if (out->kind == FRAME_UNKNOWN && is_free(reader, physical))
			out->kind = FRAME_FREE;
	}
	return KIOKU_OK;
}

/* --- names */

static enum kioku_status name_cache(struct kioku_kernel *kernel, uint64_t cache,
				    struct path_text *out)
{
	const struct binding *binding;
	struct cache_facts facts;

	if (!kernel_is_pointer(kernel, cache))
		return KIOKU_ERROR_CORRUPT;
	TRY(record_bind(kernel, &cache_record, &binding, NULL));
	TRY(record_read(kernel, binding, cache, &facts, NULL));
	for (out->size = 0; out->size < 128; out->size++) {
		TRY(kernel_read(kernel, facts.name + out->size, &out->data[out->size], 1, NULL));
		if (!out->data[out->size])
			return out->size > 0 ? KIOKU_OK : KIOKU_ERROR_NOT_FOUND;
	}
	return KIOKU_ERROR_CORRUPT;
}

static enum kioku_status name_file(struct kioku_kernel *kernel, uint64_t inode,
				   struct path_text *out)
{
	const struct binding *binding, *alias;
	struct host_facts host;
	struct dentry dentry;

	TRY(record_bind(kernel, &host_record, &binding, NULL));
	TRY(record_bind(kernel, &alias_record, &alias, NULL));
	TRY(record_read(kernel, binding, inode, &host, NULL));
	if (!host.alias)
		return KIOKU_ERROR_NOT_FOUND;
	uint64_t address = host.alias - BINDING_OFFSET(alias, struct alias_facts, next);
	TRY(dentry_read(kernel, address, &dentry));
	if (dentry.inode != inode)
		return KIOKU_ERROR_CORRUPT;
	TRY(path_of_dentry(kernel, address, out));
	path_mark_deleted(out);
	return KIOKU_OK;
}

enum kioku_status frame_use_name(const struct frame_reader *reader, const struct frame_use *use,
				 struct path_text *out)
{
	enum kioku_status status = KIOKU_ERROR_NOT_FOUND;

	out->size = 0;
	out->deleted = false;
	if (use->kind == FRAME_SLAB)
		status = name_cache(reader->kernel, use->cache, out);
	else if (use->kind == FRAME_FILE)
		status = name_file(reader->kernel, use->inode, out);
	if (status != KIOKU_OK)
		out->size = 0;
	return status;
}

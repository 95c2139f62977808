/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/module_types.h"
#include "kernel/page.h"
#include "kernel/zpool.h"

enum {
	ZSPAGE_MAGIC = 0x58,
	HANDLE_SIZE = 8,    /* in front of every object of a page that is not huge */
	TAG_BITS_LIMIT = 2, /* OBJ_TAG_BITS: 2 in v6.3, 1 before v6.9, else 0 */
	CLASS_LIMIT = 512,  /* 9 bits: CLASS_BITS + 1 */
};

struct zspage {
	uint32_t is_huge, class, magic;
	uint64_t pool;
};

static const struct member zspage_members[] = {
	OPTIONAL(struct zspage, is_huge, "huge"), /* since a41ec880aa7b, v5.17 */
	MEMBER(struct zspage, class, "class"),
	MEMBER(struct zspage, magic, "magic"),
	OPTIONAL(struct zspage, pool, "pool"),
};
static const struct record zspage_record = RECORD(struct zspage, "zspage", zspage_members);

struct zs_pool {
	uint64_t size_class[CLASS_LIMIT / 16]; /* of which only the place matters */
};

static const struct member pool_members[] = { MEMBER(struct zs_pool, size_class, "size_class") };
static const struct record pool_record = RECORD(struct zs_pool, "zs_pool", pool_members);

struct size_class {
	uint32_t size, index;
};

static const struct member class_members[] = {
	MEMBER(struct size_class, size, "size"),
	MEMBER(struct size_class, index, "index"),
};
static const struct record class_record = RECORD(struct size_class, "size_class", class_members);

/* A page of a zspage: since v6.14 it has a struct of its own, in the place of struct page. */
struct zs_page {
	uint64_t zspage;
	uint64_t next; /* page; of a huge one, its handle */
};

static const struct member zpdesc_members[] = {
	MEMBER(struct zs_page, zspage, "zspage"),
	MEMBER(struct zs_page, next, "next"),
};
static const struct record zpdesc_record = RECORD(struct zs_page, "zpdesc", zpdesc_members);

static const struct member page_members[] = {
	MEMBER(struct zs_page, zspage, "private"),
	MEMBER(struct zs_page, next, "index", "__folio_index"),
};
static const struct record page_record = RECORD(struct zs_page, "page", page_members);

struct object {
	uint64_t handle, value; /* value: what the handle points at */
	uint64_t page;          /* struct page that it begins in */
	struct zs_page links;
	struct zspage zspage;
	struct size_class class;
};

static enum kioku_status read_page(struct kioku_kernel *kernel, uint64_t page, struct zs_page *out,
				   struct kioku_error *error)
{
	const struct binding *binding;

	if (module_record_bind(kernel, "zsmalloc", &zpdesc_record, &binding, NULL) != KIOKU_OK)
		TRY(record_bind(kernel, &page_record, &binding, error));
	return record_read(kernel, binding, page, out, error);
}

static enum kioku_status read_class(struct kioku_kernel *kernel, uint64_t pool, uint32_t index,
				    struct size_class *out, struct kioku_error *error)
{
	const struct binding *pools, *classes;
	uint64_t address;

	TRY(module_record_bind(kernel, "zsmalloc", &pool_record, &pools, error));
	TRY(module_record_bind(kernel, "zsmalloc", &class_record, &classes, error));
	TRY(address_read_u64(&kernel->space,
			     pool + BINDING_OFFSET(pools, struct zs_pool, size_class) +
				     8ull * index,
			     &address, error));
	TRY(record_read(kernel, classes, address, out, error));
	/* Classes of almost the same size are one, under the greatest index. */
	if (out->size == 0 || out->size > PAGE_SIZE || out->index < index)
		return error_at(error, KIOKU_ERROR_CORRUPT, address, "a class of %u bytes",
				out->size);
	return KIOKU_OK;
}

/* The zspage that a frame belongs to, if it is one of the pool's. */
static enum kioku_status read_zspage(struct kioku_kernel *kernel, uint64_t pool, uint64_t frame,
				     struct object *out, struct kioku_error *error)
{
	const struct binding *binding;

	TRY(module_record_bind(kernel, "zsmalloc", &zspage_record, &binding, error));
	TRY(page_of_physical(kernel, frame * PAGE_SIZE, &out->page, error));
	TRY(read_page(kernel, out->page, &out->links, error));
	if (!kernel_is_pointer(kernel, out->links.zspage))
		return error_at(error, KIOKU_ERROR_CORRUPT, out->page, "no page of zsmalloc");
	TRY(record_read(kernel, binding, out->links.zspage, &out->zspage, error));
	if (out->zspage.magic != ZSPAGE_MAGIC ||
	    (BINDING_HAS(binding, struct zspage, pool) && out->zspage.pool != pool))
		return error_at(error, KIOKU_ERROR_CORRUPT, out->links.zspage, "no zspage");
	return read_class(kernel, pool, out->zspage.class, &out->class, error);
}

/* Reads from a page on into the next one: no object is longer than a page. */
static enum kioku_status read_across(struct kioku_kernel *kernel, const struct object *object,
				     uint64_t offset, void *out, size_t size,
				     struct kioku_error *error)
{
	uint64_t physical;

	if (offset < PAGE_SIZE) {
		size_t part = PAGE_SIZE - offset < size ? PAGE_SIZE - offset : size;
		TRY(page_physical(kernel, object->page, &physical, error));
		TRY(kioku_source_read(kernel->source, physical + offset, out, part, error));
		out = (uint8_t *)out + part;
		size -= part;
		offset += part;
	}
	if (size == 0)
		return KIOKU_OK;
	TRY(page_physical(kernel, object->links.next, &physical, error));
	return kioku_source_read(kernel->source, physical + offset - PAGE_SIZE, out, size, error);
}

/* The object at an index of its zspage, if it points back at the handle. */
static bool try_index(struct kioku_kernel *kernel, const struct object *object, uint64_t index,
		      void *out, size_t size)
{
	uint64_t offset = index * object->class.size % PAGE_SIZE;
	uint8_t raw[HANDLE_SIZE];

	if (object->class.size < size + HANDLE_SIZE ||
	    read_across(kernel, object, offset, raw, sizeof(raw), NULL) != KIOKU_OK ||
	    (load_le64(raw) & ~UINT64_C(1)) != object->handle)
		return false;
	return read_across(kernel, object, offset + HANDLE_SIZE, out, size, NULL) == KIOKU_OK;
}

static bool try_object(struct kioku_kernel *kernel, struct object *object, unsigned index_bits,
		       void *out, size_t size)
{
	uint64_t low = object->value & ((UINT64_C(1) << index_bits) - 1);

	/* A huge page is one object, and has its handle elsewhere. */
	if (object->zspage.is_huge || object->class.size == PAGE_SIZE)
		return size <= PAGE_SIZE && (object->links.next & ~UINT64_C(1)) == object->handle &&
		       read_across(kernel, object, 0, out, size, NULL) == KIOKU_OK;
	for (unsigned tag = 0; tag <= TAG_BITS_LIMIT; tag++)
		if (try_index(kernel, object, low >> tag, out, size))
			return true;
	return false;
}

enum kioku_status zsmalloc_read(struct kioku_kernel *kernel, uint64_t pool, uint64_t handle,
				void *out, size_t size, struct kioku_error *error)
{
	/* Bits below the frame: 64 - (MAX_POSSIBLE_PHYSMEM_BITS - PAGE_SHIFT), for 52 and for 46. */
	static const unsigned index_bits[] = { 24, 30 };
	struct object object = { .handle = handle & ~UINT64_C(1) };
	struct kioku_error inner = { 0 };

	if (!kernel_is_pointer(kernel, handle))
		return error_set(error, KIOKU_ERROR_CORRUPT, "0x%llx is no handle of zsmalloc",
				 (unsigned long long)handle);
	TRY(address_read_u64(&kernel->space, handle, &object.value, error));
	for (size_t i = 0; i < sizeof(index_bits) / sizeof(*index_bits); i++) {
		enum kioku_status status =
			read_zspage(kernel, pool, object.value >> index_bits[i], &object, &inner);
		if (status == KIOKU_ERROR_UNSUPPORTED || status == KIOKU_ERROR_NO_MEMORY)
			return error_set(error, status, "%s", inner.message);
		if (status == KIOKU_OK && try_object(kernel, &object, index_bits[i], out, size))
			return KIOKU_OK;
	}
	return error_set(error, KIOKU_ERROR_CORRUPT,
			 "the handle 0x%llx of zsmalloc leads to no object%s%s",
			 (unsigned long long)handle, inner.message[0] ? ": " : "", inner.message);
}

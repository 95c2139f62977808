/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "kernel/module_types.h"
#include "kernel/zpool.h"

enum { CHUNK_SHIFT = 6 }; /* 64 chunks a page: NCHUNKS_ORDER, of both */

struct zpool {
	uint64_t driver, pool;
};

static const struct member zpool_members[] = {
	MEMBER(struct zpool, driver, "driver"),
	MEMBER(struct zpool, pool, "pool"),
};
static const struct record zpool_record = RECORD(struct zpool, "zpool", zpool_members);

struct driver {
	uint64_t type;
};

static const struct member driver_members[] = { MEMBER(struct driver, type, "type") };
static const struct record driver_record = RECORD(struct driver, "zpool_driver", driver_members);

/* Never more than what is left of the page that it is in. */
static enum kioku_status read_in_page(struct kioku_kernel *kernel, uint64_t address, void *out,
				      size_t size, struct kioku_error *error)
{
	if (size > PAGE_SIZE - address % PAGE_SIZE)
		return error_at(error, KIOKU_ERROR_CORRUPT, address,
				"%zu compressed bytes at 0x%llx", size,
				(unsigned long long)address);
	return kernel_read(kernel, address, out, size, error);
}

/* --- z3fold: a handle is where a page keeps what leads to one of its three objects */

enum buddy { HEADLESS, FIRST, MIDDLE, LAST };

struct z3fold {
	uint32_t start_middle, first_num;
	uint64_t slots;
};

static const struct member z3fold_members[] = {
	MEMBER(struct z3fold, start_middle, "start_middle"),
	MEMBER(struct z3fold, first_num, "first_num"),
	MEMBER(struct z3fold, slots, "slots"),
};
static const struct record z3fold_record = RECORD(struct z3fold, "z3fold_header", z3fold_members);

static enum kioku_status z3fold_read(struct kioku_kernel *kernel, uint64_t handle, void *out,
				     size_t size, struct kioku_error *error)
{
	const struct kioku_types *types = kernel->types;
	const struct binding *binding;
	struct z3fold header;
	uint64_t encoded;
	uint32_t type;

	if (handle & 1) /* PAGE_HEADLESS: it has the page for itself */
		return read_in_page(kernel, handle & ~(uint64_t)(PAGE_SIZE - 1), out, size, error);
	TRY(module_record_bind(kernel, "z3fold", &z3fold_record, &binding, error));
	if (kioku_types_find(types, "struct z3fold_header", &type, NULL) != KIOKU_OK) {
		TRY(module_types(kernel, "z3fold", &types, error));
		TRY(kioku_types_find(types, "struct z3fold_header", &type, error));
	}
	TRY(address_read_u64(&kernel->space, handle, &encoded, error));
	uint64_t page = encoded & ~(uint64_t)(PAGE_SIZE - 1);
	TRY(record_read(kernel, binding, page, &header, error));
	uint64_t chunk = UINT64_C(1) << CHUNK_SHIFT;
	switch ((encoded - header.first_num) & 3) {
	case FIRST: page += (kioku_type_size(types, type) + chunk - 1) & ~(chunk - 1); break;
	case MIDDLE: page += (uint64_t)header.start_middle << CHUNK_SHIFT; break;
	case LAST: page += PAGE_SIZE - ((encoded % PAGE_SIZE >> 2) << CHUNK_SHIFT); break;
	default:
		return error_at(error, KIOKU_ERROR_CORRUPT, handle,
				"the handle 0x%llx of z3fold leads to no object",
				(unsigned long long)handle);
	}
	return read_in_page(kernel, page, out, size, error);
}

enum kioku_status zpool_read(struct kioku_kernel *kernel, uint64_t address, uint64_t handle,
			     void *out, size_t size, struct kioku_error *error)
{
	const struct binding *binding;
	struct zpool zpool;
	struct driver driver;
	char name[16] = { 0 };

	TRY(record_bind(kernel, &zpool_record, &binding, error));
	TRY(record_read(kernel, binding, address, &zpool, error));
	TRY(record_bind(kernel, &driver_record, &binding, error));
	TRY(record_read(kernel, binding, zpool.driver, &driver, error));
	TRY(kernel_read(kernel, driver.type, name, sizeof(name) - 1, error));
	if (strcmp(name, "zsmalloc") == 0)
		return zsmalloc_read(kernel, zpool.pool, handle, out, size, error);
	if (strcmp(name, "z3fold") == 0)
		return z3fold_read(kernel, handle, out, size, error);
	if (strcmp(name, "zbud") == 0) /* the object's own address */
		return read_in_page(kernel, handle, out, size, error);
	return error_set(error, KIOKU_ERROR_UNSUPPORTED,
			 "compressed pages are kept in what is no "
			 "zsmalloc, zbud or z3fold");
}

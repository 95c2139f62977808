/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "kernel/list.h"
#include "kernel/module_types.h"

enum { MODULE_LIMIT = 4096, MODULE_NAME = 64 /* less 8 on x86-64: MODULE_NAME_LEN */ };

static const uint64_t btf_limit = 64 << 20; /* bytes; the kernel's own takes about 5 MiB */

struct module_types {
	struct module_types *next;
	char name[MODULE_NAME];
	struct kioku_types *types; /* NULL: there are none, and */
	struct kioku_error problem;
};

struct btf_module {
	uint64_t btf;
};

static const struct member btf_module_members[] = { MEMBER(struct btf_module, btf, "btf") };
static const struct record btf_module_record =
	RECORD(struct btf_module, "btf_module", btf_module_members);

struct btf {
	uint64_t data;
	uint32_t data_size;
	char name[MODULE_NAME];
};

static const struct member btf_members[] = {
	MEMBER(struct btf, data, "data"),
	MEMBER(struct btf, data_size, "data_size"),
	MEMBER(struct btf, name, "name"),
};
static const struct record btf_record = RECORD(struct btf, "btf", btf_members);

/* What types of modules are counted on from: the image's own BTF. */
static const struct kioku_types *base_types(const struct kioku_kernel *kernel)
{
	return kernel->types_are_foreign ? kernel->own_types : kernel->types;
}

static enum kioku_status load(struct kioku_kernel *kernel, const struct btf *btf,
			      struct kioku_types **out, struct kioku_error *error)
{
	if (btf->data_size == 0 || btf->data_size > btf_limit)
		return error_set(error, KIOKU_ERROR_CORRUPT, "BTF of %u bytes", btf->data_size);
	AUTO_FREE void *data = malloc(btf->data_size);
	if (!data)
		return error_no_memory(error);
	TRY(kernel_read(kernel, btf->data, data, btf->data_size, error));
	return types_from_split_btf(base_types(kernel), TAKE(data), btf->data_size, out, error);
}

static enum kioku_status find(struct kioku_kernel *kernel, const char *module,
			      struct kioku_types **out, struct kioku_error *error)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	const struct binding *module_binding, *btf_binding;
	uint64_t head = kernel_symbol(kernel, "btf_modules"), node;

	if (!head || !base_types(kernel))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel keeps no types of modules");
	TRY(record_bind(kernel, &btf_module_record, &module_binding, error));
	TRY(record_bind(kernel, &btf_record, &btf_binding, error));
	list_begin(&walk, kernel, head, "list of modules' types");
	for (size_t i = 0; i < MODULE_LIMIT && list_next(&walk, &node); i++) {
		/* The list is btf_module's first member. */
		struct btf_module entry;
		struct btf btf;
		if (record_read(kernel, module_binding, node, &entry, NULL) != KIOKU_OK ||
		    record_read(kernel, btf_binding, entry.btf, &btf, NULL) != KIOKU_OK ||
		    strncmp(btf.name, module, sizeof(btf.name)) != 0)
			continue;
		return load(kernel, &btf, out, error);
	}
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "the kernel has no types of it");
}

enum kioku_status module_types(struct kioku_kernel *kernel, const char *module,
			       const struct kioku_types **out, struct kioku_error *error)
{
	struct module_types *known = kernel->module_types;

	while (known && strcmp(known->name, module) != 0)
		known = known->next;
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known)
			return error_no_memory(error);
		snprintf(known->name, sizeof(known->name), "%s", module);
		find(kernel, module, &known->types, &known->problem);
		known->next = kernel->module_types;
		kernel->module_types = known;
	}
	*out = known->types;
	if (known->types)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "the types of module %s: %s", module,
			 known->problem.message);
}

void module_types_release(struct kioku_kernel *kernel)
{
	while (kernel->module_types) {
		struct module_types *next = kernel->module_types->next;
		types_close(kernel->module_types->types);
		free(kernel->module_types);
		kernel->module_types = next;
	}
}

enum kioku_status module_record_bind(struct kioku_kernel *kernel, const char *module,
				     const struct record *record, const struct binding **out,
				     struct kioku_error *error)
{
	const struct kioku_types *types;

	if (record_bind(kernel, record, out, NULL) == KIOKU_OK)
		return KIOKU_OK;
	TRY(module_types(kernel, module, &types, error));
	return record_bind_cached(kernel, types, record, out, error);
}

bool enum_least(const struct kioku_types *types, const char *enumeration, uint64_t *out)
{
	struct btf_record record;
	char name[64];
	uint32_t id;

	snprintf(name, sizeof(name), "enum %s", enumeration);
	if (kioku_types_find(types, name, &id, NULL) != KIOKU_OK ||
	    !types_record(types, id, &record) || record.length == 0 ||
	    (record.kind != KIOKU_TYPE_ENUM && record.kind != KIOKU_TYPE_ENUM64))
		return false;
	*out = UINT64_MAX;
	for (uint32_t i = 0; i < record.length; i++) {
		uint64_t value = btf_value(&record, i).value;
		*out = value < *out ? value : *out;
	}
	return true;
}

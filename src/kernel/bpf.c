/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/bpf.h"

#include <string.h>

#include "kernel/cgroup_path.h"
#include "kernel/file_table.h"
#include "kernel/xarray.h"
#include "type/types.h"

static const struct {
	const char *name, *table;
} kinds[BPF_KINDS] = {
	[BPF_PROGRAM] = { "BPF program", "prog_idr" },
	[BPF_MAP] = { "BPF map", "map_idr" },
	[BPF_LINK] = { "BPF link", "link_idr" }, /* v5.8 */
};

/* --- programs */

struct program {
	uint32_t type;
	uint8_t tag[8];
	uint64_t more, code;
};

static const struct member program_members[] = {
	MEMBER(struct program, type, "type"),
	MEMBER(struct program, tag, "tag"),
	MEMBER(struct program, more, "aux"),
	MEMBER(struct program, code, "bpf_func"),
};
static const struct record program_record = RECORD(struct program, "bpf_prog", program_members);

struct more {
	uint32_t id;
	uint64_t program, loaded, user, function_name;
	char name[BPF_NAME];
};

static const struct member more_members[] = {
	MEMBER(struct more, id, "id"),
	MEMBER(struct more, program, "prog"),
	MEMBER(struct more, name, "name"),
	MEMBER(struct more, loaded, "load_time"),
	MEMBER(struct more, user, "user"),
	OPTIONAL(struct more, function_name, "attach_func_name"), /* v5.5 */
};
static const struct record more_record = RECORD(struct more, "bpf_prog_aux", more_members);

/* Both halves lead to each other. */
static enum kioku_status read_program(struct kioku_kernel *kernel, uint64_t address,
				      struct program *program, struct more *more)
{
	TRY(record_read_at(kernel, &program_record, address, program));
	TRY(record_read_at(kernel, &more_record, program->more, more));
	return more->program == address ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

static enum kioku_status take_program(struct kioku_kernel *kernel, struct bpf_object *out)
{
	struct program program;
	struct more more;

	TRY(read_program(kernel, out->address, &program, &more));
	out->id = more.id;
	out->type = program.type;
	out->code = program.code;
	out->loaded = more.loaded;
	out->user = more.user;
	out->function_name = more.function_name;
	memcpy(out->name, more.name, sizeof(out->name));
	memcpy(out->tag, program.tag, sizeof(out->tag));
	return KIOKU_OK;
}

enum kioku_status bpf_program_id(struct kioku_kernel *kernel, uint64_t address, uint32_t *out)
{
	struct program program;
	struct more more;

	TRY(read_program(kernel, address, &program, &more));
	*out = more.id;
	return KIOKU_OK;
}

/* --- maps */

struct map {
	uint32_t id, type, key_size, value_size, entries;
	char name[BPF_NAME];
};

static const struct member map_members[] = {
	MEMBER(struct map, id, "id"),
	MEMBER(struct map, type, "map_type"),
	MEMBER(struct map, key_size, "key_size"),
	MEMBER(struct map, value_size, "value_size"),
	MEMBER(struct map, entries, "max_entries"),
	MEMBER(struct map, name, "name"),
};
static const struct record map_record = RECORD(struct map, "bpf_map", map_members);

static enum kioku_status take_map(struct kioku_kernel *kernel, struct bpf_object *out)
{
	struct map map;

	TRY(record_read_at(kernel, &map_record, out->address, &map));
	out->id = map.id;
	out->type = map.type;
	out->key_size = map.key_size;
	out->value_size = map.value_size;
	out->entries = map.entries;
	memcpy(out->name, map.name, sizeof(out->name));
	return KIOKU_OK;
}

/* --- links */

struct link {
	uint32_t id, type, attach_type;
	uint64_t program;
};

static const struct member link_members[] = {
	MEMBER(struct link, id, "id"), MEMBER(struct link, type, "type"),
	MEMBER(struct link, program, "prog"),
	OPTIONAL(struct link, attach_type, "attach_type"), /* v6.17 */
};
static const struct record link_record = RECORD(struct link, "bpf_link", link_members);

struct cgroup_link {
	uint64_t cgroup;
	uint32_t attach_type;
};

static const struct member cgroup_link_members[] = {
	MEMBER(struct cgroup_link, cgroup, "cgroup"),
	OPTIONAL(struct cgroup_link, attach_type, "type"), /* until it was every link's */
};
static const struct record cgroup_link_record =
	RECORD(struct cgroup_link, "bpf_cgroup_link", cgroup_link_members);

static enum kioku_status read_cgroup_link(struct kioku_kernel *kernel,
					  const struct bpf_object *link, struct cgroup_link *out)
{
	uint64_t type;

	if (!types_enum_value(kernel->types, "bpf_link_type", "BPF_LINK_TYPE_CGROUP", &type) ||
	    link->type != type)
		return KIOKU_ERROR_NOT_FOUND;
	/* It begins with its struct bpf_link. */
	return record_read_at(kernel, &cgroup_link_record, link->address, out);
}

static enum kioku_status take_link(struct kioku_kernel *kernel, struct bpf_object *out)
{
	const struct binding *binding;
	struct cgroup_link cgroup;
	struct link link;

	TRY(record_read_at(kernel, &link_record, out->address, &link));
	TRY(record_bind(kernel, &link_record, &binding, NULL));
	out->id = link.id;
	out->type = link.type;
	out->program = link.program;
	out->attach_type = link.attach_type;
	out->has_attach_type = BINDING_HAS(binding, struct link, attach_type);
	if (!out->has_attach_type && read_cgroup_link(kernel, out, &cgroup) == KIOKU_OK) {
		out->attach_type = cgroup.attach_type;
		out->has_attach_type = true;
	}
	return KIOKU_OK;
}

enum kioku_status bpf_link_target(struct kioku_kernel *kernel, const struct bpf_object *link,
				  char *out, size_t room)
{
	struct cgroup_link cgroup;

	TRY(read_cgroup_link(kernel, link, &cgroup));
	if (cgroup.cgroup == 0) /* the cgroup has gone, and the link is to nothing */
		return KIOKU_ERROR_NOT_FOUND;
	return cgroup_path(kernel, cgroup.cgroup, out, room);
}

/* --- all */

struct walk {
	struct kioku_kernel *kernel;
	enum bpf_kind kind;
	bpf_object_fn *receive;
	void *user;
};

static enum kioku_status take(struct kioku_kernel *kernel, struct bpf_object *out)
{
	switch (out->kind) {
	case BPF_PROGRAM: return take_program(kernel, out);
	case BPF_MAP: return take_map(kernel, out);
	default: return take_link(kernel, out);
	}
}

static enum kioku_status give_entry(void *user, const struct xarray_entry *entry)
{
	struct walk *walk = user;
	struct bpf_object object = { .kind = walk->kind, .address = entry->value };

	enum kioku_status status =
		entry->is_value ? KIOKU_ERROR_CORRUPT : take(walk->kernel, &object);
	if (status == KIOKU_OK && object.id != entry->index)
		status = KIOKU_ERROR_CORRUPT;
	if (status == KIOKU_ERROR_UNSUPPORTED)
		return status;
	if (status != KIOKU_OK) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "%s %llu: %s",
			 kinds[walk->kind].name, (unsigned long long)entry->index,
			 kioku_status_name(status));
		return KIOKU_OK;
	}
	return walk->receive(walk->user, &object);
}

enum kioku_status bpf_each(struct kioku_kernel *kernel, enum bpf_kind kind, bpf_object_fn *receive,
			   void *user, struct kioku_error *error)
{
	uint64_t table = kernel_symbol(kernel, kinds[kind].table);
	struct walk walk = { kernel, kind, receive, user };

	if (!table)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this kernel has no table of %ss",
				 kinds[kind].name);
	/* struct idr begins with its xarray. */
	return xarray_each(kernel, table, 0, INT32_MAX, kinds[kind].table, give_entry, &walk,
			   error);
}

/* --- files */

enum kioku_status bpf_object_of_file(struct kioku_kernel *kernel, uint64_t address, uint64_t *out)
{
	static const char *const operations[] = { "bpf_prog_fops", "bpf_map_fops", "bpf_link_fops",
						  "bpf_link_fops_poll", NULL };

	return file_object(kernel, address, operations, out);
}

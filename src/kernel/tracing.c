/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/tracing.h"

#include "base/address_set.h"
#include "kernel/hash_chain.h"
#include "kernel/list.h"

enum { HASH_BITS = 24, PROBE_TABLE = 64 /* KPROBE_TABLE_SIZE */ };

/* --- ftrace */

static const struct member tracer_members[] = {
	MEMBER(struct tracer, function, "func"),
	MEMBER(struct tracer, next, "next"),
	MEMBER(struct tracer, flags, "flags"),
	MEMBER(struct tracer, filter, "func_hash"),
};
static const struct record tracer_record = RECORD(struct tracer, "ftrace_ops", tracer_members);

struct filter {
	uint64_t functions;
};

static const struct member filter_members[] = { MEMBER(struct filter, functions, "filter_hash") };
static const struct record filter_record = RECORD(struct filter, "ftrace_ops_hash", filter_members);

struct hash {
	uint64_t bits, buckets, count;
};

static const struct member hash_members[] = {
	MEMBER(struct hash, bits, "size_bits"),
	MEMBER(struct hash, buckets, "buckets"),
	MEMBER(struct hash, count, "count"),
};
static const struct record hash_record = RECORD(struct hash, "ftrace_hash", hash_members);

struct hash_entry {
	uint64_t next, address;
};

static const struct member hash_entry_members[] = {
	MEMBER(struct hash_entry, next, "hlist.next"),
	MEMBER(struct hash_entry, address, "ip"),
};
static const struct record hash_entry_record =
	RECORD(struct hash_entry, "ftrace_func_entry", hash_entry_members);

const char *tracer_flag_name(unsigned bit)
{
	static const char *const names[] = {
		"enabled",   "dynamic",  "save_regs",   "save_regs_if_supported",
		"recursion", "stub",     "initialized", "deleted",
		"adding",    "removing", "modifying",   "alloc_tramp",
		"ipmodify",  "pid",      "rcu",         "trace_array",
		"permanent", "direct",   "subop",
	};

	return bit < sizeof(names) / sizeof(*names) ? names[bit] : NULL;
}

static enum kioku_status read_pointer(struct kioku_kernel *kernel, uint64_t address, uint64_t *out)
{
	uint8_t raw[8];

	TRY(kernel_read(kernel, address, raw, sizeof(raw), NULL));
	*out = load_le64(raw);
	return KIOKU_OK;
}

static void lose_tracers(struct kioku_kernel *kernel, const char *why)
{
	diagnose(&kernel->diagnostics, KIOKU_GAP, "list of ftrace_ops: %s", why);
}

/* A list that leads one way only, to a node that stands for its end. */
enum kioku_status tracer_each(struct kioku_kernel *kernel, tracer_fn *receive, void *user,
			      struct kioku_error *error)
{
	CLEANUP(address_set_release) struct address_set seen = { 0 };
	uint64_t first = kernel_symbol(kernel, "ftrace_ops_list");
	uint64_t end = kernel_symbol(kernel, "ftrace_list_end");
	const struct binding *binding;
	struct tracer tracer;

	if (!first || !end)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this kernel has no ftrace");
	TRY(record_bind(kernel, &tracer_record, &binding, error));
	TRY(read_pointer(kernel, first, &tracer.next));
	while (tracer.next != end) {
		uint64_t address = tracer.next;
		enum address_set_result added = address_set_add(&seen, address);
		if (added == ADDRESS_NO_MEMORY)
			return KIOKU_ERROR_NO_MEMORY;
		if (added != ADDRESS_ADDED) {
			lose_tracers(kernel, "it leads in a circle");
			return KIOKU_OK;
		}
		enum kioku_status status =
			kernel_is_pointer(kernel, address)
				? record_read(kernel, binding, address, &tracer, NULL)
				: KIOKU_ERROR_CORRUPT;
		if (status != KIOKU_OK) {
			lose_tracers(kernel, kioku_status_name(status));
			return KIOKU_OK;
		}
		tracer.address = address;
		TRY(receive(user, &tracer));
	}
	return KIOKU_OK;
}

struct function_walk {
	struct kioku_kernel *kernel;
	const struct binding *entry;
	traced_fn *receive;
	void *user;
	uint64_t count;
};

static enum kioku_status give_function(void *user, uint64_t node)
{
	struct function_walk *walk = user;
	struct hash_entry entry;

	TRY(record_read(walk->kernel, walk->entry,
			node - BINDING_OFFSET(walk->entry, struct hash_entry, next), &entry, NULL));
	walk->count++;
	return walk->receive(walk->user, entry.address);
}

enum kioku_status tracer_each_function(struct kioku_kernel *kernel, const struct tracer *tracer,
				       traced_fn *receive, void *user)
{
	struct function_walk walk = { .kernel = kernel, .receive = receive, .user = user };
	AUTO_HASH_WALK struct hash_walk chains = { .kernel = kernel,
						   .what = "functions of an ftrace_ops",
						   .receive = give_function,
						   .user = &walk };
	struct filter filter;
	struct hash hash;

	TRY(record_read_at(kernel, &filter_record, tracer->filter, &filter));
	if (filter.functions == 0)
		return receive(user, 0);
	TRY(record_read_at(kernel, &hash_record, filter.functions, &hash));
	if (hash.count == 0) /* EMPTY_HASH */
		return receive(user, 0);
	if (hash.bits > HASH_BITS)
		return KIOKU_ERROR_CORRUPT;
	TRY(record_bind(kernel, &hash_entry_record, &walk.entry, NULL));
	TRY(hash_table_walk(&chains, hash.buckets, UINT64_C(1) << hash.bits, 8, 0));
	return walk.count == hash.count ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

/* --- probes */

struct raw_probe {
	uint64_t hash_next, list_next, place, handler;
	uint32_t flags;
};

static const struct member raw_probe_members[] = {
	MEMBER(struct raw_probe, hash_next, "hlist.next"),
	MEMBER(struct raw_probe, list_next, "list.next"),
	MEMBER(struct raw_probe, place, "addr"),
	MEMBER(struct raw_probe, handler, "pre_handler"),
	MEMBER(struct raw_probe, flags, "flags"),
};
static const struct record raw_probe_record = RECORD(struct raw_probe, "kprobe", raw_probe_members);

struct return_probe {
	uint64_t handler;
};

static const struct member return_probe_members[] = {
	MEMBER(struct return_probe, handler, "handler"),
};
static const struct record return_probe_record =
	RECORD(struct return_probe, "kretprobe", return_probe_members);

struct probe_walk {
	struct kioku_kernel *kernel;
	const struct binding *binding;
	uint64_t of_return, of_many; /* handlers that mean this; 0: there is no such function */
	probe_fn *receive;
	void *user;
};

/* shared: the flags of the probe that stands for all at a place; some are the place's. */
static enum kioku_status give_probe(struct probe_walk *walk, uint64_t address,
				    const struct raw_probe *raw, uint32_t shared)
{
	struct probe probe = {
		.address = address,
		.place = raw->place,
		.handler = raw->handler,
		.flags = (raw->flags & (PROBE_GONE | PROBE_DISABLED)) |
			 (shared & (PROBE_OPTIMIZED | PROBE_BY_FTRACE)),
		.is_of_return = walk->of_return && raw->handler == walk->of_return,
	};
	struct return_probe returns;

	/* struct kretprobe begins with its struct kprobe. */
	if (probe.is_of_return)
		probe.handler = record_read_at(walk->kernel, &return_probe_record, address,
					       &returns) == KIOKU_OK
					? returns.handler
					: 0;
	return walk->receive(walk->user, &probe);
}

static enum kioku_status give_shared(struct probe_walk *walk, uint64_t address, uint32_t flags)
{
	AUTO_LIST_WALK struct list_walk list = { 0 };
	uint64_t offset = BINDING_OFFSET(walk->binding, struct raw_probe, list_next), node;

	list_begin(&list, walk->kernel, address + offset, "probes of one place");
	while (list_next(&list, &node)) {
		struct raw_probe raw;
		enum kioku_status status =
			record_read(walk->kernel, walk->binding, node - offset, &raw, NULL);
		if (status != KIOKU_OK)
			list_reject(&list, kioku_status_name(status));
		else
			TRY(give_probe(walk, node - offset, &raw, flags));
	}
	return KIOKU_OK;
}

static enum kioku_status give_place(void *user, uint64_t node)
{
	struct probe_walk *walk = user;
	uint64_t address = node - BINDING_OFFSET(walk->binding, struct raw_probe, hash_next);
	struct raw_probe raw;
	enum kioku_status status = record_read(walk->kernel, walk->binding, address, &raw, NULL);

	if (status != KIOKU_OK) {
		diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "a probe: %s",
			 kioku_status_name(status));
		return KIOKU_OK;
	}
	if (walk->of_many && raw.handler == walk->of_many)
		return give_shared(walk, address, raw.flags);
	return give_probe(walk, address, &raw, raw.flags);
}

enum kioku_status probe_each(struct kioku_kernel *kernel, probe_fn *receive, void *user,
			     struct kioku_error *error)
{
	uint64_t table = kernel_symbol(kernel, "kprobe_table");
	struct probe_walk walk = {
		.kernel = kernel,
		.of_return = kernel_symbol(kernel, "pre_handler_kretprobe"),
		.of_many = kernel_symbol(kernel, "aggr_pre_handler"),
		.receive = receive,
		.user = user,
	};
	AUTO_HASH_WALK struct hash_walk chains = {
		.kernel = kernel, .what = "kprobes", .receive = give_place, .user = &walk
	};

	if (!table)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this kernel has no kprobes");
	TRY(record_bind(kernel, &raw_probe_record, &walk.binding, error));
	return hash_table_walk(&chains, table, PROBE_TABLE, 8, 0);
}

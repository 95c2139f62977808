/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/live_symbols.h"

#include <stdio.h>
#include <string.h>

#include "kernel/list.h"

struct listing {
	struct kioku_kernel *kernel;
	live_symbol_fn *receive;
	void *user;
	enum kioku_status stopped; /* what receive has returned */
};

static enum kioku_status pass_on(void *user, const struct live_symbol *symbol)
{
	struct listing *listing = user;

	listing->stopped = listing->receive(listing->user, symbol);
	return listing->stopped;
}

/* Of other than receive's errors, one is said, and the walk goes on. */
static enum kioku_status settle(struct listing *listing, const char *what, enum kioku_status status)
{
	if (listing->stopped != KIOKU_OK || status == KIOKU_OK)
		return listing->stopped;
	diagnose(&listing->kernel->diagnostics,
		 status == KIOKU_ERROR_UNSUPPORTED ? KIOKU_WARNING : KIOKU_GAP, "symbols of %s: %s",
		 what, kioku_status_name(status));
	return KIOKU_OK;
}

/* --- modules */

static enum kioku_status give_module(void *user, const struct module *module)
{
	struct listing *listing = user;
	const char *state = module_state(listing->kernel, module);
	char what[MODULE_NAME_ROOM + 16];

	/* As in /proc/kallsyms. */
	if (state && strcmp(state, "Unformed") == 0)
		return KIOKU_OK;
	snprintf(what, sizeof(what), "module %s", module->name);
	return settle(listing, what, module_each_symbol(listing->kernel, module, pass_on, listing));
}

/* --- lists of what has a symbol each */

typedef enum kioku_status node_fn(struct listing *listing, uint64_t node);

static enum kioku_status walk_list(struct listing *listing, uint64_t head, const char *what,
				   node_fn *give)
{
	AUTO_LIST_WALK struct list_walk walk = { 0 };
	uint64_t node;

	list_begin(&walk, listing->kernel, head, what);
	while (list_next(&walk, &node)) {
		enum kioku_status status = give(listing, node);
		if (listing->stopped != KIOKU_OK)
			return status;
		if (status != KIOKU_OK)
			list_reject(&walk, kioku_status_name(status));
	}
	return KIOKU_OK;
}

struct bpf_symbol {
	uint64_t start, end, next;
	char name[SYMBOL_NAME_ROOM];
};

static const struct member bpf_symbol_members[] = {
	MEMBER(struct bpf_symbol, start, "start"),
	MEMBER(struct bpf_symbol, end, "end"),
	MEMBER(struct bpf_symbol, name, "name"),
	MEMBER(struct bpf_symbol, next, "lnode.next"),
};
static const struct record bpf_symbol_record =
	RECORD(struct bpf_symbol, "bpf_ksym", bpf_symbol_members);

static enum kioku_status give_bpf(struct listing *listing, uint64_t node)
{
	const struct binding *binding;
	struct bpf_symbol found;

	TRY(record_bind(listing->kernel, &bpf_symbol_record, &binding, NULL));
	TRY(record_read(listing->kernel, binding,
			node - BINDING_OFFSET(binding, struct bpf_symbol, next), &found, NULL));
	if (!memchr(found.name, '\0', sizeof(found.name)) || found.end < found.start)
		return KIOKU_ERROR_CORRUPT;
	if (found.name[0] == '\0')
		return KIOKU_OK;
	return pass_on(listing, &(struct live_symbol){ found.start, 't', found.name, "bpf" });
}

struct trampoline {
	uint64_t address, next;
};

static const struct member trampoline_members[] = {
	MEMBER(struct trampoline, address, "trampoline"),
	MEMBER(struct trampoline, next, "list.next"),
};
static const struct record trampoline_record =
	RECORD(struct trampoline, "ftrace_ops", trampoline_members);

static enum kioku_status give_trampoline(struct listing *listing, uint64_t node)
{
	const struct binding *binding;
	struct trampoline found;

	TRY(record_bind(listing->kernel, &trampoline_record, &binding, NULL));
	TRY(record_read(listing->kernel, binding,
			node - BINDING_OFFSET(binding, struct trampoline, next), &found, NULL));
	return pass_on(listing, &(struct live_symbol){ found.address, 't', "ftrace_trampoline",
						       "__builtin__ftrace" });
}

struct probe_cache {
	uint64_t name;
	uint64_t pages; /* the first, of a list */
};

static const struct member probe_cache_members[] = {
	MEMBER(struct probe_cache, name, "sym"),
	MEMBER(struct probe_cache, pages, "pages.next"),
};
static const struct record probe_cache_record =
	RECORD(struct probe_cache, "kprobe_insn_cache", probe_cache_members);

struct probe_page {
	uint64_t address, cache, next;
};

static const struct member probe_page_members[] = {
	MEMBER(struct probe_page, address, "insns"),
	MEMBER(struct probe_page, cache, "cache"),
	MEMBER(struct probe_page, next, "list.next"),
};
static const struct record probe_page_record =
	RECORD(struct probe_page, "kprobe_insn_page", probe_page_members);

static enum kioku_status give_probe_page(struct listing *listing, uint64_t node)
{
	struct kioku_kernel *kernel = listing->kernel;
	char name[SYMBOL_NAME_ROOM];
	const struct binding *binding;
	struct probe_cache cache;
	struct probe_page found;
	size_t size;

	TRY(record_bind(kernel, &probe_page_record, &binding, NULL));
	TRY(record_read(kernel, binding, node - BINDING_OFFSET(binding, struct probe_page, next),
			&found, NULL));
	TRY(record_read_at(kernel, &probe_cache_record, found.cache, &cache));
	TRY(kernel_read_string(kernel, cache.name, name, sizeof(name), &size));
	return pass_on(listing,
		       &(struct live_symbol){ found.address, 't', name, "__builtin__kprobes" });
}

/* --- all */

/* A kernel that has no such variable has no such symbols. */
static enum kioku_status give_list(struct listing *listing, const char *variable,
				   const struct record *record, const char *what, node_fn *give)
{
	uint64_t head = kernel_symbol(listing->kernel, variable);
	const struct binding *binding;

	if (!head)
		return KIOKU_OK;
	enum kioku_status status = record_bind(listing->kernel, record, &binding, NULL);
	if (status == KIOKU_OK)
		status = walk_list(listing, head, what, give);
	return settle(listing, what, status);
}

static enum kioku_status give_probes(struct listing *listing, const char *variable)
{
	uint64_t cache = kernel_symbol(listing->kernel, variable);
	const struct binding *binding;

	if (!cache)
		return KIOKU_OK;
	enum kioku_status status =
		record_bind(listing->kernel, &probe_cache_record, &binding, NULL);
	if (status == KIOKU_OK)
		status = walk_list(listing,
				   cache + BINDING_OFFSET(binding, struct probe_cache, pages),
				   "pages of probes", give_probe_page);
	return settle(listing, "probes", status);
}

enum kioku_status live_symbols_each_made(struct kioku_kernel *kernel, live_symbol_fn *receive,
					 void *user)
{
	struct listing listing = { .kernel = kernel, .receive = receive, .user = user };

	TRY(give_list(&listing, "ftrace_ops_trampoline_list", &trampoline_record,
		      "trampolines of ftrace", give_trampoline));
	TRY(give_list(&listing, "bpf_kallsyms", &bpf_symbol_record, "BPF programs", give_bpf));
	TRY(give_probes(&listing, "kprobe_insn_slots"));
	return give_probes(&listing, "kprobe_optinsn_slots");
}

enum kioku_status live_symbols_each(struct kioku_kernel *kernel, live_symbol_fn *receive,
				    void *user)
{
	struct listing listing = { .kernel = kernel, .receive = receive, .user = user };

	if (module_list(kernel))
		TRY(settle(&listing, "modules", module_each(kernel, give_module, &listing, NULL)));
	return live_symbols_each_made(kernel, receive, user);
}

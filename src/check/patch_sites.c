/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "base/growing.h"
#include "check/branch.h"
#include "check/patch_match.h"
#include "kernel/live_symbols.h"
#include "kernel/tracing.h"

/* --- the tables */

struct alternative {
	int32_t instruction, replacement; /* each relative to itself */
	uint8_t length, replacement_length;
};

static const struct member alternative_members[] = {
	MEMBER(struct alternative, instruction, "instr_offset"),
	MEMBER(struct alternative, replacement, "repl_offset"),
	MEMBER(struct alternative, length, "instrlen"),
	MEMBER(struct alternative, replacement_length, "replacementlen"),
};
static const struct record alternative_record =
	RECORD(struct alternative, "alt_instr", alternative_members);

struct paravirt {
	uint64_t instruction;
	uint8_t length;
};

static const struct member paravirt_members[] = {
	MEMBER(struct paravirt, instruction, "instr"),
	MEMBER(struct paravirt, length, "len"),
};
static const struct record paravirt_record =
	RECORD(struct paravirt, "paravirt_patch_site", paravirt_members);

struct jump {
	int32_t code, target; /* each relative to itself */
};

static const struct member jump_members[] = {
	MEMBER(struct jump, code, "code"),
	MEMBER(struct jump, target, "target"),
};
static const struct record jump_record = RECORD(struct jump, "jump_entry", jump_members);

struct static_call {
	int32_t address, key; /* each relative to itself; the lowest two bits of key are flags */
};

static const struct member static_call_members[] = {
	MEMBER(struct static_call, address, "addr"),
	MEMBER(struct static_call, key, "key"),
};
static const struct record static_call_record =
	RECORD(struct static_call, "static_call_site", static_call_members);

enum {
	CALL = 5,    /* bytes of a call or a jump, and of what is put in its place */
	LANDING = 4, /* of ENDBR64 */
	KEY_FLAGS = 3,
};

static enum kioku_status add(struct patch_sites *sites, struct patch_site site)
{
	if (!GROW(sites->sites, sites->count, sites->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	sites->sites[sites->count++] = site;
	if (site.length > sites->longest)
		sites->longest = site.length;
	return KIOKU_OK;
}

/* The address that an element's relative member leads to. */
static uint64_t follow(uint64_t element, const struct binding *binding, size_t member,
		       int32_t relative)
{
	return element + binding_member(binding, member)->offset + (uint64_t)(int64_t)relative;
}

static int32_t field32(const struct binding *binding, size_t member, const uint8_t *element)
{
	return (int32_t)load_le32(element + binding_member(binding, member)->offset);
}

static uint8_t field8(const struct binding *binding, size_t member, const uint8_t *element)
{
	return element[binding_member(binding, member)->offset];
}

typedef enum kioku_status element_fn(struct patch_sites *sites, const struct binding *binding,
				     const uint8_t *element, uint64_t address);

static enum kioku_status add_alternative(struct patch_sites *sites, const struct binding *binding,
					 const uint8_t *element, uint64_t address)
{
	const size_t from = offsetof(struct alternative, instruction),
		     to = offsetof(struct alternative, replacement);

	return add(
		sites,
		(struct patch_site){
			.kind = PATCH_ALTERNATIVE,
			.address = follow(address, binding, from, field32(binding, from, element)),
			.other = follow(address, binding, to, field32(binding, to, element)),
			.length = field8(binding, offsetof(struct alternative, length), element),
			.other_length = field8(
				binding, offsetof(struct alternative, replacement_length), element),
		});
}

static enum kioku_status add_paravirt(struct patch_sites *sites, const struct binding *binding,
				      const uint8_t *element, uint64_t address)
{
	const size_t from = offsetof(struct paravirt, instruction);

	return add(sites,
		   (struct patch_site){
			   .kind = PATCH_PARAVIRT,
			   .address = load_le64(element + binding_member(binding, from)->offset),
			   .length = field8(binding, offsetof(struct paravirt, length), element),
		   });
}

static enum kioku_status add_jump(struct patch_sites *sites, const struct binding *binding,
				  const uint8_t *element, uint64_t address)
{
	const size_t from = offsetof(struct jump, code), to = offsetof(struct jump, target);
	struct patch_site site = {
		.kind = PATCH_JUMP,
		.address = follow(address, binding, from, field32(binding, from, element)),
		.other = follow(address, binding, to, field32(binding, to, element)),
	};
	const uint8_t *code = kernel_file_at(sites->file, site.address, CALL);

	if (!code)
		return KIOKU_OK;
	site.length = code[0] == 0xeb || code[0] == 0x66 ? 2 : CALL;
	return add(sites, site);
}

static enum kioku_status add_static_call(struct patch_sites *sites, const struct binding *binding,
					 const uint8_t *element, uint64_t address)
{
	const size_t from = offsetof(struct static_call, address),
		     key = offsetof(struct static_call, key);
	struct patch_site site = {
		.kind = PATCH_STATIC_CALL,
		.address = follow(address, binding, from, field32(binding, from, element)),
		.other = follow(address, binding, key, field32(binding, key, element) & ~KEY_FLAGS),
		.length = CALL,
	};
	const uint8_t *code = kernel_file_at(sites->file, site.address, CALL);

	if (code && code[0] == 0x0f)
		site.length = CALL + 1;
	return add(sites, site);
}

/* Elements of four bytes are relative to themselves. */
static enum kioku_status add_retpoline(struct patch_sites *sites, const struct binding *binding,
				       const uint8_t *element, uint64_t address)
{
	struct patch_site site = { .kind = PATCH_RETPOLINE,
				   .address = branch_target(element, address) };
	const uint8_t *code;

	/* CS prefixes; then a call or a jump, or one with a condition. */
	for (;; site.length++) {
		code = kernel_file_at(sites->file, site.address + site.length, 1);
		if (!code || *code != 0x2e || site.length > 2)
			break;
	}
	if (!code)
		return KIOKU_OK;
	site.length += *code == 0x0f ? CALL + 1 : CALL;
	return add(sites, site);
}

static enum kioku_status add_return(struct patch_sites *sites, const struct binding *binding,
				    const uint8_t *element, uint64_t address)
{
	return add(sites, (struct patch_site){ .kind = PATCH_RETURN,
					       .address = branch_target(element, address),
					       .length = CALL });
}

static enum kioku_status add_landing(struct patch_sites *sites, const struct binding *binding,
				     const uint8_t *element, uint64_t address)
{
	return add(sites, (struct patch_site){ .kind = PATCH_LANDING,
					       .address = branch_target(element, address),
					       .length = LANDING });
}

static enum kioku_status add_call(struct patch_sites *sites, const struct binding *binding,
				  const uint8_t *element, uint64_t address)
{
	return add(sites, (struct patch_site){ .kind = PATCH_CALL,
					       .address = branch_target(element, address),
					       .length = CALL });
}

static enum kioku_status add_lock(struct patch_sites *sites, const struct binding *binding,
				  const uint8_t *element, uint64_t address)
{
	return add(sites, (struct patch_site){ .kind = PATCH_LOCK,
					       .address = branch_target(element, address),
					       .length = 1 });
}

static enum kioku_status add_trace(struct patch_sites *sites, const struct binding *binding,
				   const uint8_t *element, uint64_t address)
{
	return add(sites, (struct patch_site){ .kind = PATCH_TRACE,
					       .address = load_le64(element),
					       .length = CALL });
}

static enum kioku_status note_seal(struct patch_sites *sites, const struct binding *binding,
				   const uint8_t *element, uint64_t address)
{
	sites->is_sealed = true;
	return KIOKU_OK;
}

/* A record with its type's size, or a plain size. A table that a kernel lacks has no symbols. */
static const struct {
	const char *start, *end;
	const struct record *record;
	unsigned size;
	element_fn *add;
} tables[] = {
	{ "__alt_instructions", "__alt_instructions_end", &alternative_record, 0, add_alternative },
	{ "__parainstructions", "__parainstructions_end", &paravirt_record, 0, add_paravirt },
	{ "__retpoline_sites", "__retpoline_sites_end", NULL, 4, add_retpoline },
	{ "__return_sites", "__return_sites_end", NULL, 4, add_return },
	{ "__ibt_endbr_seal", "__ibt_endbr_seal_end", NULL, 4, add_landing },
	{ "__call_sites", "__call_sites_end", NULL, 4, add_call },
	{ "__smp_locks", "__smp_locks_end", NULL, 4, add_lock },
	{ "__start_mcount_loc", "__stop_mcount_loc", NULL, 8, add_trace },
	{ "__start___jump_table", "__stop___jump_table", &jump_record, 0, add_jump },
	{ "__start_static_call_sites", "__stop_static_call_sites", &static_call_record, 0,
	  add_static_call },
	{ "__cfi_sites", "__cfi_sites_end", NULL, 4, note_seal },
};

static enum kioku_status read_table(struct patch_sites *sites, size_t which,
				    struct kioku_error *error)
{
	struct kioku_kernel *kernel = sites->run->kernel;
	uint64_t start = kernel_symbol(kernel, tables[which].start) - sites->slide;
	uint64_t end = kernel_symbol(kernel, tables[which].end) - sites->slide;
	uint64_t size = tables[which].size;
	const struct binding *binding = NULL;

	if (start == 0 - sites->slide || end <= start)
		return KIOKU_OK;
	if (!kernel_file_at(sites->file, start, end - start))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "the file lacks its %s",
				 tables[which].start);
	if (tables[which].record) {
		TRY(record_bind(kernel, tables[which].record, &binding, error));
		size = types_size_of(kernel->types, tables[which].record->type);
	}
	/* The last may lack what fills it up; other things follow, as they do for the kernel. */
	for (uint64_t at = 0; at < end - start; at += size) {
		const uint8_t *element = kernel_file_at(sites->file, start + at, size);
		if (element && tables[which].add(sites, binding, element, start + at) != KIOKU_OK)
			return error_no_memory(error);
	}
	return KIOKU_OK;
}

/* --- what is known by symbols and by what runs */

/* "__start_runtime_ptr_VARIABLE": include/asm-generic/vmlinux.lds.h, RUNTIME_CONST(), v6.11 on. */
static enum kioku_status add_runtime_constants(struct patch_sites *sites, const char *symbol,
					       uint64_t start)
{
	static const struct {
		const char *prefix;
		enum patch_kind kind;
		uint8_t length;
	} kinds[] = { { "__start_runtime_ptr_", PATCH_POINTER, 8 },
		      { "__start_runtime_shift_", PATCH_SHIFT, 1 } };
	char stop[SYMBOL_NAME_ROOM];

	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
		size_t length = strlen(kinds[kind].prefix);
		if (strncmp(symbol, kinds[kind].prefix, length) != 0)
			continue;
		snprintf(stop, sizeof(stop), "__stop_%s", symbol + strlen("__start_"));
		uint64_t end = kernel_symbol(sites->run->kernel, stop) - sites->slide;
		uint64_t variable = kernel_symbol(sites->run->kernel, symbol + length);
		bool is_known = variable != 0;
		const uint8_t *table =
			end > start ? kernel_file_at(sites->file, start, end - start) : NULL;
		for (uint64_t at = 0; table && at + 4 <= end - start; at += 4) {
			uint64_t place = branch_target(table + at, start + at);
			if (variable == 0)
				variable = place + sites->slide;
			TRY(add(sites, (struct patch_site){ .kind = is_known ? kinds[kind].kind
									     : PATCH_UNNAMED,
							    .address = place,
							    .other = variable - sites->slide,
							    .length = kinds[kind].length }));
		}
	}
	return KIOKU_OK;
}

/* Trampolines of static calls: include/linux/static_call_types.h. */
static enum kioku_status add_trampoline(struct patch_sites *sites,
					const struct kioku_symbol *symbol)
{
	char key[SYMBOL_NAME_ROOM];

	snprintf(key, sizeof(key), "__SCK__%s", symbol->name + strlen("__SCT__"));
	uint64_t address = kernel_symbol(sites->run->kernel, key);
	if (address == 0)
		return KIOKU_OK;
	return add(sites, (struct patch_site){ .kind = PATCH_STATIC_CALL,
					       .address = symbol->address - sites->slide,
					       .other = address - sites->slide,
					       .length = CALL });
}

/* Places in what functions call: arch/x86/kernel/ftrace_64.S. */
static enum kioku_status add_tracers(struct patch_sites *sites)
{
	static const char *const names[] = { "ftrace_call", "ftrace_regs_call",
					     "ftrace_graph_call" };
	uint64_t variable = kernel_symbol(sites->run->kernel, "ftrace_trace_function");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t address = kernel_symbol(sites->run->kernel, names[i]);
		if (address != 0 && variable != 0)
			TRY(add(sites, (struct patch_site){ .kind = PATCH_TRACER,
							    .address = address - sites->slide,
							    .other = variable - sites->slide,
							    .length = CALL }));
	}
	return KIOKU_OK;
}

static enum kioku_status read_symbols(struct patch_sites *sites)
{
	const struct kioku_symbols *symbols = sites->run->kernel->symbols;
	size_t count = kioku_symbols_count(symbols);

	TRY(add_tracers(sites));
	for (size_t i = symbols_above(symbols, sites->start + sites->slide - 1); i < count; i++) {
		struct kioku_symbol symbol = kioku_symbols_get(symbols, i);
		TRY(add_runtime_constants(sites, symbol.name, symbol.address - sites->slide));
		if (strncmp(symbol.name, "__SCT__", strlen("__SCT__")) == 0)
			TRY(add_trampoline(sites, &symbol));
	}
	return KIOKU_OK;
}

static enum kioku_status add_probe(void *user, const struct probe *probe)
{
	struct patch_sites *sites = user;
	bool is_jump = probe->flags & PROBE_OPTIMIZED;

	if (probe->flags & (PROBE_GONE | PROBE_DISABLED | PROBE_BY_FTRACE))
		return KIOKU_OK;
	return add(sites, (struct patch_site){ .kind = PATCH_PROBE,
					       .address = probe->place - sites->slide,
					       .length = is_jump ? CALL : 1 });
}

static int by_address(const void *a, const void *b)
{
	const struct patch_site *first = a, *second = b;

	return (first->address > second->address) - (first->address < second->address);
}

enum kioku_status patch_sites_read(struct patch_sites *sites, struct kioku_error *error)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		TRY(read_table(sites, i, error));
	if (read_symbols(sites) != KIOKU_OK)
		return error_no_memory(error);
	/* Probes are in no table of the file. A kernel without them has none. */
	enum kioku_status status = probe_each(sites->run->kernel, add_probe, sites, error);
	if (status != KIOKU_OK && status != KIOKU_ERROR_UNSUPPORTED)
		return status;
	qsort(sites->sites, sites->count, sizeof(*sites->sites), by_address);
	return KIOKU_OK;
}

void patch_sites_release(struct patch_sites *sites)
{
	made_code_release(&sites->made);
	free(sites->sites);
	sites->sites = NULL;
}

/* --- explaining */

size_t patch_sites_above(const struct patch_sites *sites, uint64_t address)
{
	size_t low = 0, high = sites->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (sites->sites[middle].address > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* What the linker left to the loader: 32 bits that moved with the kernel, or away from it (per-CPU offsets). */
static bool is_relocated(const struct patch_sites *sites, uint64_t at)
{
	const uint8_t *original = kernel_file_at(sites->file, at, 4);

	if (!original || at < sites->start || sites->end - at < 4)
		return false;
	uint32_t moved = load_le32(sites->memory + (at - sites->start)) - load_le32(original);
	return moved == (uint32_t)sites->slide || moved == 0 - (uint32_t)sites->slide;
}

uint64_t patch_sites_explain(struct patch_sites *sites, uint64_t address)
{
	uint64_t best = address;

	/* A site first: within one, anything may look like an address by chance. */
	for (size_t i = patch_sites_above(sites, address); i > 0; i--) {
		const struct patch_site *site = &sites->sites[i - 1];
		if (address - site->address >= sites->longest)
			break;
		uint64_t end = site->address + site->length;
		if (end > best && patch_match(sites, site))
			best = end;
	}
	for (uint64_t back = 0; best == address && back < 4; back++)
		if (is_relocated(sites, address - back))
			best = address - back + 4;
	return best == address ? address + patch_match_counter(sites, address) : best;
}

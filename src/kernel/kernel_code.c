/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/kernel_code.h"

#include <stdio.h>
#include <string.h>

static struct code_range between(const struct kioku_kernel *kernel, const char *start,
				 const char *end)
{
	struct code_range range = { kernel_symbol(kernel, start), kernel_symbol(kernel, end) };

	return range.start && range.end > range.start ? range : (struct code_range){ 0 };
}

bool kernel_code_read(struct kioku_kernel *kernel, struct kernel_code *out)
{
	*out = (struct kernel_code){
		.image = between(kernel, "_text", "_end"),
		.text = between(kernel, "_stext", "_etext"),
		.initial = between(kernel, "_sinittext", "_einittext"),
		.scheduler = { between(kernel, "__sched_text_start", "__sched_text_end"),
			       between(kernel, "__lock_text_start", "__lock_text_end") },
	};
	orc_of_kernel(kernel, &out->orc);
	return modules_read(kernel, &out->modules);
}

void kernel_code_release(struct kernel_code *code)
{
	modules_release(&code->modules);
}

static bool is_in_kernel(const struct kernel_code *code, uint64_t address)
{
	return code_range_has(&code->text, address) || code_range_has(&code->initial, address);
}

bool kernel_code_has(const struct kernel_code *code, uint64_t address)
{
	return is_in_kernel(code, address) || modules_at(&code->modules, address);
}

bool kernel_code_is_scheduler(const struct kernel_code *code, uint64_t address)
{
	return code_range_has(&code->scheduler[0], address) ||
	       code_range_has(&code->scheduler[1], address);
}

bool kernel_code_orc(const struct kernel_code *code, uint64_t address, struct orc_table *out)
{
	const struct module *module = modules_at(&code->modules, address);

	*out = code->orc;
	if (module) {
		out->addresses = module->orc_addresses;
		out->rules = module->orc_rules;
		out->count = out->addresses && out->rules ? module->orc_count : 0;
	}
	return out->count > 0 && out->registers && (module || is_in_kernel(code, address));
}

/* Of several names of one address the first counts, as in kallsyms_lookup() (kernel/kallsyms.c). */
static bool find_in_kernel(const struct kioku_kernel *kernel, uint64_t address,
			   struct code_name *out)
{
	const struct kioku_symbols *symbols = kernel->symbols;
	size_t above = symbols ? symbols_above(symbols, address) : 0;

	if (above == 0)
		return false;
	size_t first = above - 1;
	out->address = kioku_symbols_get(symbols, first).address;
	while (first > 0 && kioku_symbols_get(symbols, first - 1).address == out->address)
		first--;
	bool is_last = above == kioku_symbols_count(symbols);
	out->size = is_last ? 0 : kioku_symbols_get(symbols, above).address - out->address;
	snprintf(out->name, sizeof(out->name), "%s", kioku_symbols_get(symbols, first).name);
	return true;
}

bool kernel_code_function(struct kioku_kernel *kernel, const struct kernel_code *code,
			  uint64_t address, struct code_name *out)
{
	const struct module *module = modules_at(&code->modules, address);

	if (module)
		return module_function(kernel, module, address, out) == KIOKU_OK;
	return is_in_kernel(code, address) && find_in_kernel(kernel, address, out);
}

/* within: an address in the function, the same or the one before. */
static size_t make_text(struct kioku_kernel *kernel, const struct kernel_code *code,
			uint64_t within, uint64_t address, char out[CODE_TEXT])
{
	const struct module *module = modules_at(&code->modules, within);
	struct code_name found;
	int length;

	if (kernel_code_function(kernel, code, within, &found))
		length = snprintf(out, CODE_TEXT, "%s+0x%llx/0x%llx", found.name,
				  (unsigned long long)(address - found.address),
				  (unsigned long long)found.size);
	else
		length = snprintf(out, CODE_TEXT, "0x%llx", (unsigned long long)address);
	if (module && length < CODE_TEXT)
		length += snprintf(out + length, CODE_TEXT - (size_t)length, " [%s]", module->name);
	return length < CODE_TEXT ? (size_t)length : CODE_TEXT - 1;
}

/* The byte before: a call of what does not return may be a function's last instruction. */
size_t kernel_code_text(struct kioku_kernel *kernel, const struct kernel_code *code,
			uint64_t address, char out[CODE_TEXT])
{
	return make_text(kernel, code, address - 1, address, out);
}

size_t kernel_code_place(struct kioku_kernel *kernel, const struct kernel_code *code,
			 uint64_t address, char out[CODE_TEXT])
{
	return make_text(kernel, code, address, address, out);
}

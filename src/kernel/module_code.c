/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/module_code.h"

#include <elf.h>
#include <string.h>

#include "base/growing.h"
#include "kernel/module_symbols.h"

/* --- the list */

enum kioku_status modules_add(struct modules *modules, const struct module *module)
{
	if (!GROW(modules->list, modules->count, modules->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	modules->list[modules->count++] = *module;
	return KIOKU_OK;
}

static enum kioku_status take_module(void *user, const struct module *module)
{
	return modules_add(user, module);
}

bool modules_read(struct kioku_kernel *kernel, struct modules *out)
{
	struct gap_listener listener;

	gap_listener_begin(&listener, &kernel->diagnostics);
	enum kioku_status status = module_each(kernel, take_module, out, NULL);
	gap_listener_end(&listener, &kernel->diagnostics);
	/* A kernel that has no modules can be read nevertheless. */
	out->is_damaged = listener.has_gap || (status != KIOKU_OK && module_list(kernel) != 0);
	return status != KIOKU_ERROR_NO_MEMORY;
}

void modules_release(struct modules *modules)
{
	free(modules->list);
	*modules = (struct modules){ 0 };
}

const struct module *modules_at(const struct modules *modules, uint64_t address)
{
	for (size_t i = 0; i < modules->count; i++)
		if (address - modules->list[i].parts[0].base < modules->list[i].text_size)
			return &modules->list[i];
	return NULL;
}

/* --- symbols */

/* The symbol nearest below an address, and where the next one starts. */
struct nearest {
	uint64_t address, end;
	uint32_t name; /* its offset among the strings; 0: none was found */
};

static bool is_name(struct kioku_kernel *kernel, uint64_t text)
{
	char first[1];

	/* Empty ones, and marks in code such as "$x" and ".L1" (include/linux/module_symbol.h). */
	return kernel_read(kernel, text, first, 1, NULL) == KIOKU_OK && first[0] &&
	       first[0] != '$' && first[0] != '.';
}

static void consider(struct kioku_kernel *kernel, const struct module_symbols *symbols,
		     const uint8_t *raw, uint64_t address, struct nearest *nearest)
{
	uint32_t name = load_le32(raw);
	uint16_t section = load_le16(raw + 6);
	uint64_t value = load_le64(raw + 8);
	bool is_nearer = value <= address && value > nearest->address;
	bool is_next = value > address && value < nearest->end;

	if (section == SHN_UNDEF || !(is_nearer || is_next) ||
	    !is_name(kernel, symbols->strings + name))
		return;
	if (is_next) {
		nearest->end = value;
		return;
	}
	nearest->address = value;
	nearest->name = name;
}

enum kioku_status module_function(struct kioku_kernel *kernel, const struct module *module,
				  uint64_t address, struct code_name *out)
{
	enum { SIZE = sizeof(Elf64_Sym), AT_ONCE = 128 };
	struct nearest nearest = { .address = module->parts[0].base - 1,
				   .end = module->parts[0].base + module->text_size };
	struct module_symbols symbols;
	uint8_t raw[SIZE * AT_ONCE];
	size_t size;

	TRY(module_symbols_read(kernel, module, &symbols));
	for (uint32_t i = 0; i < symbols.count; i += AT_ONCE) {
		uint32_t count = symbols.count - i < AT_ONCE ? symbols.count - i : AT_ONCE;
		TRY(kernel_read(kernel, symbols.symbols + (uint64_t)i * SIZE, raw, count * SIZE,
				NULL));
		for (uint32_t j = 0; j < count; j++)
			consider(kernel, &symbols, raw + j * SIZE, address, &nearest);
	}
	if (!nearest.name)
		return KIOKU_ERROR_NOT_FOUND;
	out->address = nearest.address;
	out->size = nearest.end - nearest.address;
	return kernel_read_string(kernel, symbols.strings + nearest.name, out->name,
				  sizeof(out->name), &size);
}

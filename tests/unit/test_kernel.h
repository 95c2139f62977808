/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel that a test makes: a machine, whose memory is all mapped, with types and symbols of the test's
 * choice. What a test writes into structures it says by their members' names.
 */
#ifndef TESTS_UNIT_TEST_KERNEL_H
#define TESTS_UNIT_TEST_KERNEL_H

#include "kernel/record.h"
#include "kernel/module_types.h"
#include "kernel/swap.h"
#include "symbol/symbol_builder.h"
#include "test_btf.h"
#include "test_machine.h"

#define MADE_BASE      0xffff888000000000ull  /* where the machine's memory is mapped */
#define MADE_VMEMMAP   (MADE_BASE + 0x700000) /* the array of struct page */
#define MADE_VARIABLES (MADE_BASE + 0x10000)  /* of the kernel */
#define MADE_SYMBOLS   32

struct made {
	struct machine machine;
	struct kioku_kernel kernel;
	struct btf btf;
	struct {
		const char *name;
		uint64_t address;
	} symbols[MADE_SYMBOLS];
	size_t symbol_count;
	unsigned gaps;
	char last[256]; /* diagnostic */
};

static inline void made_hear(void *user, enum kioku_severity severity, const char *message)
{
	struct made *made = user;

	made->gaps += severity == KIOKU_GAP;
	snprintf(made->last, sizeof(made->last), "%s", message);
}

/* The types are those of a layout (see btf_layout()). */
static inline void made_open(struct made *made, const char *layout)
{
	*made = (struct made){ .symbol_count = 0 };
	machine_open(&made->machine, &x86_64_4level);
	for (uint64_t at = 0; at < MACHINE_SIZE; at += 1 << 21)
		machine_put(&made->machine, machine_entry(&made->machine, MADE_BASE + at, 2),
			    at | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE);
	btf_layout(&made->btf, layout);
	made->kernel.source = made->machine.source;
	made->kernel.proof = PROOF_ALIVE;
	made->kernel.space = made->machine.space;
	made->kernel.types = open_btf(&made->btf);
	CHECK(made->kernel.types);
	made->kernel.diagnostics = (struct diagnostics){ made_hear, made };
}

static inline void made_close(struct made *made)
{
	record_cache_release(&made->kernel);
	module_types_release(&made->kernel);
	swap_close(made->kernel.swap);
	symbols_close(made->kernel.symbols);
	types_close(made->kernel.types);
	btf_release(&made->btf);
	machine_close(&made->machine);
}

static inline uint8_t *made_memory(struct made *made, uint64_t address)
{
	CHECK(address - MADE_BASE < MACHINE_SIZE);
	return made->machine.memory + (address - MADE_BASE);
}

static inline void made_put(struct made *made, uint64_t address, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		*made_memory(made, address + i) = (uint8_t)(value >> 8 * i);
}

/* One more symbol. */
static inline void made_symbol(struct made *made, const char *name, uint64_t address)
{
	struct symbol_builder builder = { 0 };

	CHECK(made->symbol_count < MADE_SYMBOLS);
	size_t place = made->symbol_count++;
	for (; place > 0 && made->symbols[place - 1].address > address; place--)
		made->symbols[place] = made->symbols[place - 1];
	made->symbols[place].name = name;
	made->symbols[place].address = address;
	symbols_close(made->kernel.symbols);
	CHECK(symbol_builder_begin(&builder, MADE_SYMBOLS));
	for (size_t i = 0; i < made->symbol_count; i++) {
		size_t size = strlen(made->symbols[i].name);
		char *text = symbol_builder_text(&builder, size + 1);
		CHECK(text);
		memcpy(text, made->symbols[i].name, size + 1);
		symbol_builder_add(&builder, made->symbols[i].address, 'T', false, 0, size);
		symbol_builder_commit(&builder, size + 1);
	}
	CHECK(symbol_builder_finish(&builder, &made->kernel.symbols, NULL) == KIOKU_OK);
}

/* A variable of 8 bytes, with its symbol; returns its address. */
static inline uint64_t made_variable(struct made *made, const char *name, uint64_t value)
{
	uint64_t address = MADE_VARIABLES + 8 * made->symbol_count;

	made_put(made, address, 8, value);
	made_symbol(made, name, address);
	return address;
}

/* The array of struct page, of which there must be a type. */
static inline void made_pages(struct made *made)
{
	made_variable(made, "vmemmap_base", MADE_VMEMMAP);
}

static inline const struct kioku_types *made_types(struct made *made, const char *type_name,
						   uint32_t *id)
{
	char name[64];

	snprintf(name, sizeof(name), "struct %s", type_name);
	CHECK_EQUAL(kioku_types_find(made->kernel.types, name, id, NULL), KIOKU_OK);
	return made->kernel.types;
}

/* Element index of a member that is an array; bit fields are set without what is beside them. */
static inline void made_set_element(struct made *made, uint64_t address, const char *type_name,
				    const char *path, unsigned index, uint64_t value)
{
	struct kioku_member found;
	uint32_t id;
	const struct kioku_types *types = made_types(made, type_name, &id);

	CHECK_EQUAL(kioku_type_member(types, id, path, &found, NULL), KIOKU_OK);
	if (found.bit_size) {
		for (unsigned i = 0; i < found.bit_size; i++) {
			uint64_t bit = found.bit_offset + i;
			uint8_t *byte = made_memory(made, address + bit / 8), mask = 1 << bit % 8;
			*byte = (uint8_t)((*byte & ~mask) | (value >> i & 1 ? mask : 0));
		}
		return;
	}
	struct btf_record record;
	if (types_record(types, found.type, &record) && record.kind == KIOKU_TYPE_ARRAY)
		found.type = btf_array(&record).type;
	uint64_t size = kioku_type_size(types, found.type);
	made_put(made, address + found.bit_offset / 8 + index * size, (unsigned)size, value);
}

static inline void made_set(struct made *made, uint64_t address, const char *type_name,
			    const char *path, uint64_t value)
{
	made_set_element(made, address, type_name, path, 0, value);
}

static inline void made_text(struct made *made, uint64_t address, const char *text)
{
	memcpy(made_memory(made, address), text, strlen(text) + 1);
}

#endif

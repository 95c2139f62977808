/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small machine: physical memory in a file that tests write, page tables included. */
#ifndef TESTS_UNIT_TEST_MACHINE_H
#define TESTS_UNIT_TEST_MACHINE_H

#include <sys/mman.h>

#include "address/address.h"
#include "source/source.h"
#include "tap.h"

#define MACHINE_SIZE (8u << 20)
#define MACHINE_ROOT 0x1000u

enum { ENTRY_PRESENT = 1, ENTRY_WRITE = 2, ENTRY_USER = 4, ENTRY_LARGE = 0x80 };
#define ENTRY_NX (1ull << 63)

struct machine {
	uint8_t *memory;
	uint64_t next_table; /* physical */
	const struct paging *paging;
	struct kioku_source *source;
	struct kioku_address_space space;
};

static inline void machine_open(struct machine *machine, const struct paging *paging)
{
	char path[64];
	int descriptor = memfd_create("memory", MFD_CLOEXEC);

	CHECK(descriptor >= 0 && ftruncate(descriptor, MACHINE_SIZE) == 0);
	machine->memory =
		mmap(NULL, MACHINE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	CHECK(machine->memory != MAP_FAILED);
	machine->next_table = MACHINE_ROOT + PAGE_SIZE;
	machine->paging = paging;
	snprintf(path, sizeof(path), "raw:/proc/self/fd/%d", descriptor);
	CHECK(kioku_source_open(path, NULL, &machine->source, NULL) == KIOKU_OK);
	address_space_init(&machine->space, machine->source, paging, MACHINE_ROOT);
}

static inline void machine_close(struct machine *machine)
{
	kioku_source_close(machine->source);
	munmap(machine->memory, MACHINE_SIZE);
}

static inline void machine_put(struct machine *machine, uint64_t physical, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		machine->memory[physical + i] = (uint8_t)(value >> 8 * i);
}

/* The entry of an address at a level (0: the root's), with the tables above it made as needed. */
static inline uint64_t machine_entry(struct machine *machine, uint64_t virtual, unsigned level)
{
	uint64_t table = MACHINE_ROOT;

	for (unsigned i = 0;; i++) {
		uint64_t at = table + 8 * (virtual >> machine->paging->levels[i].shift & 511);
		if (i == level)
			return at;
		if (!(machine->memory[at] & ENTRY_PRESENT)) {
			machine_put(machine, at,
				    machine->next_table | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER);
			machine->next_table += PAGE_SIZE;
		}
		table = load_le64(machine->memory + at) & 0x000ffffffffff000ull;
	}
}

static inline void machine_map(struct machine *machine, uint64_t virtual, uint64_t entry)
{
	machine_put(machine, machine_entry(machine, virtual, machine->paging->level_count - 1u),
		    entry);
}

#endif

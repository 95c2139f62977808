/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source/qemu_machine.h"

#include <kioku/source.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/growing.h"

#define REGION_LIMIT  65536u
#define BACKEND_LIMIT 4096u
#define CPU_LIMIT     4096u

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static enum kioku_status list_backends(struct qemu_machine *machine, struct kioku_error *error)
{
	struct bytes text = bytes_of(machine->memdev), name;

	machine->backends = calloc(BACKEND_LIMIT, sizeof(*machine->backends));
	if (!machine->backends)
		return error_no_memory(error);
	for (size_t offset = 0;
	     machine->backend_count < BACKEND_LIMIT && monitor_next_backend(text, &offset, &name);)
		machine->backends[machine->backend_count++] = name;
	/* Before 5.0 the RAM of a PC was no backend's unless somebody said so. */
	if (machine->backend_count == 0)
		machine->backends[machine->backend_count++] = bytes_of("pc.ram");
	return KIOKU_OK;
}

size_t qemu_machine_backend(const struct qemu_machine *machine, const struct monitor_region *region)
{
	size_t i = 0;

	while (i < machine->backend_count && !monitor_is_of(region, machine->backends[i]))
		i++;
	return i;
}

/*
 * Memory of devices, such as a graphics card's, is "ram" as well, but no backend's. What the machine
 * may not write now ("rom") may be: firmware locks what it copied itself to below 1 MiB.
 */
static enum kioku_status list_regions(struct qemu_machine *machine, struct kioku_error *error)
{
	struct bytes text = bytes_of(machine->map);
	struct monitor_region region;
	size_t capacity = 0;
	bool damaged = false;

	for (size_t offset = 0; monitor_next_region(text, &offset, &region, &damaged);) {
		if (region.kind == MONITOR_OTHER ||
		    qemu_machine_backend(machine, &region) == machine->backend_count)
			continue;
		if (!GROW(machine->ram, machine->ram_count, capacity))
			return error_no_memory(error);
		machine->ram[machine->ram_count++] = region;
		if (machine->ram_count == REGION_LIMIT)
			break;
	}
	if (damaged || machine->ram_count == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "QEMU's monitor does not say where RAM is as other versions do");
	return KIOKU_OK;
}

static void list_cpus(struct qemu_machine *machine, const char *text)
{
	struct kioku_cpu cpu;

	machine->cpus = calloc(CPU_LIMIT, sizeof(cpu));
	for (size_t offset = 0; machine->cpus && machine->cpu_count < CPU_LIMIT &&
				monitor_next_cpu(bytes_of(text), &offset, &cpu);)
		machine->cpus[machine->cpu_count++] = cpu;
}

enum kioku_status qemu_machine_ask(const struct qemu_monitor *monitor, struct qemu_machine *out,
				   struct kioku_error *error)
{
	AUTO_FREE char *registers = NULL;

	*out = (struct qemu_machine){ 0 };
	TRY(monitor->ask(monitor->user, "info mtree -f", &out->map, error));
	TRY(monitor->ask(monitor->user, "info memdev", &out->memdev, error));
	TRY(list_backends(out, error));
	TRY(list_regions(out, error));
	TRY(monitor->ask(monitor->user, "info registers -a", &registers, error));
	list_cpus(out, registers);
	return KIOKU_OK;
}

void qemu_machine_release(struct qemu_machine *machine)
{
	free(machine->ram);
	free(machine->backends);
	free(machine->cpus);
	free(machine->map);
	free(machine->memdev);
	*machine = (struct qemu_machine){ 0 };
}

bool qemu_machine_list_ram(const struct qemu_machine *machine, struct range_map *ram)
{
	for (size_t i = 0; i < machine->ram_count; i++) {
		const struct monitor_region *region = &machine->ram[i];
		struct extent extent = { region->start, region->size, region->start,
					 KIOKU_RANGE_PRESENT };
		if (!range_map_add(ram, extent))
			return false;
	}
	return true;
}

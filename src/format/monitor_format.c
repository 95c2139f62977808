/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/monitor_format.h"

#include "base/scan.h"

#define ADDRESS_DIGITS 16u

/* The line at *offset without its end; *offset moves to the next. False: there is none. */
static bool take_line(struct bytes text, size_t *offset, struct bytes *out)
{
	if (!scan_line(text, offset, out))
		return false;
	while (out->size > 0 && out->data[out->size - 1] == '\r')
		out->size--;
	return true;
}

static bool take(struct bytes *line, const char *text)
{
	size_t size = strlen(text);

	if (line->size < size || memcmp(line->data, text, size) != 0)
		return false;
	*line = (struct bytes){ line->data + size, line->size - size };
	return true;
}

/* At most 16 digits. */
static bool take_hex(struct bytes *line, uint64_t *out)
{
	size_t size = 0;

	if (!scan_hex(*line, &size, out))
		return false;
	*line = (struct bytes){ line->data + size, line->size - size };
	return true;
}

static bool take_decimal(struct bytes *line, unsigned *out)
{
	unsigned value = 0;
	size_t i = 0;

	for (; i < line->size && i < 6 && line->data[i] >= '0' && line->data[i] <= '9'; i++)
		value = value * 10 + (unsigned)(line->data[i] - '0');
	*out = value;
	*line = (struct bytes){ line->data + i, line->size - i };
	return i > 0;
}

/* Moves behind the first such text in a line. */
static bool skip_to(struct bytes *line, const char *text)
{
	size_t size = strlen(text);
	const uint8_t *found =
		size <= line->size ? memmem(line->data, line->size, text, size) : NULL;

	if (!found)
		return false;
	size_t skipped = (size_t)(found - line->data) + size;
	*line = (struct bytes){ line->data + skipped, line->size - skipped };
	return true;
}

/* --- info mtree -f */

static enum monitor_kind kind_of(struct bytes type)
{
	if (type.size == 3 && memcmp(type.data, "ram", 3) == 0)
		return MONITOR_RAM;
	if (type.size == 3 && memcmp(type.data, "rom", 3) == 0)
		return MONITOR_ROM;
	return MONITOR_OTHER;
}

/* Who runs the machine may stand behind a name, in capitals: "pc.ram KVM". */
static struct bytes without_accelerator(struct bytes name)
{
	size_t size = name.size;

	while (size > 0 && name.data[size - 1] >= 'A' && name.data[size - 1] <= 'Z')
		size--;
	if (size > 1 && size < name.size && name.data[size - 1] == ' ')
		name.size = size - 1;
	return name;
}

/* "NAME", or "NAME @OFFSET" of the last such; what follows is of no interest. */
static void split_name(struct bytes text, struct monitor_region *out)
{
	struct bytes rest = text, at;

	out->name = without_accelerator(text);
	while (skip_to(&rest, " @")) {
		at = rest;
		if (at.size < ADDRESS_DIGITS || !take_hex(&at, &out->offset) ||
		    at.data != rest.data + ADDRESS_DIGITS)
			continue;
		out->name = (struct bytes){ text.data, (size_t)(rest.data - text.data) - 2 };
	}
}

/* "  START-LAST (prio N, TYPE): NAME" */
static bool decode_region(struct bytes line, struct monitor_region *out)
{
	struct monitor_region region = { 0 };
	uint64_t last;

	if (!take_hex(&line, &region.start) || !take(&line, "-") || !take_hex(&line, &last) ||
	    !take(&line, " (prio ") || !skip_to(&line, ", ") || last < region.start)
		return false;
	const uint8_t *type = line.data;
	if (!skip_to(&line, "): "))
		return false;
	region.kind = kind_of((struct bytes){ type, (size_t)(line.data - type) - 3 });
	region.size = last - region.start < UINT64_MAX ? last - region.start + 1 : UINT64_MAX;
	split_name(line, &region);
	*out = region;
	return true;
}

/* Moves to the view of the address space that is called memory; several may share one view. */
static bool find_view(struct bytes text, size_t *offset)
{
	struct bytes line;

	while (take_line(text, offset, &line))
		if (take(&line, " AS \"memory\", root: "))
			return true;
	return false;
}

bool monitor_next_region(struct bytes text, size_t *offset, struct monitor_region *out,
			 bool *damaged)
{
	struct bytes line;

	*damaged = false;
	if (*offset == 0 && !find_view(text, offset))
		return false;
	while (take_line(text, offset, &line)) {
		if (line.size == 0) /* the view's end */
			break;
		if (!take(&line, "  "))
			continue;
		*damaged = !decode_region(line, out);
		return !*damaged;
	}
	*offset = text.size;
	return false;
}

/* --- info memdev */

bool monitor_next_backend(struct bytes text, size_t *offset, struct bytes *name)
{
	struct bytes line;

	while (take_line(text, offset, &line)) {
		if (take(&line, "memory backend: ")) {
			*name = line;
			return true;
		}
	}
	return false;
}

bool monitor_is_of(const struct monitor_region *region, struct bytes backend)
{
	struct bytes name = region->name;

	take(&name, "/objects/"); /* x-use-canonical-path-for-ramblock-id */
	return name.size == backend.size && name.size > 0 &&
	       memcmp(name.data, backend.data, name.size) == 0;
}

/* --- info registers -a */

static void take_register(struct bytes line, const char *name, uint64_t *out)
{
	uint64_t value;

	if (skip_to(&line, name) && take_hex(&line, &value))
		*out = value;
}

bool monitor_next_cpu(struct bytes text, size_t *offset, struct kioku_cpu *out)
{
	struct kioku_cpu cpu = { 0 };
	struct bytes line;
	bool found = false;

	for (size_t next = *offset; take_line(text, &next, &line); *offset = next) {
		if (take(&line, "CPU#")) {
			if (found)
				break;
			found = true;
		}
		if (!found)
			continue;
		take_register(line, "RIP=", &cpu.rip);
		take_register(line, "RSP=", &cpu.rsp);
		take_register(line, "RBP=", &cpu.rbp);
		take_register(line, "CR3=", &cpu.cr3);
	}
	*out = cpu;
	return found;
}

/* --- info version */

bool monitor_version(struct bytes text, unsigned *major, unsigned *minor)
{
	return take_decimal(&text, major) && take(&text, ".") && take_decimal(&text, minor);
}

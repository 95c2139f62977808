/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/iomem_format.h"

/* A number of 1 to 16 hexadecimal digits at *offset, which moves behind it. */
static bool take_hex(struct bytes line, size_t *offset, uint64_t *out)
{
	uint64_t value = 0;
	size_t start = *offset;

	for (; *offset < line.size && *offset - start < 16; ++*offset) {
		uint8_t c = line.data[*offset];
		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	*out = value;
	return *offset > start;
}

static bool take_text(struct bytes line, size_t *offset, const char *text)
{
	size_t size = strlen(text);

	if (!bytes_has(line, *offset, size) || memcmp(line.data + *offset, text, size) != 0)
		return false;
	*offset += size;
	return true;
}

bool iomem_decode(struct bytes text, size_t *offset, struct iomem_resource *out)
{
	const uint8_t *start = text.data + *offset;
	size_t left = text.size - *offset;
	const uint8_t *end = left > 0 ? memchr(start, '\n', left) : NULL;
	struct bytes line = { start, end ? (size_t)(end - start) : left };
	struct iomem_resource resource = { 0 };
	size_t position = 0;

	*offset += end ? line.size + 1 : line.size;
	for (; take_text(line, &position, "  "); resource.depth++)
		;
	if (!take_hex(line, &position, &resource.first) || !take_text(line, &position, "-") ||
	    !take_hex(line, &position, &resource.last) || !take_text(line, &position, " : ") ||
	    resource.last < resource.first)
		return false;
	resource.name = (struct bytes){ line.data + position, line.size - position };
	*out = resource;
	return true;
}

bool iomem_is_ram(const struct iomem_resource *resource)
{
	size_t size = strlen("System RAM");

	return bytes_match(resource->name, 0, "System RAM") &&
	       (resource->name.size == size || resource->name.data[size] == ' ');
}

enum iomem_verdict iomem_list_ram(struct bytes text, struct range_map *ram)
{
	struct iomem_resource resource;
	bool damaged = false, shown = false, hidden = false;

	for (size_t offset = 0; offset < text.size;) {
		if (!iomem_decode(text, &offset, &resource)) {
			damaged = true;
			continue;
		}
		shown |= resource.last > 0;
		if (!iomem_is_ram(&resource))
			continue;
		hidden |= resource.last == 0;
		uint64_t size = resource.last - resource.first;
		struct extent extent = { resource.first, size < UINT64_MAX ? size + 1 : size,
					 resource.first, 0 };
		if (!range_map_add(ram, extent))
			return IOMEM_NO_MEMORY;
	}
	if (hidden && !shown)
		return IOMEM_HIDDEN;
	if (damaged)
		return IOMEM_DAMAGED;
	if (ram->count == 0)
		return IOMEM_NO_RAM;
	return range_map_normalise(ram) ? IOMEM_OK : IOMEM_NO_MEMORY;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/iomem_format.h"

#include "base/scan.h"

bool iomem_decode(struct bytes text, size_t *offset, struct iomem_resource *out)
{
	struct iomem_resource resource = { 0 };
	struct bytes line;
	size_t position = 0;

	if (!scan_line(text, offset, &line))
		return false;
	for (; scan_text(line, &position, "  "); resource.depth++)
		;
	if (!scan_hex(line, &position, &resource.first) || !scan_text(line, &position, "-") ||
	    !scan_hex(line, &position, &resource.last) || !scan_text(line, &position, " : ") ||
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

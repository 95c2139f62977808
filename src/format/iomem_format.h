/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/iomem: the tree of what lies where in the physical address space, a line each, a child two
 * columns further in than its parent: "  00100000-7ffdefff : System RAM" (Linux kernel/resource.c,
 * r_show). Addresses are hexadecimal, both included. Who may not see them sees zeros.
 */
#ifndef FORMAT_IOMEM_FORMAT_H
#define FORMAT_IOMEM_FORMAT_H

#include "base/bytes.h"
#include "base/range_map.h"

struct iomem_resource {
	uint64_t first, last; /* physical addresses of the first and the last byte */
	unsigned depth;       /* 0: in no other one; the kernel indents no further than 4 */
	struct bytes name;
};

/* Decodes the line at *offset and moves *offset to the next; false if it is not such a line. */
bool iomem_decode(struct bytes text, size_t *offset, struct iomem_resource *out);

/*
 * Whether a resource is memory that the kernel uses: "System RAM", or "System RAM (kmem)" and other
 * such kinds, which dax/kmem and virtio-mem add below resources of their own.
 */
bool iomem_is_ram(const struct iomem_resource *resource);

enum iomem_verdict {
	IOMEM_OK,
	IOMEM_HIDDEN, /* every address is zero: it was read without CAP_SYS_ADMIN */
	IOMEM_NO_RAM,
	IOMEM_DAMAGED, /* a line is none, so that RAM may be missing */
	IOMEM_NO_MEMORY,
};

/*
 * Lists all RAM, wherever in the tree, with its children, to the byte; sorted, disjoint, each
 * extent at the offset that is its address. The caller releases *ram in any case.
 */
enum iomem_verdict iomem_list_ram(struct bytes text, struct range_map *ram);

#endif
